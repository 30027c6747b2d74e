"""What a filter looks for: pictures drawn from noise that excite one channel of a layer, and the first layer's kernels.

Erhan et al., "Visualizing Higher-Layer Features of a Deep Network" (2009); Simonyan et al., "Deep Inside Convolutional
Networks" (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fststyle.errors import InputError, OptionError
from fststyle.iterative.ascent import Ascent, Progress, ascend
from fststyle.iterative.objectives import POSITIONS, ChannelActivations, check_channel
from fststyle.iterative.octaves import Size, octave_sizes, resize
from fststyle.iterative.regularizers import GREY, Regularizers
from fststyle.nn.feature_networks import FeatureNetwork, first_kernels, has_positions, smallest_side

DISPLAY_CONTRAST = 0.2
"""Standard deviation of the values, in 0..1, with which a filter's picture is shown."""

ASCENT = Ascent(steps=20, step_size=0.02, jitter=16, normalization="laplacian")
CLEARING = Regularizers(l2_decay=0.02, blur_every=4, blur_sigma=0.6)
STARTS = ((1, 1), (1, 4), (3, 1), (3, 4), (3, 16))
"""Kinds of noise, by their strength as a multiple of the usual one and the size of their grains in pixels. A filter
that is silent on one of them has no gradient there, and starts from the next.
"""


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """``size``: side of each picture in pixels. ``noise``: standard deviation, about grey, of the noise that a picture
    starts from. It grows through ``octaves`` sizes, each ``octave_scale`` times the one before: what was drawn small
    becomes the coarse structure of what is drawn large. The default regularizers are weak ones, which clear the noise
    where a filter sees nothing.

    :raises OptionError: a value out of range.
    """

    size: int = 128
    octaves: int = 3
    octave_scale: float = 1.4
    noise: float = 0.15
    ascent: Ascent = ASCENT
    regularizers: Regularizers = CLEARING
    seed: int = 0

    def __post_init__(self) -> None:
        octave_sizes((1, 1), self.octaves, self.octave_scale)
        if self.size < 1 or not 0 < self.noise <= 1:
            raise OptionError(
                f"the size is at least 1 and the noise above 0 and at most 1, got {self.size}, {self.noise}"
            )


def draw_filters(
    network: FeatureNetwork,
    layer: str,
    channels: Sequence[int],
    settings: FilterSettings,
    *,
    progress: Progress | None = None,
) -> Tensor:
    """A picture for each of ``channels``, by gradient ascent on its mean activation: float [K, 3, size, size] in 0..1.

    All start from the same noise, so that what tells them apart is their filters; only those that are silent on it
    start from coarser or stronger noise. A filter that is silent on that too (:func:`silent`) stays noise. Octaves too
    small for the layer are left out.

    :raises OptionError: a channel that the layer does not have.
    :raises InputError: pictures of that size are too small for the layer; the message says which size would do.
    """
    device = next(network.buffers()).device
    generator = torch.Generator().manual_seed(settings.seed)
    objective = ChannelActivations(layer, channels)
    sizes = _usable_sizes(network, layer, settings, device)
    images = _start(network, objective, sizes[0], settings)
    for size in sizes:
        images = resize(images, size)
        images = ascend(
            images,
            network,
            objective,
            settings.ascent,
            generator=generator,
            regularizer=settings.regularizers,
            progress=progress,
        )
    return images


def silent(network: FeatureNetwork, layer: str, channels: Sequence[int], images: Tensor) -> list[bool]:
    """Whether ``channels[n]`` does not fire anywhere in picture n of ``images``, [K, 3, H, W]."""
    with torch.no_grad():
        activations = ChannelActivations(layer, channels)(network(images, [layer]))
    return (activations <= 0).tolist()


def _start(network: FeatureNetwork, objective: ChannelActivations, size: Size, settings: FilterSettings) -> Tensor:
    # A generator of its own: how many kinds of noise it takes must not change the jitter that follows.
    generator, device = torch.Generator().manual_seed(settings.seed), next(network.buffers()).device

    def noise(factor: float, grain: int) -> Tensor:
        coarse = (max(1, size[0] // grain), max(1, size[1] // grain))
        values = resize(torch.randn(1, 3, *coarse, generator=generator), size) * settings.noise * factor
        return (values + GREY).clamp(0, 1).to(device).expand(len(objective.channels), -1, -1, -1)

    images = noise(*STARTS[0])
    for start in STARTS[1:]:
        quiet = torch.tensor(silent(network, objective.layer, objective.channels, images), device=device)
        if not quiet.any():
            break
        images = torch.where(quiet.view(-1, 1, 1, 1), noise(*start), images)
    return images


def _usable_sizes(network: FeatureNetwork, layer: str, settings: FilterSettings, device: torch.device) -> list[Size]:
    sizes = octave_sizes((settings.size, settings.size), settings.octaves, settings.octave_scale)
    for number, size in enumerate(sizes):
        if has_positions(network, [layer], torch.zeros(1, 3, *size, device=device), POSITIONS):
            return sizes[number:]
    side = smallest_side(network, [layer], POSITIONS)
    raise InputError(f"pictures of {settings.size} x {settings.size} are too small for {layer}: it needs {side} pixels")


def shown(images: Tensor) -> Tensor:
    """[N, 3, H, W] with the same contrast and brightness each, in 0..1: strong and weak filters then compare."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    spread = images.std(dim=(1, 2, 3), keepdim=True) + 1e-8
    return ((images - mean) / spread * DISPLAY_CONTRAST + GREY).clamp(0, 1)


def draw_kernels(network: FeatureNetwork, channels: Sequence[int], pixels: int) -> Tensor:
    """The first layer's kernels as pictures: [K, 3, side, side] in 0..1 with grey for a weight of 0, each kernel over
    the range that its own strongest weight needs, and each weight a square of ``pixels`` pixels.

    :raises OptionError: a channel that the layer does not have.
    """
    kernels = first_kernels(network)
    for channel in channels:
        check_channel("the first layer", kernels[None, :, 0, 0], channel)
    chosen = kernels[list(channels)].float()
    strongest = chosen.abs().amax(dim=(1, 2, 3), keepdim=True) + 1e-12
    squares = (GREY + chosen / strongest / 2).repeat_interleave(pixels, dim=2)
    return squares.repeat_interleave(pixels, dim=3)
