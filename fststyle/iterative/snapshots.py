"""The way there: pictures of some iterations, as files of their own and as frames of an animation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fststyle.atomic import atomic_path
from fststyle.errors import OptionError
from fststyle.iterative.descent import Moment
from fststyle.iterative.pixels import fitting

FRAMES = 60
"""How many frames an animation gets where nothing else is said."""

FRAME_SIDE = 480
"""Pixels: the longer side of a frame is no larger."""

FRAME_MILLISECONDS = 100
LAST_MILLISECONDS = 2000


@dataclass
class Snapshots:
    """``every``: iterations from one snapshot to the next, 0 for none; ``write``: what to do with one, given the number
    of its iteration; ``finished``: the picture as pixels. With ``animated`` frames are kept, as often or
    :data:`FRAMES` times; all have the size of the first one asked for, ``frame_size``.
    """

    every: int
    animated: bool
    frame_size: tuple[int, int]
    finished: Callable[[Tensor], NDArray[np.uint8]]
    write: Callable[[int, NDArray[np.uint8]], None]
    frames: list[NDArray[np.uint8]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.every < 0:
            raise OptionError(f"snapshots are taken every N iterations, N at least 1, got {self.every}")

    def __call__(self, moment: Moment) -> None:
        last = moment.number == moment.total
        for_file = self.every > 0 and moment.number % self.every == 0
        for_frame = self.animated and (last or moment.number % (self.every or max(1, moment.total // FRAMES)) == 0)
        if not (for_file or for_frame):
            return
        pixels = self.finished(moment.image)
        if for_file:
            self.write(moment.number, pixels)
        if for_frame:
            self.add_frame(pixels)

    def add_frame(self, pixels: NDArray[np.uint8]) -> None:
        picture = Image.fromarray(pixels).resize(self.frame_size, Image.Resampling.LANCZOS)
        self.frames.append(np.asarray(picture))


def frame_size(size: tuple[int, int]) -> tuple[int, int]:
    """Of an animation that ends with a picture of ``size``; even, as most video players want it."""
    width, height = fitting(size, min(FRAME_SIDE, max(size)))
    return max(2, width // 2 * 2), max(2, height // 2 * 2)


def write_gif(frames: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """:raises OutputError: it cannot be written."""
    pictures = [Image.fromarray(frame) for frame in frames]
    durations = [FRAME_MILLISECONDS] * (len(pictures) - 1) + [LAST_MILLISECONDS]
    with atomic_path(path) as temporary:
        pictures[0].save(temporary, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
