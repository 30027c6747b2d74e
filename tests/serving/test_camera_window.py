"""A real window, on a display that Xvfb draws into a file."""

import ctypes.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("av")

from fststyle.errors import DependencyError, DeviceError  # noqa: E402
from fststyle.serving import camera_opencv, camera_window  # noqa: E402

WIDTH, HEIGHT = 800, 600
PATIENCE = 60.0  # seconds, for what takes one


@dataclass
class Display:
    name: str
    screen: Path

    def pixels(self) -> np.ndarray:
        """uint8 [H, W, 3] BGR of what is on the screen; the file ends with them, four bytes each."""
        data = np.frombuffer(self.screen.read_bytes()[-WIDTH * HEIGHT * 4 :], np.uint8)
        return data.reshape(HEIGHT, WIDTH, 4)[..., :3]


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    missing = [program for program in ("Xvfb", "openbox", "xdotool") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (Debian's packages xvfb, openbox and xdotool)")
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", str(tmp_path)]
    with subprocess.Popen(
        [*command, "-nolisten", "tcp"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            name = f":{server.stdout.readline().strip()}"
            # Without a window manager Qt now and then misses that its window is shown, and there is no fullscreen.
            with subprocess.Popen(
                ["openbox"], env=os.environ | {"DISPLAY": name}, stderr=subprocess.DEVNULL
            ) as manager:
                yield Display(name, tmp_path / "Xvfb_screen0")
                manager.terminate()
        finally:
            server.terminate()


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def started(display: Display, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    options = ["--camera", "synthetic", "--size", "320x240", "--camera-fps", "5", "--style", "tiny"]
    command = [sys.executable, "-m", "fststyle", "webcam", *options, "--device", "cpu", "--threads", "1"]
    with subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"DISPLAY": display.name},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def tool(display: Display, *arguments: str) -> str:
    done = subprocess.run(
        ["xdotool", *arguments], env=os.environ | {"DISPLAY": display.name}, capture_output=True, text=True
    )
    return done.stdout.strip()


def shown(display: Display) -> bool:
    """Whether the generated feed, which is more colourful than anything else, is on the screen."""
    return bool((np.ptp(display.pixels(), axis=2) > 100).sum() > 5000)


def test_keys_in_the_window(display: Display, styles_folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with started(display, "--folder", kept, "--strength", "0") as process:
        until(lambda: shown(display), process)
        tool(display, "windowfocus", tool(display, "search", "--name", "^fststyle$"))
        tool(display, "key", "s")
        until(lambda: list(kept.glob("fststyle-*.png")), process)
        tool(display, "key", "f")
        until(lambda: (np.ptp(display.pixels(), axis=2) > 100).sum() > 200_000, process)
        tool(display, "key", "q")
        printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert printed.startswith("synthetic, 320 x 240: ")
    assert printed.rstrip().endswith(".png")
    assert errors == ""


def test_closing_the_window_ends_it_and_finishes_the_recording(
    display: Display, styles_folder: Path, tmp_path: Path
) -> None:
    x11 = ctypes.util.find_library("X11")
    if x11 is None:
        pytest.skip("libX11 is not installed (Debian's package libx11-6)")
    with started(display, "--record", tmp_path / "live.mkv", "--strength", "0") as process:
        until(lambda: shown(display), process)
        window = int(tool(display, "search", "--name", "^fststyle$"))
        subprocess.run([sys.executable, "-c", CLOSE, x11, display.name, str(window)], check=True)
        printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "live.mkv: " in printed
    assert (tmp_path / "live.mkv").stat().st_size > 0


# What a window manager sends when the user clicks on the window's cross.
CLOSE = """
import ctypes, sys
class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
                ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
                ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("rest", ctypes.c_long * 24)]
x = ctypes.CDLL(sys.argv[1])
x.XOpenDisplay.restype, x.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
x.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
x.XSendEvent.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
x.XSync.argtypes = [ctypes.c_void_p, ctypes.c_int]
display, window = x.XOpenDisplay(sys.argv[2].encode()), int(sys.argv[3])
message = Message(type=33, window=window, message_type=x.XInternAtom(display, b"WM_PROTOCOLS", 0), format=32)
message.data[0] = x.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
x.XSendEvent(display, window, 0, 0, ctypes.byref(message))
x.XSync(display, 0)
"""


def test_without_a_display_the_error_names_headless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DeviceError, match=r"no display for a window .*; --headless"):
        camera_window.check_display()
    monkeypatch.setenv("DISPLAY", ":9973")
    with pytest.raises(DeviceError, match=r"the display :9973 cannot be reached; --headless"):
        camera_window.check_display()
    monkeypatch.setenv("DISPLAY", "127.0.0.1:1.0")
    with pytest.raises(DeviceError, match=r"the display 127\.0\.0\.1:1\.0 cannot be reached"):
        camera_window.check_display()


def test_an_opencv_without_windows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "General\n  GUI:                           NONE\n")
    with pytest.raises(DependencyError, match=r"this build of OpenCV has no windows: .*or run with --headless"):
        camera_opencv.check_windows()
    monkeypatch.setattr(camera_opencv, "_installed", lambda name: name == "opencv-python-headless")
    with pytest.raises(
        DependencyError, match="opencv-python-headless is installed, which has no windows: pip uninstall"
    ):
        camera_opencv.check_windows()
