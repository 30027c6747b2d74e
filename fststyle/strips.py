"""Large pictures a strip of rows at a time: what would be done to a whole one takes no copies of it.

Pillow holds four bytes for each pixel of a colour picture, and each step of its own makes a new one.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from math import ceil, floor, prod

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRIP_PIXELS = 4_000_000
"""Of one strip, about; a picture of fewer pixels is one strip."""

IN_MEMORY = 512 * 2**20
"""Bytes. Larger arrays lie in a file without a name in the folder for temporary files (``TMPDIR``), which the system
removes with the process, however that ends; what of it is in memory the system may write out when it needs the room.
"""

Rows = Callable[[slice], Image.Image]
Split = Callable[[Image.Image], tuple[Image.Image, Image.Image | None]]

# Where a row and a column of the stored picture are in the upright one, by EXIF's orientation.
_VIEWS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: upright[::-1].swapaxes(0, 1),
}
_TURNED = (5, 6, 7, 8)


def strips(width: int, height: int) -> Iterator[slice]:
    """Rows from the top down, together all of them."""
    rows = max(1, STRIP_PIXELS // width)
    for start in range(0, height, rows):
        yield slice(start, min(height, start + rows))


def pixel_array(*shape: int) -> NDArray[np.uint8]:
    """An array to fill, in memory or, where it is large, in a temporary file.

    :raises OSError: there is no room for the file.
    """
    if prod(shape) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    import tempfile

    with tempfile.TemporaryFile(prefix="fststyle-") as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def forget(array: NDArray[np.uint8]) -> None:
    """Takes what lies in a file out of this process's memory, and only from there; other arrays stay."""
    mapped = getattr(array, "_mmap", None)  # of np.memmap, and of its views
    # In mode "c", which a user's own array may have, changes are in memory alone and would be lost.
    if mapped is not None and hasattr(mapped, "madvise") and getattr(array, "mode", "c") != "c":
        mapped.madvise(mmap.MADV_DONTNEED)


def upright_pixels(
    size: tuple[int, int], rows: Rows, orientation: int, split: Split
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Pixels, uint8 [H, W, 3], and alpha, uint8 [H, W] or None, of a picture that is stored in ``orientation`` and has
    ``size`` (width, height) there.

    ``rows`` gives any rows of it, ``split`` colour in RGB and alpha in L of an image of any height.
    """
    width, height = size
    sides = (width, height) if orientation in _TURNED else (height, width)
    pixels, alpha = pixel_array(*sides, 3), None
    view = _VIEWS.get(orientation, np.asarray)
    for strip in strips(width, height):
        colour, transparency = split(rows(strip))
        view(pixels)[strip] = np.asarray(colour)
        if transparency is not None:
            alpha = pixel_array(*sides) if alpha is None else alpha
            view(alpha)[strip] = np.asarray(transparency)
        forget(pixels)
    return pixels, alpha


def resized(
    pixels: NDArray[np.uint8], size: tuple[int, int], resample: Image.Resampling = Image.Resampling.LANCZOS
) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] or [H, W] at ``size`` (width, height), by Lanczos, or bilinear, which has no ringing; the same
    to rounding however it is cut.

    Pillow makes whole pixels of what one direction gives before it goes on with the other, and begins with the one that
    is less work for the height at hand: here it is always the rows.
    """
    height, width = pixels.shape[:2]
    if size == (width, height):
        return pixels
    result = pixel_array(size[1], size[0], *pixels.shape[2:])
    scale = height / size[1]
    margin = ceil(3 * max(1.0, scale)) + 1  # Lanczos reaches over three pixels of the coarser grid
    for rows in strips(max(size[0], ceil(width * scale)), size[1]):  # neither it nor its source is larger
        top, bottom = rows.start * scale, min(float(height), rows.stop * scale)
        first, last = max(0, floor(top) - margin), min(height, ceil(bottom) + margin)
        source = Image.fromarray(np.ascontiguousarray(pixels[first:last]))
        across = source.resize((size[0], last - first), resample)
        box = (0, top - first, size[0], bottom - first)
        strip = across.resize((size[0], rows.stop - rows.start), resample, box)
        result[rows] = np.asarray(strip)
        forget(pixels)
        forget(result)
    return result
