"""What is given to be stylised, in all the forms it may have, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fststyle.errors import InputError
from fststyle.images import Picture, decode, from_pillow, read_picture


def as_picture(
    image: str | Path | bytes | Image.Image | NDArray[np.uint8], *, max_pixels: int, max_size: int | None
) -> Picture:
    """A path, bytes, a Pillow image, or an array uint8 [H, W, 3], [H, W, 4] (RGB or RGBA) or [H, W] (grey).

    :raises InputError: none of these, or it cannot be read, as in :func:`~fststyle.images.decode`.
    """
    if isinstance(image, bytes):
        return decode(image, max_pixels=max_pixels, max_size=max_size)
    if isinstance(image, Image.Image):
        return from_pillow(image, max_pixels=max_pixels)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, str | Path):
        return read_picture(image, max_pixels=max_pixels, max_size=max_size)
    raise InputError(f"expected a path, bytes, a Pillow image or an array, got {type(image).__name__}")


def _from_array(array: NDArray[np.uint8]) -> Picture:
    shape = array.shape
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or 0 in shape
        or (array.ndim == 3 and shape[2] not in (3, 4))
    ):
        raise InputError(f"expected uint8 [H, W], [H, W, 3] or [H, W, 4], got {array.dtype} {list(shape)}")
    if array.ndim == 2:
        return Picture(np.repeat(array[..., None], 3, axis=2))
    return Picture(array[..., :3], array[..., 3] if shape[2] == 4 else None)
