"""What a client may ask for, the same words in a query, a form and a live socket's message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from fststyle.errors import OptionError, did_you_mean
from fststyle.serving.look import Blend, Look
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.gallery import Gallery

NAMES = ("style", "strength", "blend", "keep_color", "max_size")
_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


@dataclass(frozen=True)
class Choice:
    """A loaded style or mix and how it is applied; ``look.max_size`` is never None."""

    stylizer: Stylizer
    look: Look

    def check(self) -> None:
        """:class:`OptionError` for a look that the style cannot have, which only all parameters together show."""
        if self.look.blend == "network":
            self.stylizer.towards_photo(self.look.strength)

    def describe(self) -> dict[str, Any]:
        look = self.look
        return {
            "style": self.stylizer.style.name,
            "strength": look.strength,
            "blend": look.blend,
            "keep_color": look.keep_color,
            "max_size": look.max_size,
        }


def default_choice(gallery: Gallery, max_size: int) -> Choice:
    return Choice(gallery[gallery.default], Look(max_size=max_size))


def changed(choice: Choice, values: Mapping[str, object], gallery: Gallery, largest: int) -> Choice:
    """``choice`` with the parameters in ``values``: texts, or what JSON has for them.

    :raises OptionError: an unknown parameter, or a value out of range; ``largest`` is the highest ``max_size``.
    :raises StyleNotFoundError: no such style is served, or no palette that holds the styles of a mix.
    """
    for name in values:
        if name not in NAMES:
            near = did_you_mean(name, NAMES)
            raise OptionError(f"no parameter {name[:80]!r}; parameters: {', '.join(NAMES)}{near}")
    stylizer, look = choice.stylizer, choice.look
    if "style" in values:
        stylizer = gallery[str(values["style"])]
    if "strength" in values:
        look = replace(look, strength=_number(values["strength"], "strength"))
    if "blend" in values:
        look = replace(look, blend=cast(Blend, str(values["blend"])[:80]))  # the look itself knows what there is
    if "keep_color" in values:
        look = replace(look, keep_color=_truth(values["keep_color"]))
    if "max_size" in values:
        look = replace(look, max_size=_size(values["max_size"], largest))
    return Choice(stylizer, look)


def _number(value: object, name: str) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise OptionError(f"{name} must be a number, got {str(value)[:80]!r}")


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).casefold()
    if text not in _TRUTH:
        raise OptionError(f"keep_color must be true or false, got {str(value)[:80]!r}")
    return _TRUTH[text]


def _size(value: object, largest: int) -> int:
    number = _number(value, "max_size")
    if not (number.is_integer() and 1 <= number <= largest):
        raise OptionError(f"max_size must be a whole number of pixels from 1 to {largest}, got {str(value)[:80]!r}")
    return int(number)
