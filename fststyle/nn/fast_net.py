"""The network of presets ``realtime`` and ``balanced``: built for what processors compute quickly.

The layout of Johnson et al. (2016), with instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022), from whom it
departs in these:

- One strided convolution goes from the picture to a quarter of the resolution. Residual blocks work at an eighth,
  which look far, and at a quarter, which paint: with all of them at an eighth, networks of ten times the parameters
  tinted the photo and left out the strokes. At full resolution nothing is computed channel by channel, where Johnson's
  9x9 convolutions, their norms and their padding take most of the time.
- What is lost on the way down comes back by three skips: features at a quarter, edges taken from the picture at half
  the resolution, and a convolution of the picture itself that is added to the result (Ronneberger et al. 2015,
  arXiv:1505.04597, for the first two).
- It goes up by bilinear doubling, from half the resolution within the last convolution: with the one of the picture it
  is exactly one 3x3 convolution at full resolution of the doubled features beside the picture. Nothing has phases of
  its own, so that no grid can appear.
- The picture is continued by reflection. Where norms come next, so are features; at half the resolution zeros are
  cheaper, which only pixels see that are cut off.

Processors compute 16 channels at a time: other widths than multiples of 16 save nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from fststyle.errors import OptionError
from fststyle.nn.layers import BlockConv2d, ConvNorm, DoublingConv2d, Residual, StyleNorm, doubled
from fststyle.nn.transformer_net import NetworkShape, TransformerNet

MULTIPLE = 8
MARGIN = 4
"""Pixels around the picture that are cut off in the end: two convolutions at half the resolution have seen zeros."""
REACH = 1
"""Pixels that the convolutions of the picture look beyond those that they stand for."""
GAIN = 0.25
"""Of the last convolutions, whose inputs are centred and of about unit variance: their outputs are pixels."""


@dataclass(frozen=True)
class FastArchitecture(NetworkShape):
    """The numbers that shape a :class:`FastNet`: channels at a ``half`` and at a ``quarter`` of the resolution and in
    the ``trunk`` at an eighth, the number of residual ``blocks`` there, and of the ``fine`` ones at a quarter.
    """

    half: int
    quarter: int
    trunk: int
    blocks: int
    fine: int

    def __post_init__(self) -> None:
        widths, blocks = (self.half, self.quarter, self.trunk), (self.blocks, self.fine)
        if min(widths) < 1 or min(blocks) < 0:
            raise OptionError(f"widths must be at least 1 and blocks at least 0, got {widths} and {blocks}")

    @property
    def multiple(self) -> int:
        return MULTIPLE

    def network(self) -> FastNet:
        return FastNet(self)


class FastNet(TransformerNet):
    def __init__(self, architecture: FastArchitecture) -> None:
        super().__init__(architecture)
        half, quarter, trunk = architecture.half, architecture.quarter, architecture.trunk
        # Strided convolutions that look one pixel further on each side than their stride.
        self.stem = nn.Sequential(nn.Conv2d(3, quarter, 4 + 2 * REACH, 4, bias=False), StyleNorm(quarter))
        self.down = ConvNorm(quarter, trunk, 3, stride=2)
        self.blocks = nn.Sequential(*(Residual(trunk) for _ in range(architecture.blocks)))
        self.narrow = nn.Conv2d(trunk, quarter, 1)
        self.up = ConvNorm(quarter, quarter, 3)
        self.fine = nn.Sequential(*(Residual(quarter) for _ in range(architecture.fine)))
        self.mix = nn.Conv2d(quarter, half, 1, bias=False)
        self.edges = nn.Conv2d(3, half, 2 + 2 * REACH, 2, bias=False)
        self.norm = StyleNorm(half)
        self.refine = nn.Conv2d(half, half, 3, padding=1)
        self.head = DoublingConv2d(half, 3)
        self.detail = BlockConv2d(3, 3, 1 + 2 * REACH, 2, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        border = MARGIN + REACH
        padding = (border, border + (-width) % MULTIPLE, border, border + (-height) % MULTIPLE)
        picture = (F.pad(images, padding, mode="reflect") - 0.5) * 4  # about unit variance for photographs
        quarter = F.relu(self.stem(picture))
        trunk = self.blocks(F.relu(self.down(quarter)))
        quarter = self.fine(F.relu(self.up(doubled(self.narrow(trunk)) + quarter)))
        half = F.relu(self.norm(doubled(self.mix(quarter)) + self.edges(picture)))
        pixels = self._pixels(F.relu(self.refine(half)), picture)
        return pixels[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]

    def _pixels(self, half: Tensor, picture: Tensor) -> Tensor:
        """``head`` and ``detail`` together, before their 2x2 pixels go to their places."""
        assert self.head.bias is not None
        bias = (self.head.bias * GAIN + 0.5).repeat_interleave(4)
        blocks = F.conv2d(half, self.head.kernels(GAIN), bias, padding=1)
        return F.pixel_shuffle(blocks + F.conv2d(picture, self.detail.kernels(GAIN), stride=2), 2)
