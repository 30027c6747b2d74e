"""The size at which the network works on a camera's pictures, and the way back to theirs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fststyle.serving.camera_opencv import cv2

Pixels = NDArray[np.uint8]
_BAND = 32
"""Rows: what is computed of them stays in the processor's cache."""


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """``size`` (width, height) scaled down so that its longer side is ``side``."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def scaled(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """uint8 [H, W, 3] at ``size`` (width, height)."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return np.asarray(pixels, np.uint8)
    smaller = size[0] < pixels.shape[1]
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


def sharpened(made: Pixels, small: Pixels, photo: Pixels, own: NDArray[np.uint8] | None) -> Pixels:
    """``made`` at the size of ``photo``, which it lets through as far as ``own`` says.

    ``made`` was made of ``small``, which was made of ``photo``; all are uint8 [H, W, 3]. ``own``, uint8 [h, w] of the
    small size: how much of each pixel of ``made`` is that of ``small``; None for nothing. Where it is all, the photo is
    there to the bit.
    """
    size = photo.shape[1], photo.shape[0]
    large = scaled(made, size)
    if made.shape == photo.shape or own is None or not own.any():
        return large
    before, share = scaled(small, size), scaled(own, size)
    for top in range(0, size[1], _BAND):
        rows = slice(top, top + _BAND)
        if share[rows].any():
            detail = cv2.subtract(photo[rows], before[rows], dtype=cv2.CV_16S)
            part = cv2.multiply(detail, cv2.merge([share[rows]] * 3), scale=1 / 255, dtype=cv2.CV_16S)
            large[rows] = cv2.add(large[rows], part, dtype=cv2.CV_8U)
    return large
