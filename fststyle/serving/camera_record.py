"""What is kept of a live picture: recordings and snapshots. Neither ever replaces a file that it was not told to."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fststyle.atomic import atomic_path, atomic_write, check_output, make_folder
from fststyle.errors import OutputError
from fststyle.images import Picture, encode
from fststyle.serving.video_formats import Target, VideoSettings, target_for
from fststyle.serving.video_frames import made_video
from fststyle.serving.video_reader import Frame
from fststyle.serving.video_writer import VideoWriter

Pixels = NDArray[np.uint8]
RECORDING_SUFFIX = ".mp4"
_TIME_BASE = Fraction(1, 90_000)
_WAITING = 8  # frames that may wait for the encoder
_PATIENCE = 0.5  # seconds; an encoder that has failed is noticed then


@dataclass(frozen=True)
class Recording:
    """A finished file: ``frames`` in it over ``seconds``, and how many were ``dropped`` as the encoder was behind."""

    path: Path
    frames: int
    seconds: float
    dropped: int


class _NothingError(Exception):
    """No frame came, so there is nothing to write."""


class Recorder:
    """A video that is being written in a thread of its own, with the times at which its frames were taken."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: float,
        *,
        threads: int,
        force: bool = False,
        lossless: bool = False,
    ) -> None:
        """``rate``: frames per second to go by for the last frame. Where the encoder is behind, frames are dropped;
        with ``lossless`` :meth:`put` waits instead. Errors are those of :func:`check_recording`.
        """
        self.path = path
        self._target = check_recording(path, force=force)
        self._force, self._lossless, self._threads = force, lossless, threads
        self._info = made_video(size, Fraction(rate).limit_denominator(1001), _TIME_BASE)
        self._frames: queue.Queue[tuple[Pixels, float] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._finished = False
        self._written, self._end, self._dropped = 0, 0, 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, pixels: Pixels, at: float) -> None:
        """The next frame, uint8 [H, W, 3] RGB, and when it was taken. After :meth:`finish` it is ignored.

        :raises OutputError: the file cannot be written.
        """
        while not self._finished:
            if self._error is not None:
                raise self._error
            try:
                self._frames.put((pixels, at), block=self._lossless, timeout=_PATIENCE)
                return
            except queue.Full:
                if not self._lossless:
                    self._dropped += 1
                    return

    def finish(self) -> Recording | None:
        """Waits until the file is whole and in its place; None if no frame came, and there is no file then.

        :raises OutputError: the file cannot be written; there is none.
        """
        self._finished = True
        while self._thread.is_alive():
            try:
                self._frames.put(None, timeout=_PATIENCE)
                self._thread.join()
            except queue.Full:
                continue
        if isinstance(self._error, _NothingError):
            return None
        if self._error is not None:
            raise self._error
        return Recording(self.path, self._written, float(self._end * _TIME_BASE), self._dropped)

    def _run(self) -> None:
        try:
            self._write()
        except BaseException as error:
            self._error = error

    def _write(self) -> None:
        with (
            atomic_path(self.path, overwrite=self._force) as temporary,
            VideoWriter(temporary, self._target, self._info, threads=self._threads, shown=self.path) as writer,
        ):
            for frame in self._timed():
                writer.write(frame)
                self._written += 1
                self._end = frame.pts + frame.duration
            if not self._written:
                raise _NothingError
            writer.finish()

    def _timed(self) -> Iterator[Frame]:
        """Each frame once it is known until when it is shown."""
        usual = round(1 / (self._info.rate * _TIME_BASE))
        first: float | None = None
        before: Frame | None = None
        while (item := self._frames.get()) is not None:
            pixels, at = item
            first = at if first is None else first
            pts = round((at - first) / _TIME_BASE)
            if before is not None:
                pts = max(pts, before.pts + 1)
                yield Frame(before.pixels, before.pts, pts - before.pts)
            before = Frame(pixels, pts, usual)
        if before is not None:
            yield before


def check_recording(path: Path, *, force: bool) -> Target:
    """Everything about a recording that can be known before it begins.

    :raises OptionError: an unknown suffix.
    :raises OutputError: it exists and ``force`` is false, or is no regular file.
    """
    target = replace(target_for(path, VideoSettings()), live=True)
    check_output(path, overwrite=force)
    return target


def snapshot(pixels: Pixels, folder: Path) -> Path:
    """Writes a PNG of uint8 [H, W, 3] RGB under a new name in ``folder``, which is made if need be.

    :raises OutputError: it cannot be written.
    """
    make_folder(folder)
    data = encode(Picture(pixels), "PNG")
    while True:
        path = free_name(folder, ".png")
        try:
            atomic_write(path, data, overwrite=False)
        except OutputError:
            if path.exists():  # somebody was quicker
                continue
            raise
        return path


def free_name(folder: Path, suffix: str) -> Path:
    """A name made of the time that is not taken yet."""
    stem = time.strftime("fststyle-%Y%m%d-%H%M%S")
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path
