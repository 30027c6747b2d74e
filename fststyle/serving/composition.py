"""One picture of several, each with its share of every pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fststyle.strips import forget, pixel_array

_AT_ONCE = 65_536
"""Pixels, about: what is computed of them stays in the processor's cache, which halves the time."""


class Composition:
    """Shares each pixel of ``photo``, uint8 [H, W, 3], out among layers; what is left at the end is the photo's."""

    def __init__(self, photo: NDArray[np.uint8]) -> None:
        height, width = photo.shape[:2]
        self._photo, self._rows = photo, list(_strips(width, height))
        self._left = pixel_array(height, width)
        self._left[:] = 255
        self._kept: NDArray[np.uint8] | None = None
        self._sum = pixel_array(height, width, 6).view(np.uint16)
        self._sum[:] = 0

    def share(self, mask: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """As much of ``mask``, uint8 [H, W] or None for all, as is left."""
        return self._left.copy() if mask is None else np.minimum(mask, self._left)

    @property
    def photo_share(self) -> NDArray[np.uint8]:
        """uint8 [H, W]: how much of each pixel is the photo's, if nothing more is added."""
        return self._own(slice(None))

    def keep(self, share: NDArray[np.uint8]) -> None:
        """The photo gets that."""
        self._left -= share
        self._kept = share if self._kept is None else self._kept + share

    def add(self, layer: NDArray[np.uint8], share: NDArray[np.uint8]) -> None:
        for rows in self._rows:
            if share[rows].any():
                # At most 255 * 255, which is below 2 ** 16, as all shares of a pixel together are 255.
                self._sum[rows] += layer[rows] * _of_channels(share[rows])
                self._left[rows] -= share[rows]
            self._forget(layer)

    def finished(self) -> NDArray[np.uint8]:
        result = pixel_array(*self._photo.shape)
        for rows in self._rows:
            total, own = self._sum[rows] + np.uint16(127), self._own(rows)
            if own.any():
                total += self._photo[rows] * _of_channels(own)
            result[rows] = total // np.uint16(255)
            self._forget(result)
        return result

    def _own(self, rows: slice) -> NDArray[np.uint8]:
        return self._left[rows] if self._kept is None else self._left[rows] + self._kept[rows]

    def _forget(self, array: NDArray[np.uint8]) -> None:
        for each in (array, self._photo, self._left, self._sum.view(np.uint8)):
            forget(each)


def _strips(width: int, height: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // width)
    return (slice(start, min(height, start + step)) for start in range(0, height, step))


def _of_channels(plane: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """[H, W] -> [H, W, 3]; channel by channel, as NumPy is slow where the last side is short."""
    wide = np.empty((*plane.shape, 3), np.uint16)
    for channel in range(3):
        wide[..., channel] = plane
    return wide
