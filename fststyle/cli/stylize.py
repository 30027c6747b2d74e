"""``fststyle stylize``: photos in, stylised photos out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fststyle.errors import BatchError, OptionError, outcome
from fststyle.images import MAX_PIXELS, decode, encode, read_picture
from fststyle.serving.stylizer import Look, Stages, Stylizer, check_target, write
from fststyle.styles import DEFAULT_STYLE

if TYPE_CHECKING:
    from fststyle.serving.folder import Finished
    from fststyle.serving.providers import Device

STREAM = "-"


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--device`` and ``--threads``, for every command that runs a network."""
    device = click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where the network runs; auto takes the GPU if it works, and says so.",
    )
    threads = click.option("--threads", type=int, help="Processor threads.  [default: all that this process may use]")
    return device(threads(command))


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", metavar="OUT", help="File or folder to write, or - for standard output.")
@click.option("--style", default=DEFAULT_STYLE, show_default=True, metavar="NAME|FILE.onnx", help="Which style.")
@click.option("--strength", type=float, default=Look.strength, show_default=True, help="0 the photo, 1 the full style.")
@click.option("--keep-color", is_flag=True, help="Keep the photo's colours, take the style's light and strokes.")
@click.option("--max-size", type=int, metavar="PIXELS", help="Scale down photos whose longer side is above this.")
@click.option("--max-pixels", type=int, default=MAX_PIXELS, show_default=True, help="Refuse photos with more pixels.")
@device_options
@click.option("--keep-metadata", is_flag=True, help="Keep EXIF, location included; else all metadata are left out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each result.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def stylize(
    inputs: tuple[str, ...],
    output: str | None,
    style: str,
    strength: float,
    keep_color: bool,
    max_size: int | None,
    max_pixels: int,
    device: Device,
    threads: int | None,
    keep_metadata: bool,
    as_json: bool,
    force: bool,
) -> None:
    """Stylise each INPUT: a photo, a folder of any depth, a glob, or - for standard input.

    One photo goes to the file OUT; several go to the folder OUT, sub-folders kept. Without -o the result of photo.jpg
    is photo-STYLE.jpg beside it. A photo that fails does not stop the others.
    """
    look = Look(strength=strength, keep_color=keep_color, max_size=max_size)
    request = _Request(
        inputs=inputs, output=output, look=look, keep_metadata=keep_metadata, as_json=as_json, force=force
    )

    def load() -> Stylizer:
        stylizer = Stylizer(style, device=device, threads=threads, max_pixels=max_pixels)
        if device == "auto" and not as_json:
            click.echo(f"fststyle: {stylizer.engine.note}", err=True)
        return stylizer

    if STREAM in (*inputs, output):
        _stylize_stream(request, load)
    else:
        _stylize_files(request, load, Path(style).stem)


@dataclass(frozen=True, kw_only=True)
class _Request:
    inputs: tuple[str, ...]
    output: str | None
    look: Look
    keep_metadata: bool
    as_json: bool
    force: bool


def _stylize_files(request: _Request, load: Callable[[], Stylizer], style: str) -> None:
    from fststyle.serving.folder import plan_jobs, run_jobs

    jobs = plan_jobs(request.inputs, request.output, style=style, force=request.force)
    stylizer = load()
    failed = []
    finished = run_jobs(stylizer, jobs, request.look, force=request.force, keep_metadata=request.keep_metadata)
    for result in finished if request.as_json else _with_progress(finished, len(jobs)):
        if request.as_json:
            click.echo(json.dumps(_as_json(result, stylizer)))
        elif result.size is not None:
            seconds = sum(result.milliseconds.values()) / 1000
            width, height = result.size
            source, target = map(click.format_filename, (result.job.source, result.job.target))
            click.echo(f"{source} -> {target} ({width} x {height}, {seconds:.2f} s)")
        if result.error is not None:
            if len(jobs) == 1:
                raise result.error
            failed.append(result)
            click.echo(f"fststyle: error: {result.error}", err=True)
    if failed:
        raise BatchError(
            f"{len(failed)} of {len(jobs)} pictures failed: {', '.join(str(f.job.source) for f in failed)}"
        )


def _as_json(result: Finished, stylizer: Stylizer) -> dict[str, Any]:
    places = {"input": str(result.job.source), "output": str(result.job.target)}
    if result.error is not None:
        error = {"type": type(result.error).__name__, "message": str(result.error)}
        return {**places, "error": {**error, "exit_code": outcome(result.error).exit_code}}
    return _result(places, stylizer, result.size, result.milliseconds)


def _result(
    places: dict[str, str], stylizer: Stylizer, size: tuple[int, int] | None, milliseconds: dict[str, float]
) -> dict[str, Any]:
    return {
        **places,
        "style": stylizer.style.name,
        "size": size,
        "milliseconds": {stage: round(spent, 2) for stage, spent in milliseconds.items()},
        "provider": stylizer.engine.provider,
    }


def _stylize_stream(request: _Request, load: Callable[[], Stylizer]) -> None:
    """One photo from standard input, to standard output, or both; the picture keeps its format unless OUT names
    another.
    """
    source, *more = request.inputs
    if more:
        raise OptionError(f"- stands for one picture and cannot be mixed with other inputs, got {len(more) + 1} inputs")
    target = None if request.output in (None, STREAM) else Path(str(request.output))
    if target is not None:
        check_target(target, force=request.force)
    elif sys.stdout.isatty():
        raise OptionError("standard output is a terminal, which shows no pictures; name a file with -o or use a pipe")
    stylizer, stages = load(), Stages()
    with stages.measure("decode"):
        if source == STREAM:
            photo = decode(sys.stdin.buffer.read(), name="standard input", max_pixels=stylizer.max_pixels)
        else:
            photo = read_picture(source, max_pixels=stylizer.max_pixels)
    picture = stylizer.stylise(photo, request.look, stages)
    if target is not None:
        write(picture, target, force=request.force, keep_metadata=request.keep_metadata, stages=stages)
    else:
        with stages.measure("encode"):
            data = encode(picture, picture.result_format, keep_metadata=request.keep_metadata)
        with stages.measure("write"):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    if request.as_json:
        places = {"input": source, "output": STREAM if target is None else str(target)}
        report = _result(places, stylizer, picture.size, stages.milliseconds)
        click.echo(json.dumps(report), err=target is None)  # standard output has the picture


def _with_progress(finished: Iterable[Finished], count: int) -> Iterator[Finished]:
    """Passes results on, with a bar on standard error if there are several and that is a terminal."""
    if count < 2 or not sys.stderr.isatty():
        yield from finished
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Stylising"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("Stylising", total=count)
        for result in finished:
            yield result
            bar.advance(task)
