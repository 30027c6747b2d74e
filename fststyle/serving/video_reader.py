"""A video file -> what it is, and its frames as upright RGB arrays, in step with the packets that are copied."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import FststyleError, ImageTooLargeError, InputError, UnsupportedFormatError
from fststyle.serving.ffmpeg import av, cannot_read, reason, url
from fststyle.serving.video_formats import VideoSettings
from fststyle.serving.video_picture import (
    Colour,
    Orientation,
    VideoReformatter,
    colour_of,
    orientation_of,
    to_rgb,
)
from fststyle.serving.video_timeline import Timeline, exact

_MICROSECONDS = 1_000_000
_FALLBACK_RATE = Fraction(25)
# A playlist names other files, on the network too: only the file itself is read.
_ONLY_FILES = {"protocol_whitelist": "file"}
# Demuxers that take pictures and texts for videos.
_NOT_VIDEOS = ("image2", "tty", "concat", "hls", "dash", "lavfi")
_SLACK = 1.0  # seconds by which a file may be shorter than its header says

_ATTACHED = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails


@dataclass(frozen=True, eq=False)
class Frame:
    """``pixels``: uint8 [H, W, 3] RGB, upright. ``pts`` and ``duration`` count the video's time base, from the first
    moment that is kept.
    """

    pixels: NDArray[np.uint8]
    pts: int
    duration: int


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """``size``: (width, height) of the frames that are given out, upright; ``stored_size`` before they are turned.
    ``aspect``: width of a pixel by its height, upright. ``rate``: mean frames per second. ``seconds`` and ``frames``:
    how much there is between start and end, None where the file does not say. ``origin``: the time in the file, in
    seconds, that becomes 0.
    """

    size: tuple[int, int]
    stored_size: tuple[int, int]
    orientation: Orientation
    aspect: Fraction
    colour: Colour
    rate: Fraction
    time_base: Fraction
    origin: Fraction
    seconds: float | None

    @property
    def frames(self) -> int | None:
        return None if self.seconds is None else max(1, round(self.seconds * self.rate))


class VideoReader:
    """An open file; a context manager. ``info`` is known from the start, which takes decoding one frame.

    ``skipped`` counts the frames left out because they came no later than the one before.
    """

    def __init__(
        self,
        path: Path,
        settings: VideoSettings,
        *,
        max_size: int | None,
        max_pixels: int,
        threads: int,
        quick: bool = False,
    ) -> None:
        """``max_size``: limit of the longer side in pixels; a larger video is scaled down to even sizes. ``quick``: as
        in :func:`~fststyle.serving.video_picture.to_rgb`.

        :raises InputError: the file cannot be read, is damaged, has no video, or has nothing between start and end.
        :raises UnsupportedFormatError: it is no video, or one of a kind that cannot be treated correctly.
        :raises ImageTooLargeError: frames of more than ``max_pixels``.
        """
        self.path, self._settings, self._threads, self._quick = path, settings, threads, quick
        self.skipped = 0
        container, stream = self._open()
        try:
            first = self._first_frame(container, stream, max_pixels)
            self.info = self._describe(container, stream, first, max_size)
        except FststyleError as error:
            container.close()
            raise type(error)(f"cannot use {path}: {error}") from error
        container.close()
        self._container, self._stream = self._open()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()

    @property
    def other_streams(self) -> list[av.stream.Stream]:
        """All streams but the video that is read."""
        return [stream for stream in self._container.streams if stream.index != self._stream.index]

    def items(self, copied: Collection[av.stream.Stream]) -> Iterator[Frame | av.Packet[av.stream.Stream]]:
        """Frames, and the packets of the streams ``copied``, in the order of the file; once only.

        :raises InputError: the file turns out to be damaged or cut short, or no frame lies between start and end.
        """
        info = self.info
        frames = Timeline(info.origin, info.time_base, info.rate, self._settings)
        reformatter = VideoReformatter()
        wanted = {stream.index for stream in copied}
        try:
            for packet in self._packets(wanted):
                if packet.stream.index == self._stream.index:
                    for frame in packet.decode():
                        if frames.keeps(frame):  # type: ignore[arg-type]
                            yield self._convert(frame, frames, reformatter)  # type: ignore[arg-type]
                elif packet.dts is not None and frames.keeps_packet(packet):
                    yield packet
        except av.FFmpegError as error:
            raise InputError(f"{self.path} is damaged at {frames.reached:.2f} s: {reason(error)}") from error
        self.skipped = frames.skipped
        if frames.last is None:
            raise InputError(f"{self.path} has no frames between start and end")

    def copied_packets(self, copied: Collection[av.stream.Stream]) -> Iterator[av.Packet[av.stream.Stream]]:
        """The packets among :meth:`items`, without decoding a frame; instead of it, and with its errors."""
        frames = Timeline(self.info.origin, self.info.time_base, self.info.rate, self._settings)
        wanted = {stream.index for stream in copied}
        try:
            for packet in self._packets(wanted):
                if packet.stream.index in wanted and packet.dts is not None and frames.keeps_packet(packet):
                    yield packet
        except av.FFmpegError as error:
            raise InputError(f"{self.path} is damaged: {reason(error)}") from error

    def _open(self) -> tuple[av.container.InputContainer, av.video.stream.VideoStream]:
        if not self.path.is_file():
            raise InputError(f"cannot read {self.path}: {'not a file' if self.path.exists() else 'no such file'}")
        if self.path.stat().st_size == 0:
            raise InputError(f"{self.path} is empty (0 bytes)")
        try:
            container = av.open(url(self.path), "r", container_options=_ONLY_FILES, metadata_errors="replace")
        except av.FFmpegError as error:
            raise cannot_read(self.path, error) from error
        names = container.format.name.split(",")
        if any(name in _NOT_VIDEOS or name.endswith("_pipe") for name in names):
            container.close()
            raise UnsupportedFormatError(f"{self.path} is not a video (FFmpeg calls it {container.format.name})")
        stream = next((entry for entry in container.streams.video if not entry.disposition & _ATTACHED), None)
        if stream is None:
            container.close()
            raise InputError(f"{self.path} has no video stream")
        if cast("av.CodecContext | None", stream.codec_context) is None:
            container.close()
            raise UnsupportedFormatError(f"this build of FFmpeg cannot decode the video in {self.path}")
        stream.codec_context.thread_type = av.codec.context.ThreadType.AUTO
        stream.codec_context.thread_count = self._threads
        return container, stream

    def _first_frame(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, max_pixels: int
    ) -> av.VideoFrame:
        context = stream.codec_context
        if context.width * context.height > max_pixels:
            cap = f"{max_pixels / 1e6:g} megapixels"
            raise ImageTooLargeError(f"its frames of {context.width} x {context.height} are above the cap of {cap}")
        try:
            for frame in container.decode(stream):
                return frame
        except av.FFmpegError as error:
            raise InputError(f"no frame can be decoded: {reason(error)}") from error
        raise InputError("it has no frames")

    def _describe(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        frame: av.VideoFrame,
        max_size: int | None,
    ) -> VideoInfo:
        start = max(Fraction(0), Fraction(container.start_time or 0, _MICROSECONDS))
        length = None if container.duration is None else container.duration / _MICROSECONDS
        begin, end = self._settings.start or 0, self._settings.end
        if length is not None and begin >= length:
            raise InputError(f"it is over after {length:.2f} s, before the start at {begin:g} s")
        if length is not None or end is not None:
            length = min(value for value in (length, end) if value is not None) - begin
        orientation, stored = orientation_of(frame), _limited((frame.width, frame.height), max_size)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return VideoInfo(
            size=stored[::-1] if orientation.turned else stored,
            stored_size=stored,
            orientation=orientation,
            aspect=1 / aspect if orientation.turned else aspect,
            colour=colour_of(frame),
            rate=stream.average_rate or stream.guessed_rate or _FALLBACK_RATE,
            time_base=stream.time_base or 1 / _FALLBACK_RATE,
            origin=start + exact(begin),
            seconds=length,
        )

    def _packets(self, wanted: set[int]) -> Iterator[av.Packet[av.stream.Stream]]:
        """Those of the video and of ``wanted`` from the key frame before the start to the end; the last packet of a
        stream is the empty one that makes a decoder give out what it still holds.
        """
        settings, origin = self._settings, self.info.origin
        if settings.start:
            self._container.seek(int(origin * _MICROSECONDS))
        limit = None if settings.end is None else origin + exact(settings.end) - exact(settings.start or 0)
        live = {self._stream.index} | {
            stream.index for stream in self.other_streams if stream.index in wanted and stream.type == "audio"
        }
        reached = Fraction(0)
        for packet in self._container.demux():
            if packet.is_corrupt:
                raise InputError(f"{self.path} is cut short or damaged at {float(reached):.2f} s")
            if packet.dts is not None:
                reached = max(reached, (packet.dts + (packet.duration or 0)) * packet.time_base)
                if limit is not None and packet.dts * packet.time_base >= limit:
                    live.discard(packet.stream.index)
                    if not live:
                        break
            if packet.stream.index in wanted or packet.stream.index == self._stream.index:
                yield packet
        else:
            self._check_complete(float(reached))
            return
        yield from self._flush()

    def _flush(self) -> Iterator[av.Packet[av.stream.Stream]]:
        packet: av.Packet[av.stream.Stream] = av.Packet()
        packet.stream = self._stream
        yield packet

    def _check_complete(self, reached: float) -> None:
        """Matroska files that were cut off simply end; MP4 files give an error of their own."""
        if "matroska" not in self._container.format.name or self._container.duration is None:
            return
        length = self._container.duration / _MICROSECONDS
        if reached < length - _SLACK:
            raise InputError(f"{self.path} is cut short: it ends at {reached:.2f} s of {length:.2f} s")

    def _convert(self, frame: av.VideoFrame, timeline: Timeline, reformatter: VideoReformatter) -> Frame:
        pixels = self.info.orientation.apply(to_rgb(frame, self.info.stored_size, reformatter, quick=self._quick))
        pts, duration = timeline.place(frame)
        return Frame(pixels, pts, duration)


def _limited(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    if max_size is None or max(size) <= max_size:
        return size
    scale = max_size / max(size)
    width, height = (max(2, round(side * scale / 2) * 2) for side in size)
    return width, height
