"""``fststyle stylize``: photos in, stylised photos out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from fststyle.cli.batch import Request, stylize_files
from fststyle.cli.masking import Masking, Masks, mask_options
from fststyle.cli.report import as_json
from fststyle.cli.timelines import MIX
from fststyle.errors import OptionError
from fststyle.images import MAX_PIXELS, decode, encode_for_file, read_picture
from fststyle.serving.look import Blend, Look
from fststyle.serving.memory import LARGEST_UNTILED
from fststyle.serving.picture_file import check_target, write
from fststyle.serving.shared_network import check_blend, load_each
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.tile_choice import DEFAULT_TILE, Tiling, parse_tile
from fststyle.styles import DEFAULT_STYLE, StyleInfo, find_style

if TYPE_CHECKING:
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


blend_option = click.option(
    "--blend",
    type=click.Choice(get_args(Blend)),
    default=Look.blend,
    show_default=True,
    help="How --strength weakens the style: pixels of both are blended, or, with a palette, strokes become weaker in "
    "its network.",
)


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", metavar="OUT", help="File or folder to write, or - for standard output.")
@click.option(
    "--style",
    "names",
    multiple=True,
    default=[DEFAULT_STYLE],
    show_default=True,
    metavar=MIX,
    help="Which style, or a mix of a palette's; may be repeated, and each result's name then ends in its style's.",
)
@click.option("--cycle", is_flag=True, help="Give each photo one of the styles, in turn, instead of all.")
@click.option("--strength", type=float, default=Look.strength, show_default=True, help="0 the photo, 1 the full style.")
@blend_option
@mask_options
@click.option("--keep-color", is_flag=True, help="Keep the photo's colours, take the style's light and strokes.")
@click.option("--max-size", type=int, metavar="PIXELS", help="Scale down photos whose longer side is above this.")
@click.option(
    "--stroke-size",
    type=float,
    metavar="SIZE",
    help="Strokes in proportion to the picture, the same in a preview and at full size; 1 is what a picture of 1024 "
    "pixels gets, 2 twice as large.  [default: so many pixels at any size]",
)
@click.option(
    "--tile",
    default=str(DEFAULT_TILE),
    show_default=True,
    metavar="auto|off|PIXELS",
    help="Run the network in tiles of so many pixels a side, seamless and in bounded memory; auto does so above "
    f"{LARGEST_UNTILED / 1e6:g} megapixels, and for what would not fit.",
)
@click.option("--max-pixels", type=int, default=MAX_PIXELS, show_default=True, help="Refuse photos with more pixels.")
@device_options
@click.option("--keep-metadata", is_flag=True, help="Keep EXIF, location included; else all metadata are left out.")
@click.option("--json", "print_json", is_flag=True, help="Print one JSON object a line for each result.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Append the same lines to FILE.")
@click.option("--watch", is_flag=True, help="Go on with what arrives in the folders, until Ctrl-C or SIGTERM.")
@click.option("--force", is_flag=True, help="Replace files that exist; without it, what is done is skipped.")
def stylize(
    inputs: tuple[str, ...],
    output: str | None,
    names: tuple[str, ...],
    cycle: bool,
    strength: float,
    blend: Blend,
    keep_color: bool,
    max_size: int | None,
    stroke_size: float | None,
    tile: str,
    max_pixels: int,
    device: Device,
    threads: int | None,
    keep_metadata: bool,
    print_json: bool,
    report: Path | None,
    watch: bool,
    force: bool,
    masking: Masking,
) -> None:
    """Stylise each INPUT: a photo, a folder of any depth, a glob, or - for standard input.

    One photo goes to the file OUT; several go to the folder OUT, sub-folders kept. Without -o the result of photo.jpg
    is photo-STYLE.jpg beside it. A photo that fails does not stop the others. Results that an earlier run wrote to the
    folder OUT are skipped, if photo and settings are the same, so that a run that was cut off goes on where it stopped.
    """
    masks, names = masking.read(max_pixels), masking.main(names)
    request = Request(
        inputs=inputs,
        output=output,
        look=Look(
            strength=strength,
            blend=blend,
            keep_color=keep_color,
            max_size=max_size,
            stroke_size=stroke_size,
            tile=parse_tile(tile),
        ),
        masks=masks.digest(),
        cycle=cycle,
        keep_metadata=keep_metadata,
        as_json=print_json,
        report=report,
        watch=watch,
        force=force,
    )

    def load() -> dict[str, Stylizer]:
        def open_network(name: str | Path) -> Stylizer:
            return Stylizer(name, device=device, threads=threads, max_pixels=max_pixels, progress=progress)

        stylizers = masks.over([*load_each(names, open_network)], open_network, threads)
        if device == "auto" and not print_json:
            for note in dict.fromkeys(stylizer.engine.note for stylizer in stylizers):
                click.echo(f"fststyle: {note}", err=True)
        return {stylizer.style.name: stylizer for stylizer in stylizers}

    alone = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    progress = None if print_json else partial(_tile_progress, count=alone and sys.stderr.isatty())
    names = tuple(dict.fromkeys(names))
    if STREAM in (*inputs, output):
        _stylize_stream(request, load, len(names))
    else:
        stylize_files(request, lambda: _results(masks, names, request.look), load)


def _results(masks: Masks, names: Sequence[str], look: Look) -> list[StyleInfo]:
    """What results are named after.

    :raises OptionError: there is none, or one that cannot blend as asked for, be it a region's.
    """
    styles = [find_style(name) for name in names]
    for style in masks.styles(styles):
        check_blend(style, look)
    return masks.results(styles)


def _tile_progress(tiling: Tiling, done: int, *, count: bool) -> None:
    """Says once that a picture is run in tiles; and ``count``s them, on one line."""
    if done == 0:
        size = f"{tiling.width} x {tiling.height}"
        click.echo(f"fststyle: {size} pixels are run in {tiling.count} tiles of up to {tiling.side}", err=True)
    if count:
        click.echo(f"\rfststyle: tile {done} of {tiling.count}", nl=done == tiling.count, err=True)


def _stylize_stream(request: Request, load: Callable[[], dict[str, Stylizer]], styles: int) -> None:
    """One photo from standard input, to standard output, or both; the picture keeps its format unless OUT names
    another.
    """
    source, *more = request.inputs
    if more:
        raise OptionError(f"- stands for one picture and cannot be mixed with other inputs, got {len(more) + 1} inputs")
    if styles > 1 or request.watch or request.report is not None:
        raise OptionError("- stands for one picture: several styles, --watch and --report are for files and folders")
    target = None if request.output in (None, STREAM) else Path(str(request.output))
    if target is not None:
        check_target(target, force=request.force)
    elif sys.stdout.isatty():
        raise OptionError("standard output is a terminal, which shows no pictures; name a file with -o or use a pipe")
    ((style, stylizer),) = load().items()
    stages = Stages()
    with stages.measure("decode"):
        max_pixels, max_size = stylizer.max_pixels, request.look.max_size
        if source == STREAM:
            data = sys.stdin.buffer.read()
            photo = decode(data, name="standard input", max_pixels=max_pixels, max_size=max_size)
        else:
            photo = read_picture(source, max_pixels=max_pixels, max_size=max_size)
    picture = stylizer.stylise(photo, request.look, stages)
    if target is not None:
        write(picture, target, force=request.force, keep_metadata=request.keep_metadata, stages=stages)
    else:
        with stages.measure("encode"):
            encoded = encode_for_file(picture, picture.result_format, keep_metadata=request.keep_metadata)
        with stages.measure("write"):
            sys.stdout.buffer.write(encoded)
            sys.stdout.buffer.flush()
    if request.as_json:
        places = {"input": source, "output": STREAM if target is None else str(target), "style": style}
        report = as_json(places, stylizer, picture.size, stages.milliseconds)
        click.echo(json.dumps(report), err=target is None)  # standard output has the picture
