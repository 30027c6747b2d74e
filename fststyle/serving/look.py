"""How a style is applied to a photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fststyle.colour import blend, keep_chroma
from fststyle.errors import OptionError, did_you_mean
from fststyle.serving.tile_choice import Tile, check_tile
from fststyle.strips import strips

Blend = Literal["pixels", "network"]
STROKE_SIDE = 1024
"""Pixels of the longer side at which the network is used for a stroke size of 1."""

SMALLEST_STROKES, LARGEST_STROKES = 0.02, 16.0
"""The longer side of what the network is given then has 51,200 pixels, or 64."""


@dataclass(frozen=True)
class Look:
    """How a style is applied.

    ``strength``: 0 leaves the photo, 1 is the network's result. ``blend`` says what is between: ``"pixels"`` is linear
    in pixel values; ``"network"``, which takes a palette, mixes the style with the photo inside the network, so that
    strokes become weaker and not transparent; with s the strength, (1 - s)^2 of the photo's pixels come on top, as a
    network alone never quite gives the photo back. ``keep_color``:
    lightness from the result, colour from the photo (:func:`~fststyle.colour.keep_chroma`). ``max_size``: limit of the
    longer side in pixels; a larger photo is scaled down first, a smaller one is left as it is.

    ``stroke_size``: how large strokes are in proportion to the picture: 1 is what the network paints on a picture whose
    longer side has 1024 pixels, 2 is twice that. The network is given the photo with a longer side of
    1024 / ``stroke_size`` pixels, and what it makes of that is scaled to the photo's size: a preview and the full size
    look alike. None: the network is given the photo as it is, and strokes have so many pixels whatever its size.

    ``tile``: ``"off"`` runs the network on the whole picture; a number runs it in tiles of up to so many pixels a side,
    in bounded memory and without seams; ``"auto"`` means tiles for what has more than
    :data:`~fststyle.serving.memory.LARGEST_UNTILED` pixels, or more than there is memory for, and off for the rest.
    """

    strength: float = 1.0
    blend: Blend = "pixels"
    keep_color: bool = False
    max_size: int | None = None
    stroke_size: float | None = None
    tile: Tile = "off"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise OptionError(f"strength must be 0 to 1, got {self.strength}")
        if self.blend not in get_args(Blend):
            near = did_you_mean(str(self.blend), get_args(Blend))
            raise OptionError(f"blend must be {' or '.join(get_args(Blend))}, got {self.blend!r}{near}")
        if self.max_size is not None and self.max_size < 1:
            raise OptionError(f"max_size must be at least 1 pixel, got {self.max_size}")
        if self.stroke_size is not None and not SMALLEST_STROKES <= self.stroke_size <= LARGEST_STROKES:
            allowed = f"{SMALLEST_STROKES:g} to {LARGEST_STROKES:g}"
            raise OptionError(f"stroke_size must be {allowed}, got {self.stroke_size}")
        check_tile(self.tile)

    def network_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of what the network is given of a photo of ``size``."""
        if self.stroke_size is None:
            return size
        scale = STROKE_SIDE / self.stroke_size / max(size)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def finished(self, photo: NDArray[np.uint8], stylised: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``stylised`` with the photo's colours and at the strength asked for; uint8 [H, W, 3] all. Large pictures are
        changed in place, in strips.
        """
        if self.strength == 1 and not self.keep_color:
            return stylised
        whole, *more = strips(*photo.shape[1::-1])
        if not more:
            return self._coloured(photo[whole], stylised[whole])
        for rows in (whole, *more):
            stylised[rows] = self._coloured(photo[rows], stylised[rows])
        return stylised

    def _coloured(self, photo: NDArray[np.uint8], stylised: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return blend(photo, keep_chroma(stylised, photo) if self.keep_color else stylised, self.strength)
