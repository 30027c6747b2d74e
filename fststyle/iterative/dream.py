"""DeepDream: a photo changed so that what a network's layers see in it becomes more of what they see.

Mordvintsev, Olah and Tyka, "Inceptionism: Going Deeper into Neural Networks" (2015).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from fststyle.errors import InputError
from fststyle.iterative.ascent import Ascent, Progress, ascend
from fststyle.iterative.objectives import POSITIONS, Objective
from fststyle.iterative.octaves import lost_detail, octave_sizes, resize
from fststyle.nn.feature_networks import FeatureNetwork, has_positions, smallest_side


@dataclass(frozen=True, kw_only=True)
class DreamSettings:
    """``octaves``: how many sizes, each ``octave_scale`` times the one before. ``ascent``: what happens at each."""

    octaves: int = 4
    octave_scale: float = 1.4
    ascent: Ascent = field(default_factory=Ascent)
    seed: int = 0

    def __post_init__(self) -> None:
        octave_sizes((1, 1), self.octaves, self.octave_scale)


def dream(
    photo: Tensor,
    network: FeatureNetwork,
    objective: Objective,
    settings: DreamSettings,
    *,
    progress: Progress | None = None,
) -> Tensor:
    """``photo`` and the result: float [1, 3, H, W] RGB in 0..1, on the network's device.

    From the smallest octave to the photo's size: dream, enlarge, put back the photo's detail that the smaller size
    could not hold. Octaves too small for a layer are left out. No steps at all give the photo.

    :raises InputError: the photo itself is too small; the message says which size would do.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    sizes = usable_sizes(photo, network, objective, settings)
    images = resize(photo, sizes[0])
    for number, size in enumerate(sizes):
        if number:
            images = (resize(images, size) + lost_detail(photo, sizes[number - 1], size)).clamp(0, 1)
        images = ascend(images, network, objective, settings.ascent, generator=generator, progress=progress)
    return images


def usable_sizes(
    photo: Tensor, network: FeatureNetwork, objective: Objective, settings: DreamSettings
) -> list[tuple[int, int]]:
    """The octaves (height, width) on which every layer has enough positions; errors are those of :func:`dream`."""
    height, width = photo.shape[2:]
    sizes = octave_sizes((height, width), settings.octaves, settings.octave_scale)
    for number, size in enumerate(sizes):
        if has_positions(network, objective.layers, resize(photo, size), POSITIONS):
            return sizes[number:]
    side = smallest_side(network, objective.layers, POSITIONS)
    layers = ", ".join(objective.layers)
    raise InputError(f"a picture of {width} x {height} is too small for {layers}: both sides need {side} pixels")
