"""A style that changes over time, as people write it: ``0 starry_night; 10 great_wave; 1:20 udnie:0.5,the_scream:0.5``.

Moments are separated by semicolons or line ends. Each is a time, in seconds, as MM:SS or as HH:MM:SS, and a mix of a
palette's styles (:mod:`fststyle.mixes`). Between two moments weights go linearly from the one's to the other's; before
the first and after the last they stand still.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import OptionError
from fststyle.mixes import Mix, parse_mix

FORM = "TIME MIX; TIME MIX; ..."
_MOMENT = re.compile(r"\s*[\d.:]+\s")


@dataclass(frozen=True)
class MixTimeline:
    """``times``: seconds, from 0, each later than the one before; ``mixes``: what is seen then, all of one palette.

    :raises OptionError: no moments, times in another order, or mixes that name several palettes.
    """

    times: tuple[float, ...]
    mixes: tuple[Mix, ...]

    def __post_init__(self) -> None:
        if not self.times or len(self.times) != len(self.mixes):
            raise OptionError(f"a timeline is written {FORM}, got {len(self.times)} times, {len(self.mixes)} mixes")
        for before, after in zip(self.times, self.times[1:], strict=False):
            if after <= before:
                raise OptionError(f"the times of a timeline must rise, got {after:g} s after {before:g} s")
        if len(self._palettes) > 1:
            raise OptionError(f"a timeline takes the styles of one palette, got {' and '.join(self._palettes)}")

    @cached_property
    def _palettes(self) -> list[str]:
        return [*dict.fromkeys(mix.palette for mix in self.mixes if mix.palette)]

    @property
    def everything(self) -> Mix:
        """All of its styles, to find a palette that holds them."""
        return Mix({name: 1.0 for mix in self.mixes for name in mix.shares}, "".join(self._palettes))

    def over(self, styles: Sequence[str]) -> Fade:
        """For a palette that holds ``styles``, in their order.

        :raises StyleNotFoundError: one is not among them.
        """
        return Fade(self.times, np.array([mix.weights(styles) for mix in self.mixes], np.float32))

    def __str__(self) -> str:
        return "; ".join(f"{time:.10g} {mix}" for time, mix in zip(self.times, self.mixes, strict=True))


@dataclass(frozen=True, eq=False)
class Fade:
    """``times``: seconds; ``weights``: float32 [times, styles], each row with a sum of 1."""

    times: tuple[float, ...]
    weights: NDArray[np.float32]

    def at(self, seconds: float) -> NDArray[np.float32]:
        """float32 [styles], with a sum of 1."""
        return np.array([np.interp(seconds, self.times, column) for column in self.weights.T], np.float32)

    def around(self, seconds: float) -> NDArray[np.float32]:
        """As :meth:`at`, beginning again at the last time."""
        return self.at(seconds % self.times[-1] if self.times[-1] > 0 else 0.0)


def parse_timeline(text: str) -> MixTimeline:
    """:class:`~fststyle.errors.OptionError` for a bad time, order or mix, and for what is no style of a palette."""
    moments = [part.split(maxsplit=1) for part in re.split(r"[;\n]", text) if part.strip()]
    if not moments:
        raise OptionError(f"a timeline is written {FORM}, got {text[:80]!r}")
    return MixTimeline(tuple(_time(moment[0]) for moment in moments), tuple(_mix(moment) for moment in moments))


def parse_time(text: str) -> float:
    """Seconds, from SECONDS, MM:SS or HH:MM:SS, each with decimals.

    :raises OptionError: it is none of them.
    """
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or any(not math.isfinite(number) or number < 0 for number in numbers):
        raise OptionError(f"{text[:80]!r} is no time; accepted are seconds, MM:SS and HH:MM:SS")
    return sum(number * 60.0**place for place, number in enumerate(reversed(numbers)))


def _time(text: str) -> float:
    try:
        return parse_time(text)
    except OptionError as error:
        raise OptionError(f"a timeline is written {FORM}: {error}") from None


def _mix(moment: Sequence[str]) -> Mix:
    if len(moment) == 1:
        raise OptionError(f"a timeline is written {FORM}: what is to be seen at {moment[0]}?")
    text = moment[1].strip()
    if any(_MOMENT.match(part) for part in text.split(",")[1:]):
        raise OptionError(f"the moments of a timeline are separated by semicolons, not by commas, got {text[:80]!r}")
    if text.endswith(".onnx") and "@" not in text:
        raise OptionError(
            f"a timeline takes the styles of a palette, written STYLE@FILE.onnx, got the file {text[:80]}"
        )
    return parse_mix(text) or Mix({text: 1.0})
