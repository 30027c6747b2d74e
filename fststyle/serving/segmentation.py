"""What a segmentation network's output says of where persons are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import OptionError

PERSON_CLASSES = {2: 1, 21: 15}
"""The class of persons by the number of classes: of two, background is the first; 21 are those of Pascal VOC."""

NO_PERSON, PERSON = 0.05, 0.95
"""Probabilities up to the one become 0, from the other on 1: networks come near to certainty, and never there. Where
the surest pixel of a photo is below the second, it becomes 1 too, unless it is rather none than one of a person.
"""
_SAME_SHAPE = 0.1
"""How far the scales of a plane's two sides may be from each other; a network that crops or pads is off by less."""


def person_classes(count: int | None, asked: Sequence[int]) -> tuple[int, ...]:
    """Which classes are persons: those ``asked`` for, else those of :data:`PERSON_CLASSES`; none where the output is
    one plane. ``count`` is None for a plane of integers, which does not tell how many there are.

    :raises OptionError: nobody says, or there are not as many classes.
    """
    if count is not None and any(number >= max(2, count) for number in asked):
        numbers = ", ".join(map(str, asked))
        raise OptionError(f"the classes of the mask model are 0 to {max(2, count) - 1}, got {numbers}")
    if asked or count == 1:
        return tuple(asked) if count != 1 else ()
    if count not in PERSON_CLASSES:
        found = "gives a number for each pixel" if count is None else f"has {count} classes"
        raise OptionError(
            f"the mask model {found}: say which are persons (--mask-class; 15 of Pascal VOC's 21, 1 where 0 is "
            "background and nothing else is there)"
        )
    return (PERSON_CLASSES[count],)


def class_planes(found: NDArray[Any], given: tuple[int, int]) -> NDArray[Any] | None:
    """[classes, h, w] of an output for one picture that was ``given`` with that width and height; None where its shape
    is another.
    """
    if found.ndim == 3:
        found = found[:, None]
    if found.ndim != 4 or found.shape[0] != 1 or 0 in found.shape:
        return None
    layouts = (found[0], np.moveaxis(found[0], -1, 0))
    scales = [(planes.shape[1] / given[1], planes.shape[2] / given[0]) for planes in layouts]
    off = [abs(down - across) / max(down, across) for down, across in scales]
    best = int(off[1] < off[0])
    return layouts[best] if off[best] <= _SAME_SHAPE else None


def person_probability(planes: NDArray[Any], asked: Sequence[int]) -> NDArray[np.float32]:
    """float32 [h, w], 0..1, from [classes, h, w]: probabilities, logits, or one plane of integers.

    :raises OptionError: as :func:`person_classes`.
    """
    count = planes.shape[0]
    labels = planes.dtype.kind == "i" or (planes.dtype == np.uint8 and bool(asked))
    if count == 1 and labels:
        return np.isin(planes[0], person_classes(None, asked)).astype(np.float32)
    classes = person_classes(count, asked)
    values = planes.astype(np.float32)
    if planes.dtype == np.uint8:
        values /= 255
    likely = bool(values.min() >= -0.01 and values.max() <= 1.01)
    if count == 1:
        return values[0] if likely else _sigmoid(values[0])
    if not (likely and np.allclose(values.sum(axis=0), 1, atol=0.02)):
        values = np.exp(values - values.max(axis=0))
        values /= values.sum(axis=0)
    chosen: NDArray[np.float32] = values[list(classes)].sum(axis=0)
    return chosen


def levels(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A mask, uint8 [h, w], of probabilities of the same shape; :data:`PERSON` says how."""
    surest = min(PERSON, max(0.5, float(probability.max())))
    stretched = (probability - NO_PERSON) / (surest - NO_PERSON)
    mask: NDArray[np.uint8] = np.rint(np.clip(stretched, 0, 1) * 255).astype(np.uint8)
    return mask


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    half = np.float32(0.5)
    found: NDArray[np.float32] = half + half * np.tanh(values * half)  # which does not overflow
    return found
