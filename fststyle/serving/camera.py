"""Where live frames come from: a camera, a video file, a network stream, or a generated feed."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import InputError, OptionError
from fststyle.serving.camera_clock import SyntheticScene
from fststyle.serving.camera_opencv import cv2, quiet

Pixels = NDArray[np.uint8]
SYNTHETIC = "synthetic"
SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "tcp", "udp")
DEFAULT_SIZE, DEFAULT_RATE = (640, 480), 30.0
_VIDEO_NODES = Path("/dev")
_NODE_FACTS = Path("/sys/class/video4linux")
_MOTION_JPEG = "MJPG"
_FIRST_FRAMES = 5  # tries; some cameras deliver an empty frame or two while they start


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame. ``pixels``: uint8 [H, W, 3] RGB, upright. ``at``: when it was taken, as far as that can be known here,
    in seconds of ``time.perf_counter``.
    """

    pixels: Pixels
    at: float


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is asked of a camera, which may give something else.

    ``size``: (width, height) in pixels. ``rate``: frames per second. ``paced``: a file or the generated feed comes at
    its own pace; if false, as fast as its frames are taken.

    :raises OptionError: a value out of range.
    """

    size: tuple[int, int] | None = None
    rate: float | None = None
    paced: bool = True

    def __post_init__(self) -> None:
        if self.size is not None and not all(16 <= side <= 16384 for side in self.size):
            raise OptionError(f"a camera's size must be 16 to 16384 pixels a side, got {self.size[0]} x {self.size[1]}")
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise OptionError(f"a camera's frame rate must be above 0 and at most 1000, got {self.rate:g}")


class Camera(Protocol):
    """Something that gives frames. ``name`` is for messages, ``size`` (width, height) that of its first frame, ``rate``
    its frames per second as far as it says.
    """

    name: str
    size: tuple[int, int]
    rate: float

    def shots(self) -> Iterator[Shot]:
        """Frames as they come, each at once; used by one thread, once. The end of a file or stream ends it.

        :raises InputError: no more frames come though they should: unplugged, connection lost, file damaged.
        """

    def close(self) -> None:
        """To be called by the thread that used :meth:`shots`, or before it was ever used."""


def open_camera(wanted: str, wishes: Wishes) -> Camera:
    """``wanted`` is a camera's number, the path of a video, a stream's address or ``synthetic``.

    :raises InputError: no such camera or file, it is busy, it gives no frame, or the file is no video.
    :raises OptionError: an address of an unknown kind.
    """
    if wanted == SYNTHETIC:
        return SyntheticCamera(wishes)
    if re.fullmatch(r"\d{1,4}", wanted):
        return _open_device(int(wanted), wishes)
    if re.fullmatch(r"/dev/video\d+", wanted):
        return _open_device(int(wanted.removeprefix("/dev/video")), wishes)
    from fststyle.serving.camera_stream import FileCamera, StreamCamera

    scheme, separator, _ = wanted.partition("://")
    if not separator:
        return FileCamera(Path(wanted), wishes)
    if scheme.lower() not in SCHEMES:
        raise OptionError(f"a stream's address begins with one of {', '.join(SCHEMES)}, followed by ://; got {wanted}")
    return StreamCamera(wanted, wishes)


def check_every_frame(wanted: str) -> None:
    """:raises OptionError: ``wanted`` is a camera or a stream, which waits for nobody."""
    if wanted.startswith("/dev/video") or wanted.isdigit() or "://" in wanted:
        raise OptionError(f"only a file and {SYNTHETIC} can wait for the network with --every-frame, not {wanted}")


def device_cameras() -> dict[int, str] | None:
    """Number and name of each camera that Linux knows; None on other systems, which tell only by opening them."""
    if not sys.platform.startswith("linux"):
        return None
    found: dict[int, str] = {}
    for node in _VIDEO_NODES.glob("video*"):
        digits = node.name.removeprefix("video")
        facts = _NODE_FACTS / node.name
        # A camera's second node carries data about its frames and no pictures.
        if digits.isdigit() and _fact(facts / "index") in ("", "0"):
            found[int(digits)] = _fact(facts / "name") or node.name
    return dict(sorted(found.items()))


def _fact(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _open_device(number: int, wishes: Wishes) -> Camera:
    known = device_cameras()
    if known is not None and number not in known and not (_VIDEO_NODES / f"video{number}").exists():
        listed = ", ".join(f"{index} ({name})" for index, name in known.items())
        raise InputError(f"there is no camera {number}; " + (f"cameras: {listed}" if known else "no camera was found"))
    quiet()
    capture = cv2.VideoCapture(number)
    _ask(capture, wishes)
    try:
        return DeviceCamera(capture, f"camera {number}")
    except InputError as error:
        capture.release()
        raise InputError(f"{error}; is it used by another program, or may this user not open it?") from None


def _ask(capture: cv2.VideoCapture, wishes: Wishes) -> None:
    if wishes.size is not None:
        if wishes.size > DEFAULT_SIZE:  # few cameras send larger frames uncompressed at their full rate
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*_MOTION_JPEG))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wishes.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wishes.size[1])
    if wishes.rate is not None:
        capture.set(cv2.CAP_PROP_FPS, wishes.rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)


class DeviceCamera:
    """A camera that OpenCV has opened."""

    def __init__(self, capture: cv2.VideoCapture, name: str) -> None:
        """:raises InputError: it gives no frame."""
        self.name, self._capture = name, capture
        first = next((shot for _ in range(_FIRST_FRAMES) if (shot := self._read()) is not None), None)
        if first is None:
            raise InputError(f"{name} gives no frame")
        self.size = first.pixels.shape[1], first.pixels.shape[0]
        self.rate = capture.get(cv2.CAP_PROP_FPS) or DEFAULT_RATE

    def shots(self) -> Iterator[Shot]:
        while (shot := self._read()) is not None:
            yield shot
        raise InputError(f"{self.name} gives no more frames; was it unplugged?")

    def close(self) -> None:
        self._capture.release()

    def _read(self) -> Shot | None:
        if not self._capture.grab():
            return None
        at = time.perf_counter()  # decoding comes after it, and counts as latency
        got, pixels = self._capture.retrieve()
        if not got or pixels.size == 0:
            return None
        code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
        return Shot(np.asarray(cv2.cvtColor(pixels, code), np.uint8), at)


class SyntheticCamera:
    """:class:`~fststyle.serving.camera_clock.SyntheticScene`, without an end."""

    def __init__(self, wishes: Wishes) -> None:
        self.name = SYNTHETIC
        self.size, self.rate = wishes.size or DEFAULT_SIZE, wishes.rate or DEFAULT_RATE
        self._paced = wishes.paced

    def shots(self) -> Iterator[Shot]:
        scene, pace = SyntheticScene(self.size), Pace() if self._paced else None
        number = 0
        while True:
            if pace is not None:
                pace.wait(number / self.rate)
            yield Shot(*scene.draw())
            number += 1

    def close(self) -> None:
        """Nothing is held."""


class Pace:
    """Sleeps until a moment of the feed's own time, which begins with the first call."""

    def __init__(self) -> None:
        self._zero: float | None = None

    def wait(self, moment: float) -> None:
        """``moment`` in seconds. What is late goes on at once."""
        now = time.perf_counter()
        if self._zero is None:
            self._zero = now - moment
        time.sleep(max(0.0, self._zero + moment - now))
