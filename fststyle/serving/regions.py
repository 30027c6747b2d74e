"""Several styles in several regions of one photo."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fststyle.errors import OptionError
from fststyle.images import Picture
from fststyle.mixes import Mix
from fststyle.serving.look import Look
from fststyle.serving.masks import Mask, MaskSource, as_mask, check_feather, fitted
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer
from fststyle.strips import forget, pixel_array, strips
from fststyle.styles import PHOTO, StyleInfo


@dataclass(frozen=True)
class Region:
    """``stylizer`` None leaves the photo as it is there; ``mask`` None is the whole of it."""

    mask: Mask | None
    stylizer: Stylizer | None


class MaskedStylizer(Stylizer):
    """A style that goes where its mask is, and others in regions of their own; used as any :class:`Stylizer` is.

    >>> painted = MaskedStylizer(Stylizer("starry_night"), "sky.png", feather=12)
    >>> painted("photo.jpg", output="stylised.jpg")

    Each network is run on the whole photo. A pixel is shared out from the last region to the first: each gets as much
    of it as its mask says, or what is left; then comes the main style, within its mask, and what remains is the
    photo's. Where one gets all, the result is its picture to the bit. A network whose share is nothing is not run.
    """

    def __init__(
        self,
        stylizer: Stylizer | None,
        mask: Mask | str | Path | Image.Image | NDArray[Any] | None = None,
        *,
        regions: Sequence[tuple[Mask | str | Path | Image.Image | NDArray[Any], Stylizer | None]] = (),
        feather: float = 0.0,
    ) -> None:
        """``stylizer`` is the main style, inside of ``mask`` if there is one; None is the photo as it is. ``regions``
        are masks with the style that goes there, later ones over earlier ones. A mask is what
        :func:`~fststyle.serving.masks.as_mask` takes, or a part of a
        :class:`~fststyle.serving.segmenter.PersonSegmenter`. ``feather``: standard deviation, in pixels of the result,
        of the Gaussian that masks are blurred by.

        :raises InputError: a mask cannot be read.
        :raises OptionError: ``feather`` is out of range, or there is no style at all.
        """
        check_feather(feather)
        self._feather = feather
        main = Region(None if mask is None else as_mask(mask), stylizer)
        self._regions = (main, *(Region(as_mask(area), style) for area, style in regions))
        styles = [region.stylizer for region in self._regions if region.stylizer]
        if not styles:
            raise OptionError("at least one region must have a style that is not the photo")
        self.engine, self.progress = styles[0].engine, styles[0].progress
        self.max_pixels = min(style.max_pixels for style in styles)
        self.style = styles[0].style if stylizer else region_style([style.style for style in styles])

    def stylise(self, photo: Picture, look: Look, stages: Stages | None = None) -> Picture:
        """As :meth:`Stylizer.stylise`.

        :raises InputError: a mask has not the photo's shape.
        """
        stages = stages or Stages()
        with stages.measure("resize"):
            photo = photo.limited(look.max_size)
        composition, masks = _Composition(photo.pixels), _FittedMasks(photo.pixels, self._feather)
        for region in reversed(self._regions):
            with stages.measure("mask"):
                share = composition.share(masks.get(region.mask))
            if not share.any():
                continue
            layer = region.stylizer.stylise(photo, look, stages) if region.stylizer else photo
            with stages.measure("compose"):
                composition.add(layer.pixels, share)
        with stages.measure("compose"):
            return replace(photo, pixels=composition.finished())

    def mixed(self, mix: Mix) -> Stylizer:
        main = self._regions[0].stylizer
        if main is None:
            raise OptionError(f"the main style is the photo itself, of which there is no mix {mix}")
        twin, mixed = copy(self), main.mixed(mix)
        twin._regions = (replace(self._regions[0], stylizer=mixed), *self._regions[1:])
        twin.style, twin.engine = mixed.style, mixed.engine
        return twin

    def towards_photo(self, strength: float) -> Stylizer:
        return self._each(lambda stylizer: stylizer.towards_photo(strength))

    def steady(self) -> Stylizer:
        return self._each(Stylizer.steady)

    def side_by_side(self, pictures: int) -> Stylizer:
        return self._each(lambda stylizer: stylizer.side_by_side(pictures))

    def _each(self, change: Callable[[Stylizer], Stylizer]) -> Stylizer:
        twin = copy(self)
        twin._regions = tuple(
            replace(region, stylizer=region.stylizer and change(region.stylizer)) for region in self._regions
        )
        twin.engine = next(region.stylizer.engine for region in twin._regions if region.stylizer)
        return twin


def region_style(styles: Sequence[StyleInfo]) -> StyleInfo:
    """What stands for the styles of all regions where there is no main one: the first, with all names in its own."""
    return replace(styles[0], name="+".join(dict.fromkeys(style.name for style in styles)))


def regions_digest(regions: Sequence[tuple[str, StyleInfo | None]], feather: float) -> str:
    """Hexadecimal: of all that regions do to a result. Each has its mask's digest and its style, None for the photo."""
    told = [[mask, [style.sha256, *style.weights] if style else PHOTO] for mask, style in regions]
    return hashlib.sha256(json.dumps([feather, told]).encode("ascii")).hexdigest()


class _FittedMasks:
    """The masks of one photo; a source of several masks is asked once."""

    def __init__(self, photo: NDArray[np.uint8], feather: float) -> None:
        self._photo, self._feather = photo, feather
        self._planes: dict[int, NDArray[np.uint8]] = {}

    def get(self, mask: Mask | None) -> NDArray[np.uint8] | None:
        """uint8 [H, W] of the photo's size; None for the whole of it."""
        if mask is None:
            return None
        height, width = self._photo.shape[:2]
        plane = fitted(self._plane(mask.source), (width, height), self._feather)
        return np.bitwise_not(plane) if mask.inverted else plane

    def _plane(self, source: MaskSource) -> NDArray[np.uint8]:
        if id(source) not in self._planes:
            self._planes[id(source)] = source.plane(self._photo)
        return self._planes[id(source)]


class _Composition:
    """Shares each pixel of ``photo``, uint8 [H, W, 3], out among layers; what is left at the end is the photo's."""

    def __init__(self, photo: NDArray[np.uint8]) -> None:
        height, width = photo.shape[:2]
        self._photo, self._rows = photo, list(strips(width, height))
        self._left = pixel_array(height, width)
        self._left[:] = 255
        self._sum = pixel_array(height, width, 6).view(np.uint16)
        self._sum[:] = 0

    def share(self, mask: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """As much of ``mask``, uint8 [H, W] or None for all, as is left."""
        return self._left.copy() if mask is None else np.minimum(mask, self._left)

    def add(self, layer: NDArray[np.uint8], share: NDArray[np.uint8]) -> None:
        for rows in self._rows:
            # At most 255 * 255, which is below 2 ** 16, as all shares of a pixel together are 255.
            self._sum[rows] += layer[rows] * share[rows, :, None].astype(np.uint16)
            self._left[rows] -= share[rows]
            self._forget(layer)

    def finished(self) -> NDArray[np.uint8]:
        result = pixel_array(*self._photo.shape)
        for rows in self._rows:
            total = self._sum[rows] + self._photo[rows] * self._left[rows, :, None].astype(np.uint16)
            result[rows] = (total + np.uint16(127)) // np.uint16(255)
            self._forget(result)
        return result

    def _forget(self, array: NDArray[np.uint8]) -> None:
        for each in (array, self._photo, self._left, self._sum.view(np.uint8)):
            forget(each)
