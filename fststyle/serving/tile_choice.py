"""Whether a picture is run in tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fststyle.errors import OptionError, did_you_mean
from fststyle.serving.memory import LARGEST_UNTILED, fits

Tile = Literal["auto", "off"] | int

DEFAULT_TILE: Tile = "auto"
"""For single pictures; frames of videos and cameras are run whole."""

SMALLEST_TILE = 64
"""Pixels. Smaller ones would be nearly nothing but surroundings."""

_WORDS = ("auto", "off")


@dataclass(frozen=True)
class Tiling:
    """``count`` tiles of up to ``side`` x ``side`` pixels, without their surroundings, for a picture of ``width`` x
    ``height``.
    """

    width: int
    height: int
    side: int
    count: int


Progress = Callable[[Tiling, int], None]
"""Called with the number of tiles that are done: 0 before the first."""


def parse_tile(text: str) -> Tile:
    """What a user wrote; :class:`~fststyle.errors.OptionError` if it is neither auto nor off nor a side in pixels."""
    if text in _WORDS:
        return "auto" if text == "auto" else "off"
    try:
        tile = int(text)
    except ValueError:
        near = did_you_mean(text, _WORDS)
        raise OptionError(f"tile must be auto, off or a side in pixels, got {text!r}{near}") from None
    return check_tile(tile)


def check_tile(tile: Tile) -> Tile:
    """``tile``; :class:`~fststyle.errors.OptionError` if it is none."""
    if isinstance(tile, str) and tile not in _WORDS:
        raise OptionError(f"tile must be auto, off or a side in pixels, got {tile!r}{did_you_mean(tile, _WORDS)}")
    if isinstance(tile, int) and tile < SMALLEST_TILE:
        raise OptionError(f"tiles must have at least {SMALLEST_TILE} pixels a side, got {tile}")
    return tile


def wants_tiles(tile: Tile, pixels: int, model: Path, *, held_pixels: int = 0) -> bool:
    """Whether the network in ``model`` is to be given so many pixels in tiles; ``held_pixels`` as for
    :func:`~fststyle.serving.memory.fits`.
    """
    if tile == "auto":
        return pixels > LARGEST_UNTILED or not fits(model, pixels, held_pixels=held_pixels)
    return tile != "off"
