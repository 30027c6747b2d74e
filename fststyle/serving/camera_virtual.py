"""A virtual camera that video calls can choose, through pyvirtualcam, an optional package."""

from __future__ import annotations

import importlib
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import DependencyError, DeviceError, FststyleError
from fststyle.serving.camera_slot import EndedError, Newest

_DEVICES = (
    "on Linux install v4l2loopback-dkms and run: sudo modprobe v4l2loopback; on macOS and Windows install OBS Studio"
)


class VirtualCamera:
    """Sends the newest picture in a thread of its own, so that a slow reader does not hold up anything."""

    def __init__(self, size: tuple[int, int], rate: float) -> None:
        """``size``: (width, height) in pixels; ``rate``: frames per second that readers are told of.

        :raises DependencyError: pyvirtualcam is missing.
        :raises DeviceError: there is no virtual camera to write to.
        """
        self._device = _open(size, rate)
        self.name = str(self._device.device)
        self._pictures: Newest[NDArray[np.uint8]] = Newest()
        self._error: FststyleError | None = None
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def put(self, pixels: NDArray[np.uint8]) -> None:
        """uint8 [H, W, 3] RGB of the size that was given.

        :raises DeviceError: the virtual camera takes no more pictures.
        """
        if self._error is not None:
            raise self._error
        self._pictures.put(pixels)

    def close(self) -> None:
        self._pictures.end()
        self._thread.join()
        self._device.close()

    def _send(self) -> None:
        try:
            while True:
                pixels = self._pictures.take()
                if pixels is not None:
                    self._device.send(np.ascontiguousarray(pixels))
        except EndedError:
            return
        except Exception as error:  # each system's backend raises what it likes
            self._error = DeviceError(f"the virtual camera takes no more pictures: {error}")


def _open(size: tuple[int, int], rate: float) -> Any:
    try:
        # By name: the package is on few machines, and brings no types.
        pyvirtualcam = importlib.import_module("pyvirtualcam")
    except ModuleNotFoundError as error:
        if error.name != "pyvirtualcam":
            raise
        raise DependencyError(
            'a virtual camera needs pyvirtualcam, which is not installed: pip install "fststyle[virtual-camera]"'
        ) from error
    try:
        return pyvirtualcam.Camera(width=size[0], height=size[1], fps=max(1.0, rate), fmt=pyvirtualcam.PixelFormat.RGB)
    except (RuntimeError, OSError, ValueError) as error:
        raise DeviceError(f"there is no virtual camera to write to ({_first_line(error)}); {_DEVICES}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
