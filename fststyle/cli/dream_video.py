"""Frames, as they are made -> a video file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fststyle.atomic import atomic_path
from fststyle.serving.video_formats import VideoSettings, target_for
from fststyle.serving.video_picture import Colour, Orientation
from fststyle.serving.video_reader import Frame, VideoInfo
from fststyle.serving.video_writer import VideoWriter

FRAMES_PER_SECOND = 25
_BT709, _LIMITED = 1, 1


def write_frames(frames: Iterable[NDArray[np.uint8]], path: Path, size: tuple[int, int], *, force: bool) -> None:
    """``frames``: uint8 [H, W, 3] sRGB of ``size`` (width, height). The file appears when it is whole.

    :raises OptionError: the suffix is no video's.
    :raises OutputError: it cannot be written, or exists and ``force`` is false.
    """
    rate = Fraction(FRAMES_PER_SECOND)
    info = VideoInfo(
        size=size,
        stored_size=size,
        orientation=Orientation(),
        aspect=Fraction(1),
        colour=Colour(matrix=_BT709, range=_LIMITED, primaries=_BT709, transfer=_BT709),
        rate=rate,
        time_base=1 / rate,
        origin=Fraction(0),
        seconds=None,
    )
    target = target_for(path, VideoSettings())
    with (
        atomic_path(path, overwrite=force) as temporary,
        VideoWriter(temporary, target, info, threads=1, shown=path) as writer,
    ):
        for number, pixels in enumerate(frames):
            writer.write(Frame(pixels, number, 1))
        writer.finish()
