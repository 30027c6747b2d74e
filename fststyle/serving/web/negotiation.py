"""Which format a client wants its picture in: the Accept header against the formats that are written."""

from __future__ import annotations

from collections.abc import Sequence

from fststyle.images import Picture
from fststyle.serving.web.problems import Refusal

MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
Wish = tuple[float, str]
"""How much a format is wanted, from 0 to 1, and its name."""


def wanted_formats(accept: str | None) -> list[Wish]:
    """Every format that ``accept`` allows; without a header, all alike.

    :raises Refusal: it allows none (406).
    """
    ranges = _ranges(accept or "*/*")
    weights = [(_weight(media_type, ranges), name) for name, media_type in MEDIA_TYPES.items()]
    wishes = [wish for wish in weights if wish[0] > 0]
    if not wishes:
        raise Refusal(406, "NotAcceptable", f"pictures come as {', '.join(MEDIA_TYPES.values())}")
    return wishes


def choose_format(wishes: Sequence[Wish], picture: Picture) -> str:
    """The most wanted format that can hold the picture; among equals its own, then the first of those written.

    A transparent picture for which only JPEG is wanted gets JPEG, and encoding says that it cannot be.
    """
    transparent = picture.alpha is not None and int(picture.alpha.min()) < 255
    able = [wish for wish in wishes if not transparent or wish[1] != "JPEG"] or wishes
    return max(able, key=lambda wish: (wish[0], wish[1] == picture.result_format))[1]


def _ranges(accept: str) -> dict[str, float]:
    ranges = {}
    for entry in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in entry.split(";"))
        weights = [text.partition("=")[2] for text in parameters if text.partition("=")[0].strip() == "q"]
        try:
            ranges[media_range] = min(1.0, float(weights[0])) if weights else 1.0
        except ValueError:
            ranges[media_range] = 0.0
    return ranges


def _weight(media_type: str, ranges: dict[str, float]) -> float:
    for candidate in (media_type, "image/*", "*/*"):  # the more specific one counts
        if candidate in ranges:
            return ranges[candidate]
    return 0.0
