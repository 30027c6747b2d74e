"""Layers that the transformer networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BlockConv2d(nn.Conv2d):
    """A convolution of stride 1, few outputs and no padding, computed for ``block`` x ``block`` pixels at once.

    Processors compute 8 to 64 channels together, so that 3 outputs leave most of their width idle. Here each pixel of a
    block has outputs of its own, whose kernels are the original one shifted within a frame of zeros; the stride is the
    block's side. Takes [N, C, H + k - 1, W + k - 1] with H and W multiples of ``block``, returns [N, outputs, H, W].
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, block: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, bias=bias)
        self.block = block

    def forward(self, features: Tensor) -> Tensor:
        if self.block == 1:
            return super().forward(features)
        found = F.pixel_shuffle(F.conv2d(features, self.kernels(), stride=self.block), self.block)
        return found if self.bias is None else found + self.bias.view(-1, 1, 1)

    def kernels(self, gain: float = 1.0) -> Tensor:
        """Those of all pixels of a block times ``gain``: [outputs * block * block, inputs, k + block - 1, the same]."""
        shifts = [(shift, self.block - 1 - shift) for shift in range(self.block)]
        weight = self.weight if gain == 1 else self.weight * gain
        down = torch.stack([F.pad(weight, (0, 0, *shift)) for shift in shifts], dim=1)
        return torch.stack([F.pad(down, shift) for shift in shifts], dim=2).flatten(0, 2)


class DoublingConv2d(nn.Conv2d):
    """A 3x3 convolution of the bilinearly doubled map, computed at the map's own resolution.

    Doubling and convolution are one linear map of 3x3 elements to the 2x2 pixels that come from the middle one: a
    quarter of the work where few outputs leave processors idle (as in :class:`BlockConv2d`), and no doubled map to
    write and read. The pixels' kernels are tied as the ordinary convolution ties them, so that no grid of their phases
    can be learnt, as a pixel shuffle's can (Aitken et al. 2017, arXiv:1707.02937). Takes [N, C, H, W], returns
    [N, outputs, 2 H, 2 W]; beyond the map's edges are zeros, which two pixels see.
    """

    ramps: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)
        # Of each pixel: the shares of three elements in the three doubled pixels around it.
        left = [[0.75, 0.25, 0.0], [0.25, 0.75, 0.75], [0.0, 0.0, 0.25]]
        right = [row[::-1] for row in left[::-1]]
        self.register_buffer("ramps", torch.tensor([left, right]), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        found = F.pixel_shuffle(F.conv2d(features, self.kernels(), padding=1), 2)
        return found if self.bias is None else found + self.bias.view(-1, 1, 1)

    def kernels(self, gain: float = 1.0) -> Tensor:
        """Those of the 2x2 pixels times ``gain``: [outputs * 4, inputs, 3, 3]."""
        return torch.einsum("pah,qbk,oihk->opqiab", self.ramps, self.ramps, self.weight * gain).flatten(0, 2)


class StyleNorm(nn.InstanceNorm2d):
    """Instance normalisation with a learnt scale and shift for each channel (Ulyanov et al. 2016, arXiv:1607.08022).

    Where ``weight`` and ``bias`` are [N, C], each of the N pictures is scaled and shifted by its own (Dumoulin et al.
    2017, arXiv:1610.07629, "conditional instance normalization").
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        if self.weight.ndim == 1:
            return super().forward(features)
        normal = F.instance_norm(features, eps=self.eps)
        scale, shift = (tensor.to(normal.dtype)[..., None, None] for tensor in (self.weight, self.bias))
        return normal * scale + shift


class ConvNorm(nn.Sequential):
    """Reflection padding, convolution and instance normalisation with a learnt scale and shift.

    The convolution has no bias: the normalisation that follows would take it away again.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(inputs, outputs, kernel, stride, bias=False),
            StyleNorm(outputs),
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
