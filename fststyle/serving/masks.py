"""Masks: where in a photo a style goes, as a plane of weights from 0 (not here) to 255 (here alone)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fststyle.colour import luma
from fststyle.errors import InputError, OptionError
from fststyle.images import MAX_PIXELS, Picture, decode, from_pillow, read_picture
from fststyle.strips import forget, pixel_array, resized, strips

LARGEST_FEATHER = 10_000.0


class MaskSource(Protocol):
    """What gives a mask for a photo."""

    @property
    def digest(self) -> str:
        """Hexadecimal; the same means the same masks for the same photos."""

    def plane(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [h, w], of any size, to be laid over the whole of ``photo``, uint8 [H, W, 3]; what was given once must
        not change.

        :raises InputError: there is none for that photo.
        """


@dataclass(frozen=True)
class Mask:
    """``source``, or with ``inverted`` all but that."""

    source: MaskSource
    inverted: bool = False

    @property
    def digest(self) -> str:
        return f"-{self.source.digest}" if self.inverted else self.source.digest

    def inverse(self) -> Mask:
        return replace(self, inverted=not self.inverted)


class PictureMask:
    """One mask for all photos of its shape, whatever their size: ``values`` is uint8 [h, w], ``name`` what messages
    call it.
    """

    def __init__(self, values: NDArray[np.uint8], name: str = "the mask") -> None:
        self.values, self.name = values, name

    @cached_property
    def digest(self) -> str:
        size = "x".join(map(str, self.values.shape))
        return hashlib.sha256(size.encode() + np.ascontiguousarray(self.values).data).hexdigest()

    def plane(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.check_shape((photo.shape[1], photo.shape[0]))
        return self.values

    def check_shape(self, size: tuple[int, int], what: str = "the photo, upright,") -> None:
        """:class:`~fststyle.errors.InputError` if it cannot be laid over pictures of ``size`` (width, height), which
        the message calls ``what``.
        """
        (width, height), (rows, columns) = size, self.values.shape
        if not _one_shape((columns, rows), size):
            raise InputError(
                f"{self.name} has {columns} x {rows} pixels and {what} {width} x {height}: a mask may have another "
                "size, but not another shape"
            )


def read_mask(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Mask:
    """The mask in a picture file: its alpha channel if anything in it is transparent, else its lightness.

    :raises InputError: it cannot be read, as in :func:`~fststyle.images.decode`.
    """
    return _picture_mask(read_picture(path, max_pixels=max_pixels), f"the mask {path}")


def decode_mask(data: bytes, *, name: str = "the mask", max_pixels: int = MAX_PIXELS) -> Mask:
    """The same for an encoded picture; ``name`` is what messages call it."""
    return _picture_mask(decode(data, name=name, max_pixels=max_pixels), name)


def as_mask(given: Mask | str | Path | Image.Image | NDArray[Any]) -> Mask:
    """A mask from a picture file, a Pillow image or an array [H, W]: uint8 0..255, floats 0..1, or bool.

    :raises InputError: it cannot be read, or is an array of another kind.
    """
    if isinstance(given, Mask):
        return given
    if isinstance(given, Image.Image):
        return _picture_mask(from_pillow(given), "the mask")
    if isinstance(given, np.ndarray):
        return Mask(PictureMask(_values(given)))
    if isinstance(given, str | Path):
        return read_mask(given)
    raise InputError(f"a mask is a path, a Pillow image, an array or a Mask, got {type(given).__name__}")


def check_shapes(masks: Iterable[Mask | None], size: tuple[int, int], what: str) -> None:
    """:meth:`PictureMask.check_shape` for those of ``masks`` that are pictures."""
    for mask in masks:
        if mask is not None and isinstance(mask.source, PictureMask):
            mask.source.check_shape(size, what)


def covers_all(mask: Mask | None) -> bool:
    """Whether it is white everywhere, whatever the picture; None is the whole of it."""
    if mask is None:
        return True
    values = mask.source.values if isinstance(mask.source, PictureMask) else None
    return values is not None and bool((values == (0 if mask.inverted else 255)).all())


def check_feather(feather: float) -> None:
    """:class:`~fststyle.errors.OptionError` for what is no number of pixels."""
    if not (math.isfinite(feather) and 0 <= feather <= LARGEST_FEATHER):
        raise OptionError(f"feather must be 0 to {LARGEST_FEATHER:g} pixels, got {feather:g}")


def fitted(plane: NDArray[np.uint8], size: tuple[int, int], feather: float) -> NDArray[np.uint8]:
    """uint8 [h, w] scaled to ``size`` (width, height) and blurred by a Gaussian whose standard deviation is ``feather``
    pixels of that size.
    """
    # Lanczos rings: beside each edge of a mask there would be spots that are neither 0 nor 255.
    scaled = resized(plane, size, Image.Resampling.BILINEAR)
    return scaled if feather == 0 else _blurred(scaled, feather)


def _blurred(plane: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """To the bit the same in strips as at once."""
    height, width = plane.shape
    margin = 3 * ceil(sigma) + 4  # Pillow's Gaussian is three boxes, each less than sigma + 1 to either side
    blur = ImageFilter.GaussianBlur(sigma)
    result = pixel_array(height, width)
    for rows in strips(width, height):
        first, last = max(0, rows.start - margin), min(height, rows.stop + margin)
        part = np.asarray(Image.fromarray(np.ascontiguousarray(plane[first:last])).filter(blur))
        result[rows] = part[rows.start - first : rows.stop - first]
        forget(result)
    return result


def _picture_mask(picture: Picture, name: str) -> Mask:
    # Editors save an alpha channel that is opaque everywhere: there the mask is what one sees.
    if picture.alpha is not None and picture.alpha.min() < 255:
        return Mask(PictureMask(picture.alpha, name))
    width, height = picture.size
    lightness = pixel_array(height, width)
    for rows in strips(width, height):
        lightness[rows] = np.rint(luma(picture.pixels[rows]))
    return Mask(PictureMask(lightness, name))


def _values(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.ndim != 2 or 0 in array.shape or (array.dtype.kind not in "bf" and array.dtype != np.uint8):
        raise InputError(f"a mask is uint8, float or bool [H, W], got {array.dtype} {list(array.shape)}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if not (array.min() >= 0 and array.max() <= 1):  # said so that it also finds what is no number
        raise InputError(f"a mask of floats is 0 to 1, got {array.min():g} to {array.max():g}")
    values: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
    return values


def _one_shape(mask: tuple[int, int], photo: tuple[int, int]) -> bool:
    """Whether one is the other scaled, but for a pixel of the smaller one's sides, or less: what rounding does to them,
    and to those of scaled frames, which are even.
    """
    return any(
        max(Fraction(side - 1, whole) for side, whole in zip(small, large, strict=True))
        <= min(Fraction(side + 1, whole) for side, whole in zip(small, large, strict=True))
        for small, large in ((mask, photo), (photo, mask))
    )
