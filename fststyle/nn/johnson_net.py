"""The network of preset ``quality``.

Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution" (ECCV 2016),
supplementary table 1, with three departures: instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022) for batch
normalisation; resize-convolutions for the transposed ones, which print checkerboards (Odena et al. 2016,
doi:10.23915/distill.00003); and reflection padding at every convolution, where the paper pads the picture once and
lets the residual blocks shrink it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from fststyle.errors import OptionError
from fststyle.nn.layers import BlockConv2d, ConvNorm, Residual, Upsample
from fststyle.nn.transformer_net import MINIMUM_SIDE, NetworkShape, TransformerNet

LARGEST_BLOCK = 4
"""Side in pixels of the blocks that the last convolution computes at once: a fifth less time in all on a CPU."""


@dataclass(frozen=True)
class Architecture(NetworkShape):
    """The numbers that shape a :class:`JohnsonNet`.

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
        return int(2**self.downsampling)

    def network(self) -> JohnsonNet:
        return JohnsonNet(self)


class JohnsonNet(TransformerNet):
    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
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
