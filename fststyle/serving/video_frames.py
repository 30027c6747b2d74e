"""Pictures that a program makes, one after the other -> a video file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fststyle.atomic import atomic_path
from fststyle.serving.ffmpeg import av
from fststyle.serving.video_formats import VideoSettings, target_for
from fststyle.serving.video_picture import Colour, Orientation
from fststyle.serving.video_reader import Frame, VideoInfo
from fststyle.serving.video_writer import VideoWriter

_LIMITED_RANGE = int(av.video.reformatter.ColorRange.MPEG)
_BT709 = Colour(matrix=1, range=_LIMITED_RANGE, primaries=1, transfer=1)


def made_video(size: tuple[int, int], rate: Fraction, time_base: Fraction | None = None) -> VideoInfo:
    """Square pixels, upright, in the colours that players expect. ``size``: width and height; ``rate``: frames per
    second; ``time_base``: seconds, one frame by default.
    """
    return VideoInfo(
        size=size,
        stored_size=size,
        orientation=Orientation(),
        aspect=Fraction(1),
        colour=_BT709,
        rate=rate,
        time_base=time_base or 1 / rate,
        origin=Fraction(0),
        seconds=None,
    )


def write_frames(
    frames: Iterable[NDArray[np.uint8]], path: Path, size: tuple[int, int], *, rate: int, force: bool
) -> None:
    """``frames``: uint8 [H, W, 3] sRGB of ``size`` (width, height), ``rate`` per second. They are taken as they come,
    and the file appears when it is whole.

    :raises OptionError: the suffix is no video's.
    :raises DependencyError: this build of FFmpeg lacks the encoder.
    :raises OutputError: it cannot be written, or exists and ``force`` is false.
    """
    target, info = target_for(path, VideoSettings()), made_video(size, Fraction(rate))
    with (
        atomic_path(path, overwrite=force) as temporary,
        VideoWriter(temporary, target, info, threads=1, shown=path) as writer,
    ):
        for number, pixels in enumerate(frames):
            writer.write(Frame(pixels, number, 1))
        writer.finish()
