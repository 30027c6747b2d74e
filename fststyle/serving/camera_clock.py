"""A generated feed with a clock burned into every frame, and the reading of that clock from what became of a frame.

It is there to measure latency end to end, and so that the camera's road can be tried where there is no camera.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
TICK = 1e-4
"""Seconds. The clock counts these, and starts again at 0 after :data:`RANGE` of them."""
RANGE = 1 << 24
_TIME_BITS, _CHECK_BITS = 24, 8
_BITS = _TIME_BITS + _CHECK_BITS
_DARK, _LIGHT = 16, 235
_SLACK = 0.25  # share of a block at each side that is not read: there scaling and strokes mix it with its neighbours


def ticks(moment: float) -> int:
    """The clock's reading at ``moment``, in seconds of ``time.perf_counter``."""
    return int(moment / TICK) % RANGE


def seconds_between(earlier: int, later: int) -> float:
    """Between two readings, the later one at most half of :data:`RANGE` after the earlier; below 0 if it came before
    it.
    """
    difference = (later - earlier) % RANGE
    return (difference if difference < RANGE // 2 else difference - RANGE) * TICK


def burn(pixels: Pixels, reading: int) -> None:
    """Draw ``reading`` along the upper edge of ``pixels``, uint8 [H, W, 3], in place.

    32 columns, a bit each: 24 of time, highest first, and 8 of a checksum. A bit is two square blocks on top of each
    other, light over dark for 1 and dark over light for 0, so that a change of tone does not matter.
    """
    side = pixels.shape[1] // _BITS
    for place, bit in enumerate(_bits(reading)):
        columns = slice(place * side, (place + 1) * side)
        pixels[:side, columns] = _LIGHT if bit else _DARK
        pixels[side : 2 * side, columns] = _DARK if bit else _LIGHT


def read(pixels: Pixels) -> int | None:
    """The reading in a frame, uint8 [H, W, 3], which may have been stylised and scaled; None if it is unreadable."""
    side = pixels.shape[1] / _BITS
    if side < 2 or pixels.shape[0] < 2 * side:
        return None
    upper, lower = (_block_means(pixels, side, row) for row in (0, 1))
    bits = [bool(light > dark) for light, dark in zip(upper, lower, strict=True)]
    value = sum(bit << (_BITS - 1 - place) for place, bit in enumerate(bits))
    reading, check = value >> _CHECK_BITS, value & ((1 << _CHECK_BITS) - 1)
    return reading if check == _checksum(reading) else None


def _bits(reading: int) -> list[bool]:
    value = reading << _CHECK_BITS | _checksum(reading)
    return [bool(value >> (_BITS - 1 - place) & 1) for place in range(_BITS)]


def _checksum(reading: int) -> int:
    return zlib.crc32(reading.to_bytes(4, "big")) & ((1 << _CHECK_BITS) - 1)


def _block_means(pixels: Pixels, side: float, row: int) -> list[float]:
    top, bottom = round((row + _SLACK) * side), max(round((row + _SLACK) * side) + 1, round((row + 1 - _SLACK) * side))
    strip = pixels[top:bottom].mean(axis=(0, 2))
    edges = [(round((place + _SLACK) * side), round((place + 1 - _SLACK) * side)) for place in range(_BITS)]
    return [float(strip[left : max(left + 1, right)].mean()) for left, right in edges]


class SyntheticScene:
    """Coloured clouds that move, with the time at which each frame was made burned in."""

    def __init__(self, size: tuple[int, int], clock: Callable[[], float] = time.perf_counter) -> None:
        """``size``: (width, height) in pixels."""
        width, height = size
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        waves = [np.sin(columns / (17 + 9 * band) + np.cos(rows / (23 + 5 * band)) * 2) for band in range(3)]
        self._scene = np.ascontiguousarray(((np.stack(waves, axis=-1) + 1) * 127.5).astype(np.uint8))
        self._clock, self._number = clock, 0

    def draw(self) -> tuple[Pixels, float]:
        """The next frame, uint8 [H, W, 3], and the moment that is burned into it."""
        pixels = np.roll(self._scene, 2 * self._number, axis=1)
        self._number += 1
        moment = self._clock()
        burn(pixels, ticks(moment))
        return pixels, moment
