"""Mixes of the styles that a loaded palette holds: the same network with other weights, so that a request loads
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from fststyle.errors import OptionError, StyleNotFoundError, did_you_mean
from fststyle.mixes import Mix, parse_mix
from fststyle.serving.stylizer import Stylizer
from fststyle.styles import PHOTO, choose_palette

LONGEST_MIX = 2000
"""Characters; a mix of 32 styles with names and weights as long as names and weights are takes fewer."""


class Palettes:
    """``stylizers``: all that are loaded, by name, of which some are palettes."""

    def __init__(self, stylizers: Mapping[str, Stylizer]) -> None:
        self._palettes = {name: stylizer for name, stylizer in stylizers.items() if stylizer.style.styles}
        self._alone = {
            name: {style: palette.mixed(Mix({style: 1.0})) for style in palette.style.styles}
            for name, palette in self._palettes.items()
        }

    @property
    def styles(self) -> list[str]:
        """What the palettes hold, each once."""
        return [*dict.fromkeys(style for name in self._palettes for style in self.inside(name))]

    def inside(self, palette: str) -> dict[str, Stylizer]:
        """The styles of a palette, each alone; empty for what is none. The photo is no style of its own here."""
        return {style: alone for style, alone in self._alone.get(palette, {}).items() if style != PHOTO}

    def holder(self, stylizer: Stylizer) -> str | None:
        """The palette that ``stylizer`` is a mix of."""
        return next((name for name, p in self._palettes.items() if p.style.path == stylizer.style.path), None)

    def find(self, text: str) -> Stylizer | None:
        """The mix, or the style that only a palette holds; None for what is neither. Nothing becomes a path.

        :raises StyleNotFoundError: a style or a palette in the mix is not there; the nearest name is offered.
        :raises OptionError: the weights make no sense.
        """
        mix = Mix({text: 1.0}) if text in self.styles else _parsed(text)
        return None if mix is None else self._mixed(mix)

    def _mixed(self, mix: Mix) -> Stylizer:
        palettes = self._palettes
        if mix.palette and mix.palette not in palettes:
            listed = f"; palettes: {', '.join(palettes)}" if palettes else ""
            near = did_you_mean(mix.palette, palettes)
            raise StyleNotFoundError(f"no palette named {mix.palette[:80]!r}{listed}{near}")
        asked = {mix.palette: palettes[mix.palette]} if mix.palette else palettes
        chosen = choose_palette(mix, [palette.style for palette in asked.values()])
        name = next(name for name, palette in asked.items() if palette.style is chosen)
        styles = [style for style, weight in mix.shares.items() if weight]
        return self._alone[name][styles[0]] if len(styles) == 1 else palettes[name].mixed(mix)


def _parsed(text: str) -> Mix | None:
    if "/" in text or "\\" in text:  # a path, or a mix of a palette named by one
        return None
    if len(text) > LONGEST_MIX:
        raise OptionError(f"a mix has at most {LONGEST_MIX} characters, got {len(text)}")
    return parse_mix(text)
