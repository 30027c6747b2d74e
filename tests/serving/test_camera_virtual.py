"""There is no virtual camera where tests run; what is told then is real, what is sent goes to a stand-in."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from fststyle.errors import DependencyError, DeviceError
from fststyle.serving.camera_virtual import VirtualCamera


class Device:
    """As pyvirtualcam's ``Camera``: ``sent`` is what it got."""

    device = "/dev/video9"

    def __init__(self, **options: object) -> None:
        self.options, self.sent = options, []
        self.arrived, self.closed = threading.Event(), False

    def send(self, pixels: np.ndarray) -> None:
        if pixels.shape != (48, 64, 3):
            raise RuntimeError("wrong size")
        self.sent.append(pixels)
        self.arrived.set()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    devices: list[Device] = []

    def make(**options: object) -> Device:
        devices.append(Device(**options))
        return devices[-1]

    stand_in = SimpleNamespace(Camera=make, PixelFormat=SimpleNamespace(RGB="rgb"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", stand_in)
    return devices


def test_pictures_are_sent(made: list[Device]) -> None:
    virtual = VirtualCamera((64, 48), 24.0)
    picture = np.full((48, 64, 3), 7, np.uint8)
    virtual.put(picture)
    assert made[0].arrived.wait(60)
    virtual.close()
    assert made[0].options == {"width": 64, "height": 48, "fps": 24.0, "fmt": "rgb"}
    assert (made[0].sent[0] == picture).all()
    assert made[0].closed


def test_a_virtual_camera_that_fails_is_told(made: list[Device]) -> None:
    virtual = VirtualCamera((64, 48), 24.0)
    virtual.put(np.zeros((1, 1, 3), np.uint8))
    virtual._thread.join(60)
    with pytest.raises(DeviceError, match="takes no more pictures: wrong size"):
        virtual.put(np.zeros((48, 64, 3), np.uint8))
    virtual.close()


def test_without_pyvirtualcam_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(DependencyError, match=r'pip install "fststyle\[virtual-camera\]"'):
        VirtualCamera((64, 48), 24.0)


def test_without_a_device_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**options: object) -> None:
        raise RuntimeError("no loopback device found\nmore of it")

    stand_in = SimpleNamespace(Camera=none, PixelFormat=SimpleNamespace(RGB="rgb"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", stand_in)
    with pytest.raises(DeviceError, match=r"\(no loopback device found\); on Linux install v4l2loopback-dkms"):
        VirtualCamera((64, 48), 24.0)
