"""A palette's network that several styles, mixes or moments share: loaded once, the weights come with each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fststyle.errors import OptionError
from fststyle.serving.engine import Weights
from fststyle.serving.look import Look
from fststyle.serving.stylizer import Stylizer
from fststyle.styles import PHOTO, StyleInfo, find_style

_SHOWN = 0.005
"""A style with a smaller weight is left out of what a mix is called."""


def load_each(names: Iterable[str | Path], load: Callable[[str | Path], Stylizer]) -> Iterator[Stylizer]:
    """A stylizer for each of ``names``; ``load`` is called once for all that are of one palette. Errors are those of
    ``load`` and of :func:`~fststyle.styles.find_style`.
    """
    palettes: dict[Path, Stylizer] = {}
    for name in names:
        style = find_style(name)
        if style.path in palettes:
            yield palettes[style.path].with_style(style)
            continue
        stylizer = load(name)
        if style.styles:
            palettes[style.path] = stylizer
        yield stylizer


def with_weights(stylizer: Stylizer, weights: Weights) -> Stylizer:
    """The same network with other weights of its styles, float with a sum of 1 and in their order; the style is called
    by them, to a hundredth.

    :raises OptionError: not as many as the network has styles.
    """
    shown = zip(stylizer.style.styles, weights, strict=False)
    mixed = {name: round(float(weight), 2) for name, weight in shown if weight >= _SHOWN}
    called = ",".join(f"{name}:{weight:g}" for name, weight in mixed.items()) if len(mixed) > 1 else "".join(mixed)
    return stylizer.with_style(replace(stylizer.style, name=called, weights=tuple(map(float, weights))))


def can_blend(style: StyleInfo) -> bool:
    """Whether its network can mix it with the photo."""
    return PHOTO in style.styles


def check_blend(style: StyleInfo, look: Look) -> None:
    """What can be known before the network is loaded.

    :raises OptionError: ``look`` blends in the network, and that of ``style`` cannot.
    """
    if look.blend == "network" and not can_blend(style):
        raise OptionError(
            f"{style.name} is a network of one style: only a palette can blend in the network; blend must be pixels"
        )
