"""What a client may ask for, the same words in a query, a form and a live socket's message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from fststyle.errors import OptionError, did_you_mean
from fststyle.serving.look import Blend, Look
from fststyle.serving.masks import check_feather
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.body import IMAGE_FIELD, MASK_FIELD, MULTIPART
from fststyle.serving.web.gallery import Gallery, Part

NAMES = ("style", "strength", "blend", "keep_color", "max_size", "mask_part", "feather")
_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


@dataclass(frozen=True)
class Choice:
    """A loaded style or mix, how it is applied, and where: in ``part``, None for everywhere, with edges softened by
    ``feather`` pixels of the result. ``look.max_size`` is never None.
    """

    stylizer: Stylizer
    look: Look
    part: Part | None = None
    feather: float = 0.0

    def __post_init__(self) -> None:
        check_feather(self.feather)

    def check(self) -> None:
        """:class:`OptionError` for a look that the style cannot have, which only all parameters together show."""
        if self.look.blend == "network":
            self.stylizer.towards_photo(self.look.strength)

    def check_where(self, *, mask: bool) -> None:
        """:class:`OptionError` for what does not go with a ``mask`` in the same request, or without one."""
        if mask and self.part:
            raise OptionError("mask and mask_part both say where the style goes; send one of them")
        if self.feather and not (mask or self.part):
            raise OptionError("feather is for masks, and there is none: send a mask in a form, or a mask_part")

    def describe(self) -> dict[str, Any]:
        look = self.look
        return {
            "style": self.stylizer.style.name,
            "strength": look.strength,
            "blend": look.blend,
            "keep_color": look.keep_color,
            "max_size": look.max_size,
            "mask_part": self.part and self.part.name,
            "feather": self.feather,
        }


def default_choice(gallery: Gallery, max_size: int) -> Choice:
    return Choice(gallery[gallery.default], Look(max_size=max_size))


def changed(choice: Choice, values: Mapping[str, object], gallery: Gallery, largest: int) -> Choice:
    """``choice`` with the parameters in ``values``: texts, or what JSON has for them.

    :raises OptionError: an unknown parameter, or a value out of range; ``largest`` is the highest ``max_size``.
    :raises StyleNotFoundError: no such style is served, or no palette that holds the styles of a mix.
    """
    for name in values:
        _check_name(name)
    stylizer, part, feather = choice.stylizer, choice.part, choice.feather
    if "style" in values:
        stylizer = gallery[str(values["style"])]
    if "mask_part" in values:
        asked = values["mask_part"]
        part = None if asked is None else gallery.part(str(asked))  # JSON's null is everywhere again
    if "feather" in values:
        feather = _number(values["feather"], "feather")
    return Choice(stylizer, _changed_look(choice.look, values, largest), part, feather)


def _changed_look(look: Look, values: Mapping[str, object], largest: int) -> Look:
    if "strength" in values:
        look = replace(look, strength=_number(values["strength"], "strength"))
    if "blend" in values:
        look = replace(look, blend=cast(Blend, str(values["blend"])[:80]))  # the look itself knows what there is
    if "keep_color" in values:
        look = replace(look, keep_color=_truth(values["keep_color"]))
    if "max_size" in values:
        look = replace(look, max_size=_size(values["max_size"], largest))
    return look


def _check_name(name: str) -> None:
    if name == MASK_FIELD:
        raise OptionError(f"a mask is a picture: send it in a form ({MULTIPART}), beside the field {IMAGE_FIELD!r}")
    if name not in NAMES:
        near = did_you_mean(name, NAMES)
        raise OptionError(f"no parameter {name[:80]!r}; parameters: {', '.join(NAMES)}{near}")


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
