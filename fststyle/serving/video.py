"""A video -> the same video in a style: decoding, network and encoding each in threads of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

from fststyle.atomic import atomic_path, check_output
from fststyle.errors import OptionError
from fststyle.images import MAX_PIXELS
from fststyle.serving.engine import Weights
from fststyle.serving.ffmpeg import av
from fststyle.serving.look import Look
from fststyle.serving.mix_timeline import Fade, MixTimeline
from fststyle.serving.regions import MaskedStylizer
from fststyle.serving.shared_network import check_blend, with_weights
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.video_formats import Target, VideoSettings, target_for
from fststyle.serving.video_network import FrameNetwork
from fststyle.serving.video_reader import Frame, VideoInfo, VideoReader
from fststyle.serving.video_resume import Partial, SegmentWriter, decisive_facts, reserved
from fststyle.serving.video_run import Progress, Run
from fststyle.serving.video_writer import VideoWriter, lone_encoder

FRAMES = "the video's frames, upright,"
"""What messages call them."""
_MEMORY = 48
"""Frames after which what came before them weighs less than a level in a stabilised picture (0.85^48 * 255 = 0.1)."""


@dataclass(frozen=True, kw_only=True)
class VideoReport:
    """What was made: ``seconds`` is how long the video is, ``took`` how long it took. ``copied`` names the streams that
    were taken over unchanged, ``left_out`` those that were not, ``skipped`` counts frames without a time of their own.
    ``resumed`` frames were taken over from a run that was interrupted; ``restarted``: there had been such a run, of
    another input or with other settings.
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
    resumed: int = 0
    restarted: bool = False


def stylise_video(
    stylizer: Stylizer,
    source: Path,
    output: Path,
    look: Look,
    settings: VideoSettings,
    *,
    timeline: MixTimeline | None = None,
    force: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> VideoReport:
    """Stylise every frame of ``source`` and write ``output``, which appears when it is whole.

    It has the input's size (up to ``look.max_size``), time stamps (moved so that the file, or the part that is kept,
    begins at 0), pixel aspect, colour matrix, range and tags. A display matrix is applied, so that the network sees
    frames upright and every player shows them so. Sound and subtitles are copied where the container can hold them;
    other streams and metadata are left out. Frames have 8 bits a channel, no alpha, and are taken as they are stored:
    interlaced ones are not taken apart.

    ``timeline`` mixes the styles of ``stylizer``'s palette by the time in ``source``, whatever its own mix is; of a
    :class:`~fststyle.serving.regions.MaskedStylizer` those of its main style. Its masks are laid over every frame.

    With ``resume`` what is done is kept in a hidden folder beside ``output`` until that is whole, however the run
    ends: the next call goes on from there, if the file, the style, the timeline, the look and the settings are the
    same. It has to be given from the first call on.

    :raises InputError: ``source`` cannot be read, is no video, is damaged or cut short; a mask has not the
        frames' shape.
    :raises OutputError: ``output`` cannot be written, or exists and ``force`` is false.
    :raises OptionError: an unknown suffix or codec, or sound that ``output`` cannot hold.
    :raises DependencyError: FFmpeg lacks the encoder.
    :raises StyleNotFoundError: ``timeline`` has a style that ``stylizer``'s palette has not.
    """
    target = check_video_target(source, output, settings, force=force)
    for part in stylizer.parts:
        check_blend(part.style, look)
    fade = timeline.over(stylizer.style.styles) if timeline is not None else None
    started, threads = time.perf_counter(), stylizer.engine.threads
    reader = VideoReader(
        source,
        settings,
        max_size=look.max_size,
        max_pixels=stylizer.max_pixels,
        threads=threads,
        quick=not _shows_frames(stylizer, fade, look),
    )
    with reader:
        if isinstance(stylizer, MaskedStylizer):
            stylizer.check_shape(reader.info.size, FRAMES)
        own, weights = replace(look, max_size=None), _weights(fade, reader.info, settings)
        network = FrameNetwork(stylizer, own, reader.info.size, stabilize=settings.stabilize, weights=weights)
        run = Run(network, reader.info)
        job = _Job(reader, target, output, force=force, threads=threads, run=run, progress=progress)
        if resume:
            with reserved(output):
                copied, left_out = job.resumed(decisive_facts(stylizer, fade, source, look, settings, target), settings)
        else:
            copied, left_out = job.straight()
    return VideoReport(
        output=output,
        size=reader.info.size,
        frames=run.frames,
        skipped=reader.skipped,
        rate=reader.info.rate,
        seconds=float(run.end * reader.info.time_base),
        codec=target.codec_name,
        cuts=network.stabilizer.cuts if network.stabilizer else 0,
        took=time.perf_counter() - started,
        milliseconds=network.stages.milliseconds,
        copied=copied,
        left_out=left_out,
        resumed=job.taken_over,
        restarted=job.restarted,
    )


def _shows_frames(stylizer: Stylizer, fade: Fade | None, look: Look) -> bool:
    """Whether pixels of the frames themselves may be seen."""
    if fade is not None and any(with_weights(stylizer, weights).shows_photo for weights in fade.weights):
        return True
    return look.strength < 1 or look.keep_color or stylizer.shows_photo


def _weights(fade: Fade | None, info: VideoInfo, settings: VideoSettings) -> Callable[[Frame], Weights] | None:
    """Of each frame, by its time in the input."""
    start = settings.start or 0.0
    return None if fade is None else lambda frame: fade.at(start + float(frame.pts * info.time_base))


class _Job:
    """The way from an open reader to a whole file, at once or by segments."""

    def __init__(
        self,
        reader: VideoReader,
        target: Target,
        output: Path,
        *,
        force: bool,
        threads: int,
        run: Run,
        progress: Progress | None,
    ) -> None:
        self._reader, self._target, self._output = reader, target, output
        self._force, self._threads, self._run, self._progress = force, threads, run, progress
        self.taken_over, self.restarted = 0, False

    def straight(self) -> tuple[list[str], list[str]]:
        """Names of the streams that were copied, and of those that were left out."""
        with (
            atomic_path(self._output, overwrite=self._force) as temporary,
            self._writer(temporary) as writer,
        ):
            copied, left_out = _share_out(self._reader, writer, self._output)
            names = [_label(stream) for stream in copied]  # once the reader is closed they must not be touched
            self._run.all(self._reader.items(copied), writer.write, self._progress)
            with self._run.network.stages.measure("encode"):
                writer.finish()
        return names, left_out

    def resumed(self, facts: dict[str, Any], settings: VideoSettings) -> tuple[list[str], list[str]]:
        """As :meth:`straight`, over the segments that are there already and those that follow."""
        partial = Partial(self._output, facts)
        trial = partial.folder / f"trial{self._output.suffix}"
        with self._writer(trial) as writer:  # what the file cannot hold is said before the work
            _share_out(self._reader, writer, self._output)
        trial.unlink(missing_ok=True)
        self.taken_over, self.restarted = partial.frames, partial.stale
        first = max(0, partial.frames - (_MEMORY if settings.stabilize else 0))
        self._run.go_on(first, partial.frames, partial.end)
        segments = SegmentWriter(partial, lambda: lone_encoder(self._target, self._reader.info, threads=self._threads))
        frames = (item for item in self._reader.items(()) if isinstance(item, Frame))
        self._run.all(islice(frames, first, None), segments.write, self._progress)
        segments.finish()
        found = self._assemble(partial, settings)
        partial.clear()
        return found

    def _assemble(self, partial: Partial, settings: VideoSettings) -> tuple[list[str], list[str]]:
        again = VideoReader(self._reader.path, settings, max_size=None, max_pixels=MAX_PIXELS, threads=self._threads)
        with (
            again,
            atomic_path(self._output, overwrite=self._force) as temporary,
            self._writer(temporary) as writer,
        ):
            copied, left_out = _share_out(again, writer, self._output)
            names = [_label(stream) for stream in copied]
            others = again.copied_packets(copied) if copied else iter(())
            encoded = partial.packets(self._reader.info)
            for packet, is_frame in merge(_marked(encoded, True), _marked(others, False), key=_decoding_time):
                (writer.write_encoded if is_frame else writer.write)(packet)
            writer.close()
        return names, left_out

    def _writer(self, path: Path) -> VideoWriter:
        return VideoWriter(path, self._target, self._reader.info, threads=self._threads, shown=self._output)


def frame_size(source: Path, settings: VideoSettings, *, max_pixels: int) -> tuple[int, int]:
    """Width and height of the frames, upright; errors as :class:`~fststyle.serving.video_reader.VideoReader`."""
    with VideoReader(source, settings, max_size=None, max_pixels=max_pixels, threads=1) as reader:
        return reader.info.size


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


def _marked(packets: Iterable[av.Packet[Any]], is_frame: bool) -> Iterator[tuple[av.Packet[Any], bool]]:
    return ((packet, is_frame) for packet in packets)


def _decoding_time(marked: tuple[av.Packet[Any], bool]) -> Fraction:
    packet, _ = marked
    return (packet.dts or 0) * packet.time_base
