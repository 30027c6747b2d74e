"""Mixes of styles as people write them: ``starry_night:0.7,great_wave:0.3``, and ``...@PALETTE`` to name the network.

A style alone has weight 1, ``photo`` stands for the photo itself, and weights are shares: 7 and 3 are 0.7 and 0.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fststyle.errors import OptionError, StyleNotFoundError, did_you_mean


@dataclass(frozen=True)
class Mix:
    """``shares``: weights by style, at least 0 with a sum above 0. ``palette`` is empty where none is named.

    :raises OptionError: a weight that is none, or all are 0.
    """

    shares: Mapping[str, float]
    palette: str = ""

    def __post_init__(self) -> None:
        for name, weight in self.shares.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise OptionError(f"the weight of {name!r} must be a number of at least 0, got {weight:g}")
        total = sum(self.shares.values())
        if total <= 0:
            raise OptionError(f"at least one weight of a mix must be above 0, got {self}")
        if not math.isfinite(total):
            raise OptionError(f"the weights of a mix must have a sum, got {self}")

    def __str__(self) -> str:
        mixed = ",".join(f"{name}:{weight:g}" for name, weight in self.shares.items())
        return f"{mixed}@{self.palette}" if self.palette else mixed

    def weights(self, styles: Sequence[str]) -> tuple[float, ...]:
        """One for each of a palette's ``styles``, with a sum of 1.

        :raises StyleNotFoundError: the palette has no such style; the nearest name is offered.
        """
        for name in self.shares:
            if name not in styles:
                listed = ", ".join(styles)
                raise StyleNotFoundError(f"no style named {name[:80]!r}; styles: {listed}{did_you_mean(name, styles)}")
        total = sum(self.shares.values())
        return tuple(self.shares.get(style, 0.0) / total for style in styles)


def parse_mix(text: str) -> Mix | None:
    """None for what is no mix: the name of one style, or the path of a file.

    :raises OptionError: a weight is no number, a style comes twice or has no name, or the weights make no sense.
    """
    if not {*text} & {*":,@"} or ("@" not in text and text.endswith(".onnx")) or _is_file(text):
        return None
    mixed, _, palette = text.partition("@")
    shares: dict[str, float] = {}
    for part in mixed.split(","):
        name, colon, weight = part.partition(":")
        name = name.strip()
        if not name:
            raise OptionError(f"a mix is written NAME:WEIGHT,NAME:WEIGHT, got {text[:80]!r}")
        if name in shares:
            raise OptionError(f"{name!r} comes twice in the mix {text[:80]!r}")
        try:
            shares[name] = float(weight) if colon else 1.0
        except ValueError:
            raise OptionError(f"the weight of {name!r} must be a number of at least 0, got {weight[:80]!r}") from None
    return Mix(shares, palette.strip())


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than a path may be, or with a zero in it
        return False
