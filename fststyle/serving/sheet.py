"""Contact sheets: several labelled pictures on one, to compare them at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from fststyle.errors import OptionError

MARGIN = 12
LABEL_HEIGHT = 26
BACKGROUND, INK = (255, 255, 255), (30, 30, 30)


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture of any size and mode with its label, of one or several lines; "" leaves the label's place empty."""

    picture: Image.Image
    label: str = ""


def contact_sheet(rows: Sequence[Sequence[Tile]], *, cell: int) -> Image.Image:
    """An RGB image of all tiles, each in a column of its own, its label above it.

    No picture is drawn larger than it is, none with a longer side above ``cell`` pixels; transparency shows as white.
    Columns and rows are as wide and high as the largest picture in them, and a row without labels leaves no room for
    them.

    :raises OptionError: there is no tile, or ``cell`` is below 16.
    """
    if cell < 16:
        raise OptionError(f"pictures on a sheet need at least 16 pixels, got {cell}")
    if not any(rows):
        raise OptionError("a contact sheet needs at least one picture")
    pictures = [[_fitted(tile.picture, cell) for tile in row] for row in rows]
    columns = range(max(map(len, rows)))
    widths = [max(row[column].width for row in pictures if column < len(row)) for column in columns]
    heights = [max((picture.height for picture in row), default=0) for row in pictures]
    strips = [LABEL_HEIGHT * max((len(tile.label.splitlines()) for tile in row), default=0) for row in rows]
    size = (sum(widths) + MARGIN * (len(widths) + 1), sum(heights) + sum(strips) + MARGIN * (len(rows) + 1))
    sheet = Image.new("RGB", size, BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=LABEL_HEIGHT * 0.6)
    top = MARGIN
    for row, drawn, height, strip in zip(rows, pictures, heights, strips, strict=True):
        left = MARGIN
        for tile, picture, width in zip(row, drawn, widths, strict=False):
            for number, line in enumerate(tile.label.splitlines()):
                draw.text((left, top + number * LABEL_HEIGHT), _shortened(line, width, font), INK, font)
            sheet.paste(picture, (left + (width - picture.width) // 2, top + strip + (height - picture.height) // 2))
            left += width + MARGIN
        top += strip + height + MARGIN
    return sheet


def wrapped(tiles: Sequence[Tile], columns: int) -> list[list[Tile]]:
    """One long row as rows of at most ``columns`` tiles."""
    return [list(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (*BACKGROUND, 255)), picture)
    small = picture.convert("RGB")
    small.thumbnail((cell, cell), Image.Resampling.LANCZOS)
    return small


def _shortened(label: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(label) <= width:
        return label
    kept = next((end for end in range(len(label), 0, -1) if font.getlength(label[:end] + "…") <= width), 0)
    return label[:kept] + "…" if kept else ""
