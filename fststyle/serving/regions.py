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
from fststyle.serving.composition import Composition
from fststyle.serving.fitted_masks import FittedMasks
from fststyle.serving.look import Look
from fststyle.serving.masks import Mask, MaskSource, PictureMask, as_mask, check_feather, check_shapes, covers_all
from fststyle.serving.segmenter import PersonSegmenter
from fststyle.serving.stages import Stages
from fststyle.serving.steady_mask import SteadyMask
from fststyle.serving.stylizer import Stylizer
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
        self._feather, self._fitted = feather, FittedMasks()
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
        composition = self._composition(photo, look, stages)
        with stages.measure("compose"):
            return replace(photo, pixels=composition.finished())

    def stylise_apart(self, photo: Picture, look: Look, stages: Stages) -> tuple[Picture, NDArray[np.uint8]]:
        """As :meth:`stylise`, and how much of each pixel of the result is the photo's own: uint8 [H, W]. ``look`` is
        for a photo of its size.
        """
        composition = self._composition(photo, look, stages)
        with stages.measure("compose"):
            return replace(photo, pixels=composition.finished()), composition.photo_share

    def _composition(self, photo: Picture, look: Look, stages: Stages) -> Composition:
        self.check_shape(photo.size)
        composition, masks = Composition(photo.pixels), self._fitted.over(photo.pixels, self._feather)
        for region in reversed(self._regions) if look.strength > 0 else ():
            with stages.measure("mask"):
                share = composition.share(masks.get(region.mask))
            if not share.any():
                continue
            if region.stylizer is None:
                composition.keep(share)
                continue
            layer = region.stylizer.stylise(photo, look, stages)
            with stages.measure("compose"):
                composition.add(layer.pixels, share)
        return composition

    def check_shape(self, size: tuple[int, int], what: str = "the photo, upright,") -> None:
        """:class:`~fststyle.errors.InputError` if a mask does not fit pictures of ``size`` (width, height), which the
        message calls ``what``.
        """
        check_shapes((region.mask for region in self._regions), size, what)

    @property
    def main(self) -> Stylizer | None:
        """The style of all that no region covers; None where that stays as it is."""
        return self._regions[0].stylizer

    @property
    def parts(self) -> tuple[Stylizer, ...]:
        return tuple(part for region in self._regions if region.stylizer for part in region.stylizer.parts)

    @property
    def shows_photo(self) -> bool:
        """Whether pixels of the photo itself may be seen, as far as that can be known before there is one."""
        for region in reversed(self._regions):
            if region.stylizer is None or covers_all(region.mask):
                return region.stylizer is None or region.stylizer.shows_photo
        return True

    @property
    def masks_digest(self) -> str:
        told = [(region.mask.digest if region.mask else "", region.stylizer) for region in self._regions]
        return regions_digest([(mask, stylizer.style if stylizer else None) for mask, stylizer in told], self._feather)

    def over(self, stylizer: Stylizer, scale: float = 1.0) -> MaskedStylizer:
        """The same regions over another main style, unless there is none. ``scale``: that of the pictures to come to
        those whose pixels the feather is counted in.
        """
        twin = self if self.main is None else self._over(stylizer)
        if scale != 1:
            twin = copy(twin)
            twin._feather = self._feather * scale
        return twin

    def mixed(self, mix: Mix) -> Stylizer:
        return self._over(self._given_main(f"mix {mix}").mixed(mix))

    def with_style(self, style: StyleInfo) -> Stylizer:
        return self._over(self._given_main(style.name).with_style(style))

    def towards_photo(self, strength: float) -> Stylizer:
        return self._each(lambda stylizer: stylizer.towards_photo(strength))

    def steady(self) -> Stylizer:
        return self._each(Stylizer.steady).steady_masks()

    def steady_masks(self) -> MaskedStylizer:
        """The same styles, with masks for the frames of one video; see :class:`SteadyMask`."""
        return self._each_source(lambda source: source if isinstance(source, PictureMask) else SteadyMask(source))

    def side_by_side(self, pictures: int) -> Stylizer:
        opened: dict[Path, Stylizer] = {}

        def change(stylizer: Stylizer) -> Stylizer:
            if isinstance(stylizer, MaskedStylizer):
                return stylizer.side_by_side(pictures)
            path = stylizer.style.path
            if path not in opened:  # the styles of one palette go on sharing its network
                opened[path] = stylizer.side_by_side(pictures)
            twin = copy(stylizer)
            twin.engine = opened[path].engine.mixed(stylizer.engine.weights)
            return twin

        return self._each(change)._each_source(
            lambda source: source.side_by_side(pictures) if isinstance(source, PersonSegmenter) else source
        )

    def _given_main(self, wanted: str) -> Stylizer:
        if self.main is None:
            raise OptionError(f"the main style is the photo itself, of which there is no {wanted}")
        return self.main

    def _over(self, stylizer: Stylizer) -> MaskedStylizer:
        twin = copy(self)
        twin._regions = (replace(self._regions[0], stylizer=stylizer), *self._regions[1:])
        twin.style, twin.engine = stylizer.style, stylizer.engine
        return twin

    def _each(self, change: Callable[[Stylizer], Stylizer]) -> MaskedStylizer:
        twin = copy(self)
        twin._regions = tuple(
            replace(region, stylizer=region.stylizer and change(region.stylizer)) for region in self._regions
        )
        twin.engine = next(region.stylizer.engine for region in twin._regions if region.stylizer)
        return twin

    def _each_source(self, change: Callable[[MaskSource], MaskSource]) -> MaskedStylizer:
        masks = [region.mask for region in self._regions]
        sources = {id(mask.source): mask.source for mask in masks if mask}
        changed = {number: change(source) for number, source in sources.items()}
        twin = copy(self)
        twin._regions = tuple(
            replace(region, mask=region.mask and replace(region.mask, source=changed[id(region.mask.source)]))
            for region in self._regions
        )
        return twin


def region_style(styles: Sequence[StyleInfo]) -> StyleInfo:
    """What stands for the styles of all regions where there is no main one: the first, with all names in its own."""
    return replace(styles[0], name="+".join(dict.fromkeys(style.name for style in styles)))


def regions_digest(regions: Sequence[tuple[str, StyleInfo | None]], feather: float) -> str:
    """Hexadecimal: of all that regions do to a result. Each has its mask's digest and its style, None for the photo."""
    told = [[mask, [style.sha256, *style.weights] if style else PHOTO] for mask, style in regions]
    return hashlib.sha256(json.dumps([feather, told]).encode("ascii")).hexdigest()
