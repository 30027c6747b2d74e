"""Less flicker: each frame is mixed with those before it where the video did not change, and how much it flickers.

A network sees every frame for the first time, and turns a sensor's noise into strokes that come and go. Two things
vary: the strokes themselves, and, through the means and variances of the instance norms, the tone of the whole
picture. Smoothing the output, as it is done here, meets the first where nothing moves;
:class:`~fststyle.serving.steady.SteadyEngine` meets the second, everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import InputError, OptionError

Pixels = NDArray[np.uint8]
_Floats = NDArray[np.float32]
_BLOCK = 4
"""Pixels a side. The change of the input is judged on means over blocks, which hold a quarter of the noise."""


class CutDetector:
    """Whether each frame of a video begins something new: the first one, one of another size, or one whose blocks of
    4 x 4 pixels differ from those of the frame before by more than ``threshold`` on average, in levels of 0..255.
    """

    def __init__(self, threshold: float = 24.0) -> None:
        """:raises OptionError: a threshold of 0 or less."""
        if threshold <= 0:
            raise OptionError(f"the threshold of a cut must be above 0, got {threshold}")
        self._threshold = threshold
        self._before: _Floats | None = None
        self.cuts = 0
        """How many there were, not counting the beginning and changes of size."""

    def __call__(self, blocks: _Floats) -> bool:
        """``blocks``: the next frame's :func:`block_means`."""
        before, self._before = self._before, blocks
        if before is None or before.shape != blocks.shape:
            return True
        if float(np.abs(blocks - before).mean()) <= self._threshold:
            return False
        self.cuts += 1
        return True


class Stabilizer:
    """Exponential smoothing of the frames of one video, per pixel, guided by how much the input changed.

    With x the input averaged over blocks of 4 x 4 pixels, y the stylised frame, and X and Y what is remembered::

        w = smoothing * exp(-(d / tolerance)^2)     d = largest change |x - X| in the block and its neighbours
        Y <- w Y + (1 - w) y                        the result
        X <- w X + (1 - w) x

    The same weights act on input and output, so X is the input as the remembered picture shows it: where something
    creeps, |x - X| grows until the memory is dropped, and nothing moves with a ghost. A cut, a frame whose blocks
    differ from those of the frame before by more than ``cut`` on average, drops it everywhere; so does a change of
    size.
    """

    def __init__(self, *, smoothing: float = 0.85, tolerance: float = 6.0, cut: float = 24.0) -> None:
        """``smoothing``: weight of the past where nothing changes, 0 (none) to below 1; noise falls by
        sqrt((1 - smoothing) / (1 + smoothing)). ``tolerance`` and ``cut`` in levels of 0..255.

        :raises OptionError: a value out of range.
        """
        if not 0 <= smoothing < 1:
            raise OptionError(f"smoothing must be 0 to below 1, got {smoothing}")
        if tolerance <= 0:
            raise OptionError(f"tolerance must be above 0, got {tolerance}")
        self._smoothing, self._tolerance, self._cut = smoothing, tolerance, CutDetector(cut)
        self._shown: _Floats = np.zeros((0, 0, 3), np.float32)
        self._result: _Floats = np.zeros((0, 0, 3), np.float32)

    @property
    def cuts(self) -> int:
        """How many times the memory was dropped because of a cut."""
        return self._cut.cuts

    def __call__(self, photo: Pixels, stylized: Pixels) -> Pixels:
        """The next frame: the input and its stylised picture, both uint8 [H, W, 3] RGB; the result has that form too.

        :raises InputError: the two differ in shape.
        """
        if photo.shape != stylized.shape or photo.ndim != 3:
            raise InputError(f"expected two pictures of one size, got {list(photo.shape)} and {list(stylized.shape)}")
        blocks = block_means(photo)
        if self._cut(blocks) or self._result.shape != stylized.shape:
            self._shown, self._result = blocks, stylized.astype(np.float32)
            return stylized
        weight = self._weight(blocks)
        self._shown = blocks + weight[..., None] * (self._shown - blocks)
        fine = _enlarged(weight, stylized.shape[:2])[..., None]
        self._result -= stylized
        self._result *= fine
        self._result += stylized
        return np.rint(self._result).astype(np.uint8)  # between two values of 0..255, so there is nothing to clip

    def _weight(self, blocks: _Floats) -> _Floats:
        change = _largest_neighbour(np.abs(blocks - self._shown).max(axis=2))
        weight: _Floats = self._smoothing * np.exp(-np.square(change / self._tolerance))
        return weight


def flicker(photos: Iterable[Pixels], results: Iterable[Pixels]) -> float:
    """How much the result changes from frame to frame beyond what the input does, in levels of 0..255.

    The mean of max(0, |change of result| - |change of input|) over all pixels, channels and pairs of frames that follow
    each other. Both are sequences of uint8 [H, W, 3], of one length and size; 0 where nothing ever changes.

    :raises InputError: fewer than two frames.
    """
    excess: list[float] = []
    before: tuple[NDArray[np.int16], NDArray[np.int16]] | None = None
    for photo, result in zip(photos, results, strict=True):
        now = photo.astype(np.int16), result.astype(np.int16)
        if before is not None:
            beyond = np.abs(now[1] - before[1]) - np.abs(now[0] - before[0])
            excess.append(float(np.maximum(beyond, 0).mean()))
        before = now
    if not excess:
        raise InputError("flicker is measured between frames, and there are fewer than two")
    return sum(excess) / len(excess)


def block_means(pixels: Pixels) -> _Floats:
    """float32 [ceil(H / 4), ceil(W / 4), 3]; the last row and column are continued to whole blocks."""
    height, width = pixels.shape[:2]
    down, right = -height % _BLOCK, -width % _BLOCK
    padded = np.pad(pixels, ((0, down), (0, right), (0, 0)), mode="edge") if down or right else pixels
    rows, columns = padded.shape[0] // _BLOCK, padded.shape[1] // _BLOCK
    means: _Floats = padded.reshape(rows, _BLOCK, columns, _BLOCK, 3).mean(axis=(1, 3), dtype=np.float32)
    return means


def _largest_neighbour(values: _Floats) -> _Floats:
    """The maximum over 3 x 3, so that the edge of what moves counts as moving."""
    padded = np.pad(values, 1, mode="edge")
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _enlarged(values: _Floats, shape: tuple[int, ...]) -> _Floats:
    """[rows, columns] of blocks to [H, W] of pixels, linear between the blocks' centres."""
    for axis, length in enumerate(shape):
        at = np.clip((np.arange(length, dtype=np.float32) + 0.5) / _BLOCK - 0.5, 0, values.shape[axis] - 1)
        low = np.minimum(at.astype(np.intp), max(0, values.shape[axis] - 2))
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        first = np.take(values, low, axis=axis)
        second = np.take(values, np.minimum(low + 1, values.shape[axis] - 1), axis=axis)
        values = first + share * (second - first)
    return values
