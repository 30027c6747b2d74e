"""The sheet that probes are picked from: a row for each scale, a column for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fststyle.images import load_rgb
from fststyle.serving.sheet import Tile, contact_sheet

if TYPE_CHECKING:
    from fststyle.training.probe_figures import Measured
    from fststyle.training.tune import Tuning

WIDTH = 2400
"""Pixels that the pictures of a row share, at most; below that they are as large as they are."""
SMALLEST_SIDE = 64
GAP = 4


def tuning_sheet(tuning: Tuning, photos: NDArray[np.uint8], found: Sequence[Measured]) -> Image.Image:
    """``photos`` uint8 [N, size, size, 3] at the top, and below them what the probes make of them; on the left the
    painting, whole at first and then as large as each scale makes it beside a photo.
    """
    weights = len(tuning.grid.style_weights)
    side = min(tuning.recipe.size, max(SMALLEST_SIDE, WIDTH // (weights * len(photos))))
    painting = Image.fromarray(load_rgb(tuning.run.paintings[0]))
    rows = [[Tile(_fitted(painting, side), "painting"), Tile(strip(photos, side), "photos, not trained on")]]
    for scale in tuning.grid.style_scales:
        row = [Tile(at_scale(painting, scale, side), f"scale {scale:g}")]
        row += [Tile(strip(entry.pictures, side), label(entry)) for entry in found if entry.probe.style_scale == scale]
        rows.append(row)
    return contact_sheet(rows, cell=max(16, rows[0][1].picture.width))


def label(entry: Measured) -> str:
    mean = entry.mean
    return (
        f"{entry.probe.number}: {entry.probe}\n"
        f"content {mean['content']:.2f}, style {mean['style']:.2f}, tv {mean['total_variation']:.2f}"
    )


def strip(pictures: NDArray[np.uint8], side: int) -> Image.Image:
    """Side by side, each ``side`` pixels wide and high, on white."""
    joined = Image.new("RGB", (len(pictures) * (side + GAP) - GAP, side), "white")
    for number, pixels in enumerate(pictures):
        square = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
        joined.paste(square, (number * (side + GAP), 0))
    return joined


def at_scale(painting: Image.Image, scale: float, side: int) -> Image.Image:
    """The middle of the painting, whose short side is ``scale`` times that of a photo of ``side`` pixels; white around
    it where it is smaller.
    """
    ratio = scale * side / min(painting.size)
    reach = side / ratio
    left, top = ((length - reach) / 2 for length in painting.size)
    if left >= 0 and top >= 0:
        box = (left, top, left + reach, top + reach)
        return painting.resize((side, side), Image.Resampling.LANCZOS, box)
    whole = painting.resize([max(1, round(length * ratio)) for length in painting.size], Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), "white")
    square.paste(whole, ((side - whole.width) // 2, (side - whole.height) // 2))
    return square


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small
