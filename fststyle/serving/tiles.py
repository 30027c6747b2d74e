"""Pictures of any size: the network runs in tiles that fit together without a seam.

What ties one part of a picture to all others are the instance norms. Their statistics are measured once, on a
thumbnail of the whole picture, and given to each tile (:mod:`~fststyle.serving.fixed_norms`). A tile is run with as
much of its surroundings as its pixels depend on, so that the result is that of the whole picture with the same
statistics. Only at the picture's own edges does a tile see padding, and there it is the picture's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import DeviceError
from fststyle.serving.engine import MINIMUM_SIDE, Engine
from fststyle.serving.fixed_norms import FixedEngine, MeasuringEngine, Runtime, Statistics, Trim
from fststyle.serving.graph import read_graph
from fststyle.serving.memory import OVERHEAD
from fststyle.serving.mixed_network import mixed_network
from fststyle.serving.providers import CPU
from fststyle.serving.receptive_field import ReceptiveField, receptive_field
from fststyle.serving.tile_choice import SMALLEST_TILE, Progress, Tiling
from fststyle.strips import forget, pixel_array, resized

THUMBNAIL_SIDE = 1024
"""Pixels of the longer side of what the statistics are measured on; smaller pictures are their own thumbnail."""

WORKSPACE = 640 * 2**20
"""Bytes that the network may take for one tile, where the tile's size is not given."""


class _Span(NamedTuple):
    """Along one axis: the pixels that a tile gives, and those that it is computed from."""

    start: int
    stop: int
    first: int
    last: int
    inner: bool


@dataclass(frozen=True)
class Tile:
    """Pixels ``rows`` and ``columns`` of the result come from ``seen`` (rows and columns too) of the picture.

    ``inner``: the picture's edges are so far away that no padding shows. ``trim``: what can be cut off of the
    surroundings at the network's neck, which has an element for ``stride`` pixels.
    """

    rows: slice
    columns: slice
    seen: tuple[slice, slice]
    inner: bool
    trim: Trim
    stride: int

    def cut(self, computed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Of what was computed from ``seen``, less ``trim``, the tile's own part."""
        top = self.rows.start - self.seen[0].start - self.trim.top * self.stride
        left = self.columns.start - self.seen[1].start - self.trim.left * self.stride
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return computed[top : top + height, left : left + width]


def tiles(width: int, height: int, side: int, field: ReceptiveField) -> list[Tile]:
    """Tiles of about equal size, at most ``side`` x ``side``, rounded to the network's multiple, that cover a picture
    once; inner ones first.
    """
    found = [
        _tile(row, column, width, height, field)
        for row in _spans(height, side, field)
        for column in _spans(width, side, field)
    ]
    return sorted(found, key=lambda tile: not tile.inner)


def _tile(row: _Span, column: _Span, width: int, height: int, field: ReceptiveField) -> Tile:
    most = _trim(field)
    trim = Trim(
        top=most if row.first > 0 else 0,
        left=most if column.first > 0 else 0,
        bottom=most if row.last < height else 0,
        right=most if column.last < width else 0,
    )
    return Tile(
        slice(row.start, row.stop),
        slice(column.start, column.stop),
        (slice(row.first, row.last), slice(column.first, column.last)),
        row.inner and column.inner,
        trim,
        field.neck.stride if field.neck else 1,
    )


def side_for(field: ReceptiveField) -> int:
    """The side of tiles whose network takes no more than :data:`WORKSPACE`, before its neck and after it."""
    room, neck = WORKSPACE / OVERHEAD, field.neck
    side = (room / (neck.bytes_before if neck else field.bytes_per_pixel)) ** 0.5 - 2 * _overlap(field)
    if neck:
        kept = _overlap(field) - _trim(field) * neck.stride
        side = min(side, (room / neck.bytes_after) ** 0.5 - 2 * kept)
    return max(SMALLEST_TILE, _down(int(side), field.multiple))


def stylise_tiled(
    engine: Engine, model: Path, pixels: NDArray[np.uint8], side: int | None = None, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """What the network in ``model`` makes of ``pixels``, uint8 [H, W, 3] both, in tiles of ``side`` pixels or of what
    fits :data:`WORKSPACE`; device, threads and the mix of styles are those of ``engine``.

    :raises ModelError: the network has something in it that does not work in tiles.
    :raises DeviceError: there is not enough memory for one tile, or for the result.
    """
    graph = read_graph(mixed_network(model, engine.weights))
    runtime = Runtime(model, graph, "cpu" if engine.provider == CPU else "cuda", engine.threads)
    field = receptive_field(graph)
    side = side_for(field) if side is None else side
    try:
        statistics = measure(runtime, pixels)
        return run_tiles(runtime, statistics, pixels, field, side, progress)
    except DeviceError as error:
        raise DeviceError(f"not enough memory for tiles of {side} x {side} pixels; set a smaller --tile") from error
    except OSError as error:
        height, width = pixels.shape[:2]
        raise DeviceError(f"no room for the result of {width} x {height} pixels: {error.strerror or error}") from error


def measure(runtime: Runtime, pixels: NDArray[np.uint8]) -> list[Statistics]:
    """Of each norm, on a thumbnail of ``pixels``, uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(width, height))
    thumbnail = resized(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
    return MeasuringEngine(runtime).measure(thumbnail)


def run_tiles(
    runtime: Runtime,
    statistics: list[Statistics],
    pixels: NDArray[np.uint8],
    field: ReceptiveField,
    side: int,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """The network with those statistics on ``pixels``, uint8 [H, W, 3] both, tile by tile."""
    height, width = pixels.shape[:2]
    planned = tiles(width, height, side, field)
    tiling = Tiling(width, height, side, len(planned))
    result = pixel_array(height, width, 3)
    if progress:
        progress(tiling, 0)
    engine, inner = None, None
    for done, tile in enumerate(planned, start=1):
        if tile.inner is not inner:
            engine = None  # its memory goes before the next one takes any
            engine = FixedEngine(runtime, statistics, borders=not tile.inner, neck=field.neck)
            inner = tile.inner
        assert engine is not None
        result[tile.rows, tile.columns] = tile.cut(engine.trimmed(pixels[tile.seen], tile.trim))
        forget(pixels)
        forget(result)
        if progress:
            progress(tiling, done)
    return result


def _spans(length: int, side: int, field: ReceptiveField) -> Iterator[_Span]:
    overlap = _overlap(field)
    count = -(-length // max(field.multiple, _down(side, field.multiple)))
    step = _up(-(-length // count), field.multiple)
    # A picture below the network's smallest is one tile; so is a rest that the network could not take by itself.
    for start in range(0, length, step):
        stop = min(length, start + step)
        first, last = start - overlap, stop + overlap
        inner = first >= 0 and last <= length
        yield _Span(start, stop, max(0, first), min(length, last), inner)


def _overlap(field: ReceptiveField) -> int:
    """Surroundings on each side, so wide that a tile, seen with them, is never below the smallest picture."""
    return _up(max(field.radius, MINIMUM_SIDE), field.multiple)


def _trim(field: ReceptiveField) -> int:
    """Elements of the neck that the rest of the network does not need of a tile's surroundings, on each side."""
    neck = field.neck
    return max(0, _down(_overlap(field) // neck.stride - neck.reach, neck.multiple)) if neck else 0


def _down(value: int, multiple: int) -> int:
    return value // multiple * multiple


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
