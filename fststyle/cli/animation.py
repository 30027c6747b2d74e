"""Frames -> an animated GIF or a video file, by suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import OptionError
from fststyle.serving.video_formats import CONTAINERS

FRAMES_PER_SECOND = 10
HELD = 20
"""How many frames long the last one stays, in a video."""


def check_animation_target(path: Path) -> None:
    """
    :raises OptionError: the suffix is neither .gif nor a video's.
    :raises DependencyError: a video is asked for, and PyAV is missing.
    """
    suffix = path.suffix.lower()
    if suffix == ".gif":
        return
    if suffix not in CONTAINERS:
        raise OptionError(f"an animation is written as .gif, {', '.join(CONTAINERS)}, got {path}")
    from fststyle.serving import ffmpeg  # noqa: F401  (raises where PyAV is missing: before the work, not after it)


def write_animation(frames: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """``frames``: uint8 [H, W, 3] sRGB, at least one, all of one size.

    :raises OutputError: it cannot be written.
    """
    if path.suffix.lower() == ".gif":
        from fststyle.iterative.snapshots import write_gif

        write_gif(frames, path)
        return
    from fststyle.serving.video_frames import write_frames

    size = (frames[0].shape[1], frames[0].shape[0])
    write_frames([*frames, *[frames[-1]] * HELD], path, size, rate=FRAMES_PER_SECOND, force=True)
