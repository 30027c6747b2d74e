"""Masks at the sizes of the pictures that they are laid over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fststyle.serving.masks import Mask, MaskSource, fitted
from fststyle.serving.memory import LARGEST_UNTILED

Plane = NDArray[np.uint8]


class _Kept(NamedTuple):
    given: Plane
    size: tuple[int, int]
    feather: float
    fitted: Plane


class FittedMasks:
    """Scales and blurs the planes of mask sources, each anew only when its source gives another one, or the size or the
    feather is another: not for each frame of a video that a mask picture is laid over. Planes of more than
    :data:`~fststyle.serving.memory.LARGEST_UNTILED` pixels are not kept. Using it is safe from several threads at once.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def over(self, photo: NDArray[np.uint8], feather: float) -> PhotoMasks:
        """``photo``: uint8 [H, W, 3]; ``feather`` in its pixels, as :func:`~fststyle.serving.masks.fitted` has it."""
        return PhotoMasks(self, photo, feather)

    def fit(self, source: MaskSource, plane: Plane, size: tuple[int, int], feather: float) -> Plane:
        """``plane`` of ``source`` at ``size`` (width, height): uint8 [H, W], not to be written to."""
        kept = self._kept.get(id(source))
        # The plane is compared, and held, so that a number that stands for another source by now does no harm.
        if kept is None or kept.given is not plane or (kept.size, kept.feather) != (size, feather):
            kept = _Kept(plane, size, feather, fitted(plane, size, feather))
            if kept.fitted.size <= LARGEST_UNTILED:
                self._kept[id(source)] = kept
        return kept.fitted


class PhotoMasks:
    """The masks of one photo; a source of several masks is asked once."""

    def __init__(self, masks: FittedMasks, photo: NDArray[np.uint8], feather: float) -> None:
        self._masks, self._photo, self._feather = masks, photo, feather
        self._planes: dict[int, Plane] = {}

    def get(self, mask: Mask | None) -> Plane | None:
        """uint8 [H, W] of the photo's size, not to be written to; None for the whole of it."""
        if mask is None:
            return None
        source, (height, width) = mask.source, self._photo.shape[:2]
        if id(source) not in self._planes:
            self._planes[id(source)] = source.plane(self._photo)
        plane = self._masks.fit(source, self._planes[id(source)], (width, height), self._feather)
        return np.bitwise_not(plane) if mask.inverted else plane
