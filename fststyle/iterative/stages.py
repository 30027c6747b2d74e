"""From coarse to fine: the sizes that a picture goes through, and how long it stays at each.

Structure that is larger than what the VGG sees at once, some 200 pixels, only comes about at a size where it is
smaller; the finer sizes then add their detail to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from fststyle.errors import OptionError
from fststyle.iterative.descent import Stage

LARGEST_AT_ONCE = 512
"""Pixels on the longer side; above it a smaller stage goes before."""


def automatic_sides(side: int) -> list[int]:
    """Longer sides in pixels, each about twice the one before, the first at most :data:`LARGEST_AT_ONCE`."""
    sides = [side]
    while sides[0] > LARGEST_AT_ONCE:
        sides.insert(0, round(sides[0] / 2))
    return sides


def make_stages(sizes: Sequence[tuple[int, int]], iterations: Sequence[int]) -> list[Stage]:
    """One stage for each size (width, height). ``iterations``: one number for each, or one for the first, of which
    every further stage, slower and closer to its end already, gets half as many as the one before.

    :raises OptionError: sizes do not grow, or the numbers do not fit.
    """
    if any(later <= earlier for earlier, later in zip(map(max, sizes), map(max, sizes[1:]), strict=False)):
        raise OptionError(f"sizes go from small to large, got {', '.join(str(max(size)) for size in sizes)}")
    if len(iterations) == 1:
        iterations = [max(1, iterations[0] >> number) if iterations[0] > 0 else 0 for number in range(len(sizes))]
    if len(iterations) != len(sizes):
        raise OptionError(f"give one number of iterations, or one for each of the {len(sizes)} sizes")
    if min(iterations) < 1 or min(map(min, sizes)) < 1:
        raise OptionError("sizes and iterations must be at least 1")
    return [Stage(size, number) for size, number in zip(sizes, iterations, strict=True)]
