"""Faults of stylised pictures, found in the pixels alone: grids, borders, dots, lattices of dots, saturated areas.

Each detector compares results, uint8 [N, H, W, 3] RGB, with the photos that they were made of, of the same shape, and
gives a figure with the threshold above which it is a fault. NumPy is all it takes: no network is looked into.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fststyle.colour import luma
from fststyle.errors import InputError

Pictures = NDArray[np.uint8]
Plane = NDArray[np.floating[Any]]

SMALLEST_SIDE = 64
"""Pixels: below it a picture has no middle, and no tile to take a spectrum of."""

CHECKERBOARD_THRESHOLD = 1.0
BORDER_THRESHOLD = 2.0
DOTS_THRESHOLD = 3.0
LATTICE_THRESHOLD = 0.5
SATURATION_THRESHOLD = 0.1

TILE = 64
"""Side in pixels of the squares that spectra are taken of; they overlap by half."""
PERIODS = (2, 4, 8)
"""Pixels from one step of a grid to the next: halvings and doublings in a network print 2, 4 and, a third one, 8."""
STANDING_OUT = 2.0
"""A frequency counts as far as its power exceeds this many times its neighbours': textures stay below it."""
BORDER = 16
"""Pixels from the edge within which padding may show."""
DOT_CONTRAST = 24.0
"""Steps of 1/255 that a dot differs by from everything around it. Less is texture to the eye."""
DOT_RADII = (3, 6)
"""Pixels from a dot's middle to what is around it."""
FLAT = 10.0
"""Steps of 1/255: an area of the photo with a smaller standard deviation is flat."""
LATTICE_PERIODS = (3, 20)
"""Pixels from one dot to the next, at least and at most."""
_DOTS_UNIT = 10_000
_LATTICE_PERCENTILE = 90
_FALLEN = 0.7
"""Of a peak's height, at a third of its distance from the middle: what is left of it on every side."""
_SMALLEST_OVERLAP = 0.3
"""Of a tile with itself, shifted; with less an autocorrelation is a matter of chance."""


@dataclass(frozen=True)
class Finding:
    """``figure`` is None where nothing was measured; ``note`` says why, or what the figure is."""

    detector: str
    figure: float | None
    threshold: float
    note: str = ""

    @property
    def passed(self) -> bool | None:
        return None if self.figure is None else self.figure <= self.threshold

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def find_faults(results: Pictures, photos: Pictures, painting: NDArray[np.uint8] | None = None) -> list[Finding]:
    """All detectors of this module. ``painting``, uint8 [H, W, 3] RGB with its brush as in the results, is what
    :func:`dots` compares its figure with.

    :raises InputError: the shapes differ, or a side is below :data:`SMALLEST_SIDE`.
    """
    if results.shape != photos.shape or results.ndim != 4 or results.shape[3] != 3:
        raise InputError(f"results {list(results.shape)} and photos {list(photos.shape)} are not pairs of [N, H, W, 3]")
    if min(results.shape[1:3]) < SMALLEST_SIDE or not len(results):
        raise InputError(f"pictures of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels are needed to look for faults")
    return [
        checkerboard(results, photos),
        border(results, photos),
        dots(results, photos, painting),
        lattice(results, photos),
        saturation(results, photos),
    ]


def checkerboard(results: Pictures, photos: Pictures) -> Finding:
    """What stands out of the spectrum at periods of 2, 4 and 8 pixels, across and down, beyond what does in the photos.

    The figure is a root mean square in steps of 1/255 of luma, averaged over the pictures. Only power above twice that
    of the neighbouring frequencies counts: brush strokes have smooth spectra, a grid has peaks. At 1, the threshold,
    a grid is about to be seen: in flat areas one sees differences of one or two steps. Styles whose grain looked
    natural measured 0.1 to 0.5, two networks that printed a regular weave 1.1 and 1.3; a checkerboard of two steps
    measures 2.
    """
    excess = [_grid_power(result) - _grid_power(photo) for result, photo in zip(results, photos, strict=True)]
    return Finding("checkerboard", float(np.mean(np.sqrt(np.maximum(excess, 0)))), CHECKERBOARD_THRESHOLD, "steps")


def border(results: Pictures, photos: Pictures) -> Finding:
    """How much more or less the result differs from the photo within 16 pixels of the edge than in the middle.

    The mean absolute difference on each ring of pixels along the edge over that of the middle, averaged over the
    pictures; the figure is the ratio of the ring that differs most. What photos show at their edges is not what they
    show in the middle, so that sound styles measured 1.0 to 1.3 over ten photos and up to 1.8 in one; a black line of
    two pixels measures 3.
    """
    ratios = [_border_ratios(result, photo) for result, photo in zip(results, photos, strict=True)]
    mean = np.exp(np.mean(np.log(ratios), axis=0))
    return Finding("border", float(np.maximum(mean, 1 / mean).max()), BORDER_THRESHOLD, "edge / middle")


def dots(results: Pictures, photos: Pictures, painting: NDArray[np.uint8] | None = None) -> Finding:
    """How many small spots there are in 10,000 pixels beyond those of the photo.

    A spot is a pixel that is the lightest or darkest within 3 or 6 pixels and that differs by 24 steps of 1/255 or more
    from every pixel on the square around it: strokes and edges go on beyond it, isolated pixels and small blobs do not.
    Sound styles measured 0 to 0.6, networks that dotted skies and walls 3 to 9. Where the painting itself is dotted a
    figure above the threshold may be its style: the note tells how many spots the ``painting`` has.
    """
    found = [max(0.0, dot_density(result) - dot_density(photo)) for result, photo in zip(results, photos, strict=True)]
    note = "spots in 10,000 pixels"
    if painting is not None:
        note += f"; the painting has {dot_density(painting):.1f}"
    return Finding("dots", float(np.mean(found)), DOTS_THRESHOLD, note)


def lattice(results: Pictures, photos: Pictures) -> Finding:
    """How regularly dots are arranged where the photo is flat, whatever their distance and contrast.

    In each tile of the result the autocorrelation (periods up to 20 pixels, 1 for perfect repetition) has its highest
    peak at some shift; the tile's score is the highest peak in another direction, so that strokes, which repeat in one
    direction only, do not count. The figure is the 90th percentile of the scores: sound styles measured 0.2 to 0.3, the
    photos themselves 0.2, a lattice of dots of 8 steps 0.8.
    """
    scores = [
        _regularity(result_tile)
        for result, photo in zip(results, photos, strict=True)
        for result_tile, photo_tile in zip(_tiles(luma(result)), _tiles(luma(photo)), strict=True)
        if photo_tile.std() < FLAT
    ]
    if not scores:
        return Finding("lattice", None, LATTICE_THRESHOLD, "the photos have no flat area")
    return Finding("lattice", float(np.percentile(scores, _LATTICE_PERCENTILE)), LATTICE_THRESHOLD, "repetition")


def saturation(results: Pictures, photos: Pictures) -> Finding:
    """The share of values at 0 or 255 beyond the photos': what the network asked for and 8 bits cannot hold.

    Sound styles measured below 0.01; where a tenth is lost, light and shade are seen to be cut off.
    """
    shares = [float(np.mean((pictures == 0) | (pictures == 255))) for pictures in (results, photos)]
    return Finding("saturation", max(0.0, shares[0] - shares[1]), SATURATION_THRESHOLD, "share of values")


def _tiles(plane: Plane) -> Plane:
    """[N, H, W] -> overlapping tiles."""
    return sliding_window_view(plane, (TILE, TILE))[:: TILE // 2, :: TILE // 2].reshape(-1, TILE, TILE)


def _window() -> Plane:
    line = np.hanning(TILE + 1)[:-1]
    return np.outer(line, line)


def _grid_power(picture: NDArray[np.uint8]) -> float:
    """Mean square, in steps of 1/255, of what stands out at the frequencies of :data:`PERIODS`."""
    window = _window()
    tiles = _tiles(luma(picture))
    faded = (tiles - tiles.mean(axis=(1, 2), keepdims=True)) * window
    power = np.mean(np.abs(np.fft.fft2(faded)) ** 2, axis=0) / window.sum() ** 2
    places = sorted({TILE // period * step for period in PERIODS for step in range(period)})
    pairs = [(row, column) for row in places for column in places if (row, column) != (0, 0)]
    return sum(_excess(power, row, column) for row, column in pairs)


def _excess(power: Plane, row: int, column: int) -> float:
    """Power at one frequency beyond that of the largest of three neighbourhoods: a ridge of the spectrum is no peak."""
    away = np.array([-3, -2, 2, 3])  # the window spreads a pure tone over its direct neighbours
    along_row = power[row, (column + away) % TILE].mean()
    along_column = power[(row + away) % TILE, column].mean()
    around = power[np.ix_((row + away) % TILE, (column + away) % TILE)].mean()
    return max(0.0, float(power[row, column] - STANDING_OUT * max(along_row, along_column, around)))


def _regularity(tile: Plane) -> float:
    """The second of the two highest peaks of the autocorrelation that lie in different directions: -1 to 1."""
    window = _window()
    shares = np.fft.ifft2(np.abs(np.fft.fft2(window)) ** 2).real
    frequencies = np.fft.fftfreq(TILE)
    fine = np.hypot(frequencies[:, None], frequencies) > 1 / LATTICE_PERIODS[1]
    correlation = np.fft.ifft2(np.abs(np.fft.fft2((tile - tile.mean()) * window)) ** 2 * fine).real
    if correlation[0, 0] < (window**2).mean():  # variation of less than a step is that of rounding
        return 0.0
    correlation /= correlation[0, 0] * np.maximum(shares / shares[0, 0], _SMALLEST_OVERLAP)
    down, across = np.meshgrid(frequencies * TILE, frequencies * TILE, indexing="ij")
    distance = np.hypot(down, across)
    near = [np.roll(correlation, (row, column), (0, 1)) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    peaks = (correlation >= np.max(near, axis=0)) & (distance >= LATTICE_PERIODS[0]) & (distance <= LATTICE_PERIODS[1])
    isolated = [_isolated(correlation, int(row), int(column)) for row, column in np.argwhere(peaks)]
    if not any(isolated):
        return 0.0
    peaks[peaks] = isolated
    heights, angles = correlation[peaks], np.arctan2(down[peaks], across[peaks])
    apart = np.abs(np.sin(angles - angles[heights.argmax()])) > 0.5  # 30 degrees
    return float(heights[apart].max(initial=0.0))


def _isolated(correlation: Plane, row: int, column: int) -> bool:
    """Whether a peak falls off on all sides: along a stroke's ridge it would not."""
    distance = float(np.hypot(min(row, TILE - row), min(column, TILE - column)))
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.rint(max(2.0, distance / 3) * np.stack([np.sin(angles), np.cos(angles)])).astype(int)
    around = correlation[(row + circle[0]) % TILE, (column + circle[1]) % TILE]
    return bool(around.max() < _FALLEN * correlation[row, column])


def _border_ratios(result: NDArray[np.uint8], photo: NDArray[np.uint8]) -> Plane:
    """Mean deviation on each of the outer rings over that in the middle, from the edge inwards."""
    deviation = np.abs(result.astype(np.float64) - photo).mean(axis=2) + 1.0  # one step: two equal pictures are alike
    rows, columns = (np.minimum(np.arange(side), side - 1 - np.arange(side)) for side in deviation.shape)
    distance = np.minimum(rows[:, None], columns)
    rings = [deviation[distance == ring].mean() for ring in range(BORDER)]
    ratios: Plane = np.array(rings) / deviation[distance >= BORDER].mean()
    return ratios


def dot_density(picture: NDArray[np.uint8]) -> float:
    """Spots in 10,000 pixels of one picture, uint8 [H, W, 3]; see :func:`dots`."""
    plane = luma(picture)
    spots = np.zeros(plane.shape, dtype=bool)
    for radius in DOT_RADII:
        spots |= _spots(plane, radius) | _spots(-plane, radius)
    return float(spots.mean() * _DOTS_UNIT)


def _spots(plane: Plane, radius: int) -> NDArray[np.bool_]:
    """Where a pixel is the largest of its square of ``2 * radius + 1`` and stands out from the whole edge of it."""
    padded = np.pad(plane, radius, mode="edge")
    side = 2 * radius + 1
    largest = _running_max(_running_max(padded, side, 0), side, 1)
    rows = _running_max(padded, side, 1)
    columns = _running_max(padded, side, 0)
    last = 2 * radius
    height, width = plane.shape
    edge = np.max(
        [rows[:height], rows[last : last + height], columns[:, :width], columns[:, last : last + width]], axis=0
    )
    standing: NDArray[np.bool_] = (plane == largest) & (plane - edge >= DOT_CONTRAST)
    # The picture's own edge repeats itself beyond it, so that nothing there is surrounded.
    standing[:radius], standing[-radius:], standing[:, :radius], standing[:, -radius:] = False, False, False, False
    return standing


def _running_max(plane: Plane, side: int, axis: int) -> Plane:
    maximum: Plane = sliding_window_view(plane, side, axis=axis).max(axis=-1)
    return maximum
