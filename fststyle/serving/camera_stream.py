"""Videos and network streams as cameras, through FFmpeg."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from fststyle.errors import InputError
from fststyle.images import MAX_PIXELS
from fststyle.serving.camera import DEFAULT_RATE, SCHEMES, Pace, Shot, Wishes
from fststyle.serving.ffmpeg import av, reason
from fststyle.serving.video_formats import VideoSettings
from fststyle.serving.video_picture import VideoReformatter, orientation_of, to_rgb
from fststyle.serving.video_reader import Frame, VideoReader

_THREADS = 1
_SECONDS = 10.0  # without an answer or a packet
# What a stream names, the parts of a playlist above all, may not be a file of this machine.
_NETWORK = {
    "protocol_whitelist": ",".join((*SCHEMES, "tls", "rtp", "crypto", "httpproxy")),
    "rtsp_transport": "tcp",
}


class FileCamera:
    """A video file that plays once."""

    def __init__(self, path: Path, wishes: Wishes) -> None:
        """Errors are those of :class:`~fststyle.serving.video_reader.VideoReader`."""
        self.name, self._paced = str(path), wishes.paced
        self._reader = VideoReader(
            path, VideoSettings(), max_size=None, max_pixels=MAX_PIXELS, threads=_THREADS, quick=True
        )
        self.size, self.rate = self._reader.info.size, float(self._reader.info.rate)

    def shots(self) -> Iterator[Shot]:
        pace = Pace() if self._paced else None
        for item in self._reader.items(()):
            if not isinstance(item, Frame):
                continue
            if pace is not None:
                pace.wait(float(item.pts * self._reader.info.time_base))
            yield Shot(item.pixels, time.perf_counter())

    def close(self) -> None:
        self._reader.__exit__()


class StreamCamera:
    """A stream by its address. One that has an end, a file on a server, plays at its own pace."""

    def __init__(self, address: str, wishes: Wishes) -> None:
        """:raises InputError: there is no answer, or what comes is no video."""
        self.name = address
        try:
            self._container = av.open(address, "r", options=_NETWORK, timeout=_SECONDS)
        except (av.FFmpegError, OSError, ValueError) as error:
            told = reason(error) if isinstance(error, av.FFmpegError) else str(error)
            raise InputError(f"cannot open {address}: {told}") from error
        self._frames = self._decoded()
        self._paced = wishes.paced and self._container.duration is not None
        try:
            self._first = self._next()
        except InputError:
            self._container.close()
            raise
        self.size = self._first[0].pixels.shape[1], self._first[0].pixels.shape[0]
        self.rate = float(self._container.streams.video[0].average_rate or DEFAULT_RATE)

    def shots(self) -> Iterator[Shot]:
        pace = Pace() if self._paced else None
        for shot, moment in chain([self._first], self._frames):
            if pace is None:
                yield shot
            else:
                pace.wait(moment)
                yield Shot(shot.pixels, time.perf_counter())

    def close(self) -> None:
        self._container.close()

    def _next(self) -> tuple[Shot, float]:
        for frame in self._frames:
            return frame
        raise InputError(f"{self.name} has no frames")

    def _decoded(self) -> Iterator[tuple[Shot, float]]:
        """Each frame, and its moment in the stream in seconds."""
        reformatter = VideoReformatter()
        if not self._container.streams.video:
            raise InputError(f"{self.name} has no video")
        try:
            for frame in self._container.decode(video=0):
                at = time.perf_counter()
                pixels = to_rgb(frame, (frame.width, frame.height), reformatter, quick=True)
                yield Shot(orientation_of(frame).apply(pixels), at), frame.time or 0.0
        except av.FFmpegError as error:
            raise InputError(f"{self.name} gives no more frames: {reason(error)}") from error
