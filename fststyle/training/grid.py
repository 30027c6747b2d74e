"""Which style weights and scales are tried: the grid of short trainings, called probes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from fststyle.errors import OptionError


@dataclass(frozen=True)
class Probe:
    """``number`` counts from 1, along the weights of a scale and then scale by scale, as the sheet is read."""

    number: int
    style_weight: float
    style_scale: float

    @property
    def name(self) -> str:
        """Of its folder: the same wherever it stands in a grid."""
        return f"weight_{self.style_weight:.12g}_scale_{self.style_scale:.12g}"

    def __str__(self) -> str:
        return f"weight {self.style_weight:.12g}, scale {self.style_scale:.12g}"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Checked when made: :class:`~fststyle.errors.OptionError` for a value out of range.

    Each pair of ``style_weights`` and ``style_scales`` is a probe of ``steps`` steps on crops of at most ``size``
    pixels a side, shown on ``count`` photos. The defaults here are the only ones.
    """

    style_weights: tuple[float, ...] = (2.0, 5.0, 12.0)
    style_scales: tuple[float, ...] = (1.0, 1.5, 2.0)
    steps: int = 100
    size: int = 128
    count: int = 3

    def __post_init__(self) -> None:
        _check_list("style weights", self.style_weights)
        _check_list("style scales", self.style_scales)
        for name, value in (("steps of a probe", self.steps), ("photos held out", self.count)):
            if value < 1:
                raise OptionError(f"{name}: at least 1, got {value}")

    @property
    def probes(self) -> tuple[Probe, ...]:
        pairs = product(self.style_scales, self.style_weights)
        return tuple(Probe(number, weight, scale) for number, (scale, weight) in enumerate(pairs, 1))

    def probe(self, number: int) -> Probe:
        """:raises OptionError: there is none of that number."""
        if not 1 <= number <= len(self.probes):
            raise OptionError(f"there is no probe {number}: they are numbered from 1 to {len(self.probes)}")
        return self.probes[number - 1]


def _check_list(what: str, values: Sequence[float]) -> None:
    if not values:
        raise OptionError(f"{what}: at least one is needed")
    for value in values:
        if not (math.isfinite(value) and value > 0):
            raise OptionError(f"{what} must be above 0, got {value:g}")
        if values.count(value) > 1:
            raise OptionError(f"{what}: {value:g} is there twice")
