"""``fststyle video``: a video in, the same video in a style out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fststyle.cli.masking import Masking, mask_options
from fststyle.cli.stylize import blend_option, device_options
from fststyle.cli.timelines import MIX, style_and_timeline, timeline_option
from fststyle.errors import OptionError
from fststyle.images import MAX_PIXELS
from fststyle.serving.look import Look
from fststyle.serving.mix_timeline import MixTimeline, parse_time
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.video_formats import CODECS, VideoSettings
from fststyle.styles import DEFAULT_STYLE, find_style

if TYPE_CHECKING:
    from fststyle.serving.look import Blend
    from fststyle.serving.providers import Device
    from fststyle.serving.video import VideoReport
    from fststyle.serving.video_run import Progress

_QUALITIES = ", ".join(f"{name} {codec.quality}" for name, codec in CODECS.items())


class _Seconds(click.ParamType[float]):
    """SECONDS, MM:SS or HH:MM:SS, each with decimals."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_time(str(value))
        except OptionError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.option(
    "--style", default=DEFAULT_STYLE, show_default=True, metavar=MIX, help="Which style, or a mix of a palette's."
)
@timeline_option("in INPUT")
@click.option("--strength", type=float, default=Look.strength, show_default=True, help="0 the video, 1 the full style.")
@blend_option
@mask_options
@click.option("--keep-color", is_flag=True, help="Keep the video's colours, take the style's light and strokes.")
@click.option("--max-size", type=int, metavar="PIXELS", help="Scale down if the longer side is above this.")
@click.option("--max-pixels", type=int, default=MAX_PIXELS, show_default=True, help="Refuse frames with more pixels.")
@click.option("--stabilize", is_flag=True, help="Less flicker: smooth over time where the video stands still.")
@click.option("--start", type=_Seconds(), help="Begin here: seconds, MM:SS or HH:MM:SS.")
@click.option("--end", type=_Seconds(), help="End here, counted from the beginning of INPUT.")
@click.option("--codec", type=click.Choice(list(CODECS)), help="How to compress.  [default: h264; vp9 for .webm]")
@click.option(
    "--quality", type=int, metavar="CRF", help=f"Constant rate factor, lower is better.  [default: {_QUALITIES}]"
)
@click.option("--resume", is_flag=True, help="Keep what is done beside OUT; the same command goes on after an end.")
@device_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def video(
    source: Path,
    output: Path,
    style: str,
    timeline: str | None,
    strength: float,
    blend: Blend,
    keep_color: bool,
    max_size: int | None,
    max_pixels: int,
    stabilize: bool,
    start: float | None,
    end: float | None,
    codec: str | None,
    quality: int | None,
    resume: bool,
    device: Device,
    threads: int | None,
    as_json: bool,
    force: bool,
    masking: Masking,
) -> None:
    """Stylise the video INPUT and write OUT, whose suffix names its format.

    Size, frame times, orientation and sound are those of INPUT. OUT appears when it is whole.
    """
    look = Look(strength=strength, blend=blend, keep_color=keep_color, max_size=max_size)
    style, moments = style_and_timeline(style, timeline)
    settings = VideoSettings(codec=codec, quality=quality, start=start, end=end, stabilize=stabilize)
    masks, main = masking.read(max_pixels), masking.main((style,))
    masks.styles([find_style(name) for name in main])  # says what is wrong with them before one is loaded

    from fststyle.serving.video import FRAMES, check_video_target, frame_size, stylise_video

    check_video_target(source, output, settings, force=force)
    if masking:
        masks.check_shapes(frame_size(source, settings, max_pixels=max_pixels), FRAMES)

    def load(name: str | Path) -> Stylizer:
        return Stylizer(name, device=device, threads=threads, max_pixels=max_pixels)

    (stylizer,) = masks.over([load(name) for name in main], load, threads)
    if device == "auto" and not as_json:
        for note in dict.fromkeys(part.engine.note for part in stylizer.parts):
            click.echo(f"fststyle: {note}", err=True)
    with _progress(shown=not as_json and sys.stderr.isatty()) as progress:
        report = stylise_video(
            stylizer,
            source,
            output,
            look,
            settings,
            timeline=moments,
            force=force,
            resume=resume,
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(_as_json(source, stylizer, moments, masking, report)))
    else:
        _tell(source, report)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Progress | None]:
    """Frames, frames per second and the time left, on standard error."""
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("Stylising"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} frames/s"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task, started = bars.add_task("Stylising", total=None, rate=0.0), time.monotonic()

        def show(done: int, total: int | None) -> None:
            rate = done / max(1e-6, time.monotonic() - started)
            bars.update(task, completed=done, total=None if total is None else max(done, total), rate=rate)

        yield show


def _tell(source: Path, report: VideoReport) -> None:
    width, height = report.size
    speed = report.frames / report.took
    click.echo(
        f"{click.format_filename(source)} -> {click.format_filename(report.output)} ({width} x {height}, "
        f"{report.frames} frames, {report.seconds:.2f} s, {report.codec}; {report.took:.1f} s, {speed:.1f} frames/s)"
    )
    if report.restarted:
        click.echo("fststyle: begun anew, as the input, the style or an option had changed since", err=True)
    if report.resumed:
        click.echo(f"fststyle: {report.resumed} frames were taken over from the run before", err=True)
    if report.left_out:
        click.echo(
            f"fststyle: left out, as {report.output.suffix} cannot hold it: {', '.join(report.left_out)}", err=True
        )
    if report.skipped:
        click.echo(f"fststyle: left out {report.skipped} frames that came no later than the one before", err=True)


def _as_json(
    source: Path, stylizer: Stylizer, timeline: MixTimeline | None, masking: Masking, report: VideoReport
) -> dict[str, Any]:
    return {
        "input": str(source),
        "output": str(report.output),
        **({"style": stylizer.style.name} if timeline is None else {"timeline": str(timeline)}),
        **masking.as_json(),
        "size": report.size,
        "frames": report.frames,
        "skipped": report.skipped,
        "resumed": report.resumed,
        "rate": float(report.rate),
        "seconds": report.seconds,
        "codec": report.codec,
        "cuts": report.cuts,
        "copied": report.copied,
        "left_out": report.left_out,
        "took": round(report.took, 3),
        "milliseconds": {stage: round(spent, 2) for stage, spent in report.milliseconds.items()},
        "provider": stylizer.engine.provider,
    }
