"""A video -> the same video in a style: decoding, network and encoding each in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from fststyle.atomic import atomic_path, check_output
from fststyle.errors import OptionError
from fststyle.images import Picture
from fststyle.serving.channel import Channel, beside
from fststyle.serving.ffmpeg import av
from fststyle.serving.stabilize import Stabilizer
from fststyle.serving.stylizer import Look, Stages, Stylizer
from fststyle.serving.video_formats import Target, VideoSettings, target_for
from fststyle.serving.video_reader import Frame, VideoInfo, VideoReader
from fststyle.serving.video_writer import VideoWriter

Item: TypeAlias = "Frame | av.Packet[av.stream.Stream]"
Progress = Callable[[int, int | None], None]
"""Called after each frame with how many are done and how many there will be, as far as the file says."""
# Between two threads wait up to 4 frames, enough to even out their pace; packets of sound are many and small.
_CAPACITY, _FRAME, _PACKET = 256, 64, 1


@dataclass(frozen=True, kw_only=True)
class VideoReport:
    """What was made: ``seconds`` is how long the video is, ``took`` how long it took. ``copied`` names the streams that
    were taken over unchanged, ``left_out`` those that were not, ``skipped`` counts frames without a time of their own.
    """

    output: Path
    size: tuple[int, int]
    frames: int
    skipped: int
    rate: Fraction
    seconds: float
    codec: str
    cuts: int
    took: float
    milliseconds: dict[str, float]
    copied: list[str]
    left_out: list[str]


def stylise_video(
    stylizer: Stylizer,
    source: Path,
    output: Path,
    look: Look,
    settings: VideoSettings,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> VideoReport:
    """Stylise every frame of ``source`` and write ``output``, which appears when it is whole.

    It has the input's size (up to ``look.max_size``), time stamps (moved so that the file, or the part that is kept,
    begins at 0), pixel aspect, colour matrix, range and tags. A display matrix is applied, so that the network sees
    frames upright and every player shows them so. Sound and subtitles are copied where the container can hold them;
    other streams and metadata are left out. Frames have 8 bits a channel, no alpha, and are taken as they are stored:
    interlaced ones are not taken apart.

    :raises InputError: ``source`` cannot be read, is no video, is damaged or cut short.
    :raises OutputError: ``output`` cannot be written, or exists and ``force`` is false.
    :raises OptionError: an unknown suffix or codec, or sound that ``output`` cannot hold.
    :raises DependencyError: FFmpeg lacks the encoder.
    """
    target = check_video_target(source, output, settings, force=force)
    started, threads = time.perf_counter(), stylizer.engine.threads
    reader = VideoReader(source, settings, max_size=look.max_size, max_pixels=stylizer.max_pixels, threads=threads)
    with (
        reader,
        atomic_path(output, overwrite=force) as temporary,
        VideoWriter(temporary, target, reader.info, threads=threads, shown=output) as writer,
    ):
        copied, left_out = _share_out(reader, writer, output)
        names = [_label(stream) for stream in copied]  # once the reader is closed they must not be touched
        run = _Run(stylizer, Look(strength=look.strength, keep_color=look.keep_color), settings, reader.info)
        run.all(reader.items(copied), writer.write, progress)
        with run.stages.measure("encode"):
            writer.finish()
    return VideoReport(
        output=output,
        size=reader.info.size,
        frames=run.frames,
        skipped=reader.skipped,
        rate=reader.info.rate,
        seconds=float(run.end * reader.info.time_base),
        codec=target.codec_name,
        cuts=run.stabilizer.cuts if run.stabilizer else 0,
        took=time.perf_counter() - started,
        milliseconds=run.stages.milliseconds,
        copied=names,
        left_out=left_out,
    )


def check_video_target(source: Path, output: Path, settings: VideoSettings, *, force: bool) -> Target:
    """Everything about the output that can be known before the style is loaded; errors as :func:`stylise_video`."""
    target = target_for(output, settings)
    if source.exists() and output.exists() and source.samefile(output):
        raise OptionError(f"{output} would replace the input; inputs are never touched")
    check_output(output, overwrite=force)
    return target


def _share_out(reader: VideoReader, writer: VideoWriter, output: Path) -> tuple[list[av.stream.Stream], list[str]]:
    copied, left_out = [], []
    for stream in reader.other_streams:
        if writer.copy(stream):
            copied.append(stream)
        elif stream.type == "audio":
            raise OptionError(
                f"a {output.suffix} file cannot hold the sound of {reader.path} ({_label(stream)}); try .mkv"
            )
        else:
            left_out.append(_label(stream))
    return copied, left_out


def _label(stream: av.stream.Stream) -> str:
    name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
    return f"{stream.type} {name}"


def _weight(item: Item) -> int:
    return _FRAME if isinstance(item, Frame) else _PACKET


class _Run:
    """The middle of the road and its two neighbours. The network runs in the thread that calls, where a signal's
    exception arrives; it stops the others.
    """

    def __init__(self, stylizer: Stylizer, look: Look, settings: VideoSettings, info: VideoInfo) -> None:
        self._stylizer, self._look, self._expected = stylizer, look, info.frames
        self.stabilizer = Stabilizer() if settings.stabilize else None
        self.stages = Stages()
        self.frames, self.end = 0, 0

    def all(self, source: Iterable[Item], write: Callable[[Item], None], progress: Progress | None) -> None:
        """Read, stylise and write everything; the first error of any part is raised once all have stopped."""
        decoded, stylised = Channel(_CAPACITY, _weight), Channel(_CAPACITY, _weight)
        with (
            beside(lambda: self._decode(source, decoded), decoded),
            beside(lambda: self._encode(stylised, write), stylised),
        ):
            for item in decoded:
                if not isinstance(item, Frame):
                    stylised.put(item)
                    continue
                stylised.put(self._stylise(item))
                if progress is not None:
                    progress(self.frames, self._expected)
            stylised.finish()

    def _decode(self, source: Iterable[Item], decoded: Channel[Item]) -> None:
        items = iter(source)
        while True:
            with self.stages.measure("decode"):
                item = next(items, None)
            if item is None:
                decoded.finish()
                return
            decoded.put(item)

    def _encode(self, stylised: Channel[Item], write: Callable[[Item], None]) -> None:
        for item in stylised:
            with self.stages.measure("encode"):
                write(item)

    def _stylise(self, frame: Frame) -> Frame:
        pixels = self._stylizer.stylise(Picture(frame.pixels), self._look, self.stages).pixels
        if self.stabilizer is not None:
            with self.stages.measure("stabilize"):
                pixels = self.stabilizer(frame.pixels, pixels)
        self.frames += 1
        self.end = max(self.end, frame.pts + frame.duration)
        return Frame(pixels, frame.pts, frame.duration)
