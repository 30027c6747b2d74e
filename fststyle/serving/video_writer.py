"""Frames as RGB arrays, and packets of other streams -> a video file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from fststyle.errors import DependencyError, OutputError
from fststyle.serving.ffmpeg import av, reason, url
from fststyle.serving.scheduling import scheduling_kept
from fststyle.serving.video_formats import Target
from fststyle.serving.video_picture import VideoReformatter, from_rgb
from fststyle.serving.video_reader import Frame, VideoInfo

Encoded: TypeAlias = "av.Packet[av.video.stream.VideoStream]"
_QUICKTIME = ("mp4", "mov")
_FEW = 4  # frames; more than x265 holds back for reordering


class VideoWriter:
    """A file that is being written; a context manager. It is whole once :meth:`finish` has returned.

    Time stamps, time base, frame rate, pixel aspect, matrix, range, primaries and transfer are those of the input.
    Errors are :class:`~fststyle.errors.OutputError` and call the file ``shown``.
    """

    def __init__(self, path: Path, target: Target, info: VideoInfo, *, threads: int, shown: Path) -> None:
        """
        :raises DependencyError: this build of FFmpeg lacks the encoder.
        :raises OutputError: the encoder cannot take frames of that size.
        """
        self._target, self._info, self._shown = target, info, shown
        codec = target.codec
        check_encoder(target)
        options = dict(target.container.options)
        if target.container.name in _QUICKTIME:  # else a first frame later than 0 is moved to whole milliseconds
            options["movie_timescale"] = str(info.time_base.denominator)
        self._container = av.open(url(path), "w", format=target.container.name, container_options=options)
        self._outputs: dict[int, av.stream.Stream] = {}
        try:
            self._stream, self._encoder = self._add_video(threads)
        except (av.FFmpegError, ValueError) as error:
            self._container.close()
            width, height = info.size
            raise OutputError(f"{codec.encoder} cannot encode frames of {width} x {height}: {error}") from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(av.FFmpegError):  # after finish it does nothing; before, the file is thrown away
            self._container.close()

    def copy(self, stream: av.stream.Stream) -> bool:
        """Take the packets of ``stream`` too, unchanged; false where the container cannot hold them."""
        if stream.type not in ("audio", "subtitle") or stream.codec_context is None:
            return False
        context = stream.codec_context
        if not {context.name, context.codec.canonical_name} & self._container.supported_codecs:
            return False
        try:
            output = self._container.add_stream_from_template(stream)
        except (av.FFmpegError, ValueError):
            return False
        if stream.language:
            output.metadata["language"] = stream.language
        output.disposition = stream.disposition
        self._outputs[stream.index] = output
        return True

    def write(self, item: Frame | av.Packet[av.stream.Stream]) -> None:
        with self._reported():
            if isinstance(item, Frame):
                self._mux(self._encoder.encode(item))
            else:
                item.stream = self._outputs[item.stream.index]
                self._container.mux_one(item)

    def finish(self) -> None:
        """Write what the encoder still holds, and the index."""
        with self._reported():
            self._mux(self._encoder.finish())
            self._container.close()

    def write_encoded(self, packet: av.Packet[av.stream.Stream]) -> None:
        """A packet of a :class:`FrameEncoder` for the same target and input, instead of a frame."""
        with self._reported():
            packet.stream = self._stream
            self._container.mux_one(packet)

    def close(self) -> None:
        """Write the index, after packets that were encoded elsewhere."""
        with self._reported():
            self._container.close()

    def _mux(self, packets: list[Encoded]) -> None:
        for packet in packets:
            self._container.mux_one(packet)

    def _add_video(self, threads: int) -> tuple[av.video.stream.VideoStream, FrameEncoder]:
        info, codec = self._info, self._target.codec
        stream = self._container.add_stream(codec.encoder, rate=info.rate, time_base=info.time_base)
        if not isinstance(stream, av.video.stream.VideoStream):
            raise OutputError(f"{codec.encoder} encodes no video")
        encoder = FrameEncoder(self._target, info, stream.codec_context, encode=stream.encode, threads=threads)
        return stream, encoder

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            raise OutputError(f"cannot write {self._shown}: {reason(error)}") from error


class FrameEncoder:
    """Frames in, packets out: the same ones whether they go into a file at once or are kept first."""

    def __init__(
        self,
        target: Target,
        info: VideoInfo,
        context: av.VideoCodecContext,
        *,
        encode: Callable[[av.VideoFrame | None], list[Encoded]],
        threads: int,
    ) -> None:
        """Sets up and opens ``context``; ``encode`` is its method, or that of the stream that it belongs to."""
        codec = target.codec
        self._target, self._info, self._encode = target, info, encode
        odd = info.size[0] % 2 or info.size[1] % 2
        self._pixel_format = codec.odd_pixels if odd else codec.pixels
        self._reformatter = VideoReformatter()
        self._durations: dict[int, int] = {}
        self._frames = 0
        context.width, context.height = info.size
        context.pix_fmt = self._pixel_format
        context.time_base = info.time_base
        context.sample_aspect_ratio = info.aspect
        context.colorspace, context.color_range = info.colour.matrix, info.colour.range
        context.color_primaries, context.color_trc = info.colour.primaries, info.colour.transfer
        context.thread_count = threads
        context.options = target.encoder_options
        if target.codec_name == "hevc" and target.container.name in _QUICKTIME:
            context.codec_tag = "hvc1"  # Apple's players take no other
        with scheduling_kept():
            context.open(strict=True)

    def encode(self, item: Frame) -> list[Encoded]:
        frame = from_rgb(item.pixels, self._pixel_format, self._info.colour, self._reformatter)
        frame.pts, frame.time_base, frame.duration = item.pts, self._info.time_base, item.duration
        self._durations[item.pts] = item.duration
        self._frames += 1
        return self._timed(self._encode(frame))

    def finish(self) -> list[Encoded]:
        """What is still inside."""
        packets = self._encode(None)
        if self._target.codec_name == "hevc" and self._frames <= _FEW:
            _number(packets)
        return self._timed(packets)

    def _timed(self, packets: list[Encoded]) -> list[Encoded]:
        for packet in packets:
            # Not every encoder passes durations on, and that of the last frame is only known from here.
            packet.duration = self._durations.pop(packet.pts or 0, packet.duration)
        return packets


def lone_encoder(target: Target, info: VideoInfo, *, threads: int) -> FrameEncoder:
    """One that belongs to no file yet.

    :raises DependencyError: this build of FFmpeg lacks the encoder.
    """
    check_encoder(target)
    context = av.CodecContext.create(target.codec.encoder, "w")
    if not isinstance(context, av.VideoCodecContext):
        raise OutputError(f"{target.codec.encoder} encodes no video")
    context.framerate = info.rate
    context.flags |= av.codec.context.Flags.global_header.value  # as every container here asks for
    return FrameEncoder(target, info, context, encode=context.encode, threads=threads)


def check_encoder(target: Target) -> None:
    """:raises DependencyError: this build of FFmpeg lacks the encoder."""
    encoder = target.codec.encoder
    if encoder not in av.codecs_available:
        raise DependencyError(f"this build of FFmpeg has no {encoder}, which {target.codec_name} needs")
    os.environ.setdefault("SVT_LOG", "1")  # else SVT-AV1 prints what it does to standard error


def _number(packets: list[Encoded]) -> None:
    """Decoding times for all frames of a very short video, a tick apart and before the first is shown.

    x265 takes them from a variable that it has only set once as many frames have come as it reorders.
    """
    first = min((packet.pts or 0 for packet in packets), default=0)
    for number, packet in enumerate(packets):
        packet.dts = first - len(packets) + number
