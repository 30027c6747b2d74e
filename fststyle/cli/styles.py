"""``fststyle styles`` and ``fststyle sheet``: which styles there are, and what they make of a photo."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fststyle.atomic import atomic_write, make_folder
from fststyle.cli.stylize import device_options
from fststyle.cli.timelines import MIX
from fststyle.errors import BatchError, StyleNotFoundError
from fststyle.images import from_pillow, read_picture, to_pillow
from fststyle.mixes import Mix
from fststyle.serving.look import Look
from fststyle.serving.picture_file import check_target, write
from fststyle.serving.shared_network import load_each
from fststyle.serving.sheet import Tile, contact_sheet, wrapped
from fststyle.serving.stylizer import Stylizer
from fststyle.style_folders import user_folder
from fststyle.styles import PHOTO, StyleInfo, find_style, scan_styles, style_names

if TYPE_CHECKING:
    from fststyle.serving.providers import Device

TILE_PIXELS = 512
_INDENT = "  "


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON array with everything that is known of each style."
)
@click.option("--previews", type=click.Path(path_type=Path), metavar="DIR", help="Write each style's preview to DIR.")
@click.option("--force", is_flag=True, help="Replace previews that exist.")
def styles(as_json: bool, previews: Path | None, force: bool) -> None:
    """List the styles there are: those that ship with fststyle and those in your own folder of styles.

    Your own folder is the one that the environment variable FSTSTYLE_STYLES names; the last line of the list shows
    where it is. A style there hides a shipped one of the same name. Below a palette, one network of several styles, is
    what it holds: each can be asked for by its name, and mixed with the others.
    """
    found, errors = scan_styles()
    if as_json:
        click.echo(json.dumps([_as_json(style) for style in found], indent=2, ensure_ascii=False))
    else:
        _print_table(found)
    if previews is not None:
        _write_previews(found, previews, force)
    for error in errors:
        click.echo(f"fststyle: error: {error}", err=True)
    if errors:
        raise BatchError(f"{len(errors)} of {len(found) + len(errors)} style files cannot be used")


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: PHOTO-sheet.png]")
@click.option("--style", "names", multiple=True, metavar=MIX, help="Only this style or mix; may be repeated.")
@click.option(
    "--size",
    default=TILE_PIXELS,
    show_default=True,
    help="Longer side of each picture, which is stylised at that size.",
)
@device_options
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def sheet(
    photos: tuple[Path, ...],
    output: Path | None,
    names: tuple[str, ...],
    size: int,
    device: Device,
    threads: int | None,
    force: bool,
) -> None:
    """Draw each PHOTO in every style on one labelled sheet.

    One photo is laid out in rows of styles; several have a row each, with a column for each style.
    """
    look = Look(max_size=size)
    target = output or photos[0].with_name(f"{photos[0].stem}-sheet.png")
    check_target(target, force=force)
    wanted = names or style_names()
    for name in wanted:
        find_style(name)
    if not wanted:
        raise StyleNotFoundError(f"there are no styles: none are shipped and {user_folder()} has none")
    originals = [read_picture(photo).limited(size) for photo in photos]
    rows = [[Tile(to_pillow(picture), photo.name)] for picture, photo in zip(originals, photos, strict=True)]
    for stylizer in load_each(wanted, lambda name: Stylizer(name, device=device, threads=threads)):
        for row, picture in zip(rows, originals, strict=True):
            row.append(Tile(to_pillow(stylizer.stylise(picture, look)), stylizer.style.name))
    if len(rows) == 1:
        rows = wrapped(rows[0], math.ceil(math.sqrt(len(rows[0]))))
    write(from_pillow(contact_sheet(rows, cell=size)), target, force=force, keep_metadata=False)
    click.echo(f"{len(wanted)} styles on {target}")


def _inside(style: StyleInfo) -> list[StyleInfo]:
    """What a palette holds; nothing of a style that is alone in its file."""
    return [style.mixed(Mix({name: 1.0})) for name in style.styles if name != PHOTO]


def _as_json(style: StyleInfo) -> dict[str, Any]:
    inside = {one.name: one.to_dict()["painting"] for one in _inside(style)}
    return style.to_dict() | ({"inside": inside} if inside else {})


def _print_table(found: list[StyleInfo]) -> None:
    held = {style.name: _inside(style) for style in found}
    names = [*held, *(_INDENT + one.name for inside in held.values() for one in inside)]
    width = max(map(len, names), default=0)
    for style in found:
        note = "" if style.origin == "shipped" else f"  [{style.path}]"
        inside = held[style.name]
        what = f"{len(inside)} styles in one network" if inside else str(style.painting)
        click.echo(f"{style.name:<{width}}  {style.preset:<8}  {style.bytes / 1e6:4.1f} MB  {what}{note}")
        for one in inside:
            click.echo(f"{_INDENT + one.name:<{width}}  {'':<8}  {'':<7}  {one.painting}".rstrip())
    if not found:
        click.echo("There are no styles yet.")
    click.echo(f"Your own styles: put ONNX files into {user_folder()}")


def _write_previews(found: list[StyleInfo], folder: Path, force: bool) -> None:
    make_folder(folder)
    previews = {style.name: style.preview for style in found if not style.styles}
    for style in found:
        for name, preview in style.previews.items():
            previews.setdefault(name, preview)  # a file of that name is what the name stands for
    for name, preview in previews.items():
        if preview:
            atomic_write(folder / f"{name}.jpg", preview, overwrite=force)
    click.echo(f"previews in {folder}", err=True)
