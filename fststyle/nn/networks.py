"""The feed-forward transformer networks, and the presets that say how large each one is.

Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution" (ECCV 2016),
supplementary table 1, with three departures: instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022) for batch
normalisation; resize-convolutions for the transposed ones, which print checkerboards (Odena et al. 2016,
doi:10.23915/distill.00003); and reflection padding at every convolution, where the paper pads the picture once and
lets the residual blocks shrink it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fststyle.errors import OptionError, did_you_mean

MINIMUM_SIDE = 16
"""Pixels. Below it the reflection of the deepest convolution would need more rows than there are."""

LARGEST_BLOCK = 4
"""Side in pixels of the blocks that the last convolution computes at once: a fifth less time in all on a CPU."""


@dataclass(frozen=True)
class Architecture:
    """The numbers that shape a :class:`TransformerNet`.

    ``width`` is the number of channels at full resolution; each of the ``downsampling`` halvings doubles it.
    ``blocks`` is the number of residual blocks at the lowest resolution, ``kernel`` the side in pixels of the first
    and the last convolution.
    """

    width: int
    blocks: int
    downsampling: int = 2
    kernel: int = 9

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 0:
            raise OptionError(f"width must be at least 1 and blocks at least 0, got {self.width} and {self.blocks}")
        if not 0 <= self.downsampling <= 3:
            raise OptionError(f"downsampling must be 0 to 3 halvings, got {self.downsampling}")
        if self.kernel % 2 == 0 or not 1 <= self.kernel <= MINIMUM_SIDE:
            raise OptionError(f"kernel must be odd and below {MINIMUM_SIDE}, got {self.kernel}")

    @property
    def multiple(self) -> int:
        """Height and width are padded to a multiple of this many pixels inside the network."""
        return int(2**self.downsampling)


PRESETS: dict[str, Architecture] = {
    "quality": Architecture(width=32, blocks=5),
    "balanced": Architecture(width=16, blocks=5),
}


def preset(name: str) -> Architecture:
    """The architecture of that name; :class:`~fststyle.errors.OptionError` with the nearest name if there is none."""
    if name not in PRESETS:
        raise OptionError(f"no preset named {name!r}; presets: {', '.join(PRESETS)}{did_you_mean(name, PRESETS)}")
    return PRESETS[name]


class BlockConv2d(nn.Conv2d):
    """A convolution of stride 1, few outputs and no padding, computed for ``block`` x ``block`` pixels at once.

    Processors compute 8 to 64 channels together, so that 3 outputs leave most of their width idle. Here each pixel of a
    block has outputs of its own, whose kernels are the original one shifted within a frame of zeros; the stride is the
    block's side. Takes [N, C, H + k - 1, W + k - 1] with H and W multiples of ``block``, returns [N, outputs, H, W].
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, block: int) -> None:
        super().__init__(inputs, outputs, kernel)
        self.block = block

    def forward(self, features: Tensor) -> Tensor:
        if self.block == 1:
            return super().forward(features)
        shifts = [(shift, self.block - 1 - shift) for shift in range(self.block)]
        down = torch.stack([F.pad(self.weight, (0, 0, *shift)) for shift in shifts], dim=1)
        kernels = torch.stack([F.pad(down, shift) for shift in shifts], dim=2).flatten(0, 2)
        found = F.pixel_shuffle(F.conv2d(features, kernels, stride=self.block), self.block)
        return found if self.bias is None else found + self.bias.view(-1, 1, 1)


class ConvNorm(nn.Sequential):
    """Reflection padding, convolution and instance normalisation with a learnt scale and shift.

    The convolution has no bias: the normalisation that follows would take it away again.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(inputs, outputs, kernel, stride, bias=False),
            nn.InstanceNorm2d(outputs, affine=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, no activation after the sum (Gross and Wilber 2016, as Johnson et al.
    do).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3)
        self.second = ConvNorm(channels, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.second(F.relu(self.first(features)))
        return features + change


class Upsample(nn.Module):
    """Bilinear doubling, then a 3x3 convolution.

    With nearest-neighbour doubling, the other usual choice, the pixels of each 2x2 square see the kernel differently:
    our networks then printed a lattice of 4 pixels, which thousands of steps fade and a bilinear ramp never shows.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvNorm(inputs, outputs, 3)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.conv(doubled(features)))


def doubled(features: Tensor) -> Tensor:
    """Bilinear doubling of height and width, between corners that are not aligned.

    Under ``torch.compile`` it is written out as sums of shifted copies: the compiler's own backward of ``interpolate``
    scatters pixel by pixel, which took a tenth of a training step.
    """
    if not torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
    return doubled_along(doubled_along(features, 2), 3)


def doubled_along(features: Tensor, dim: int) -> Tensor:
    """Twice as long along ``dim``: each value becomes two, a quarter of the way towards its neighbours."""
    size = features.shape[dim]
    before = torch.cat([features.narrow(dim, 0, 1), features.narrow(dim, 0, size - 1)], dim)
    after = torch.cat([features.narrow(dim, 1, size - 1), features.narrow(dim, size - 1, 1)], dim)
    near = 0.75 * features
    return torch.stack([near + 0.25 * before, near + 0.25 * after], dim + 1).flatten(dim, dim + 1)


class TransformerNet(nn.Module):
    """Image in, stylised image out.

    Input and output: float [N, 3, H, W], RGB, 0..1, H and W at least :data:`MINIMUM_SIDE`; the output has exactly the
    input's height and width. Values are centred inside, and the output may leave 0..1 by a little: whoever needs
    pixels clamps.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths = [architecture.width * 2**level for level in range(architecture.downsampling + 1)]
        self.stem = ConvNorm(3, widths[0], architecture.kernel)
        self.down = nn.ModuleList(ConvNorm(a, b, 3, stride=2) for a, b in pairwise(widths))
        self.blocks = nn.Sequential(*(Residual(widths[-1]) for _ in range(architecture.blocks)))
        self.up = nn.ModuleList(Upsample(b, a) for a, b in list(pairwise(widths))[::-1])
        block = min(LARGEST_BLOCK, architecture.multiple)
        self.head = nn.Sequential(
            nn.ReflectionPad2d(architecture.kernel // 2), BlockConv2d(widths[0], 3, architecture.kernel, block)
        )

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        multiple = self.architecture.multiple
        padded = F.pad(images, (0, (-width) % multiple, 0, (-height) % multiple), mode="reflect")
        features = F.relu(self.stem((padded - 0.5) * 4))  # about unit variance for photographs
        for down in self.down:
            features = F.relu(down(features))
        features = self.blocks(features)
        for up in self.up:
            features = up(features)
        stylized: Tensor = self.head(features) / 4 + 0.5
        return stylized[..., :height, :width]


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def initial_network(architecture: Architecture, seed: int) -> TransformerNet:
    """A network whose random start depends on ``seed`` alone and leaves torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TransformerNet(architecture)
