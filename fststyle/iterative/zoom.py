"""A journey into a dream: each frame is the one before, moved a little and dreamt again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from fststyle.errors import OptionError
from fststyle.iterative.ascent import Progress
from fststyle.iterative.dream import DreamSettings, dream
from fststyle.iterative.objectives import Objective
from fststyle.nn.feature_networks import FeatureNetwork


@dataclass(frozen=True, kw_only=True)
class Motion:
    """From one frame to the next: ``zoom`` above 1 goes in, ``rotate`` is in degrees and turns the picture clockwise,
    ``shift`` moves it right and down, in pixels.

    :raises OptionError: a zoom that is not above 0, or a value that is not finite.
    """

    zoom: float = 1.03
    rotate: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.zoom, self.rotate, *self.shift))) or self.zoom <= 0:
            raise OptionError(f"zoom is above 0, and zoom, rotate and shift are finite numbers; got {self}")


def moved(images: Tensor, motion: Motion) -> Tensor:
    """[N, 3, H, W] in 0..1, about its middle (bicubic); what comes in from outside is the picture's mirror image."""
    height, width = images.shape[2:]
    angle = math.radians(motion.rotate)
    cosine, sine = math.cos(angle) / motion.zoom, math.sin(angle) / motion.zoom
    right, down = 2 * motion.shift[0] / width, 2 * motion.shift[1] / height
    # For each place of the result, where it was: coordinates of -1..1 along either side, hence the sides' ratio.
    inverse = torch.tensor([[cosine, sine * height / width], [-sine * width / height, cosine]])
    offset = -inverse @ torch.tensor([right, down])
    theta = torch.cat([inverse, offset[:, None]], dim=1).to(images).expand(len(images), -1, -1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False).clamp(0, 1)


def dream_frames(
    photo: Tensor,
    network: FeatureNetwork,
    objective: Objective,
    settings: DreamSettings,
    *,
    frames: int,
    frame_steps: int,
    motion: Motion,
    progress: Progress | None = None,
) -> Iterator[Tensor]:
    """``frames`` pictures as :func:`~fststyle.iterative.dream.dream` gives them; the first is its own.

    Those that follow get ``frame_steps`` steps per octave: they start from a dream.

    :raises OptionError: fewer than one frame, or a negative number of steps; other errors are those of ``dream``.
    """
    if frames < 1:
        raise OptionError(f"a journey has at least 1 frame, got {frames}")
    later = replace(settings, ascent=replace(settings.ascent, steps=frame_steps))
    images = dream(photo, network, objective, settings, progress=progress)
    yield images
    for number in range(1, frames):
        again = replace(later, seed=settings.seed + number)
        images = dream(moved(images, motion), network, objective, again, progress=progress)
        yield images
