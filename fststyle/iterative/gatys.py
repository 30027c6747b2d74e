"""Style transfer by optimising the pixels of one picture.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks" (CVPR 2016), with what its
successors added: several paintings, masks and colour control (Gatys et al. 2017, arXiv:1611.07865), coarse-to-fine
sizes, total variation. The losses are those of training (:mod:`fststyle.nn.losses`), so that weights mean the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fststyle.colour import keep_chroma
from fststyle.errors import InputError, OptionError, did_you_mean
from fststyle.iterative.colour_transfer import grey, luminance_only, match_histogram
from fststyle.iterative.descent import Objective
from fststyle.iterative.pixels import covering, to_tensor
from fststyle.nn.losses import LossParts, LossWeights, PerceptualLoss, total_variation_loss
from fststyle.nn.pixels import noise, to_image, to_pixels
from fststyle.nn.vgg import Pooling, VGGFeatures, check_layers
from fststyle.nn.weight_files import VGGWeights

Colours = Literal["luminance", "histogram"]
Start = Literal["photo", "noise", "painting"]

GATYS_CONTENT = ("relu4_2",)
GATYS_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
SMALLEST = 32
"""Pixels: a shorter side below leaves too little to the layers behind four poolings."""


def equal_shares(layers: Sequence[str]) -> dict[str, float]:
    return dict.fromkeys(layers, 1.0)


@dataclass(frozen=True, eq=False)
class Style:
    """A painting, uint8 [H, W, 3] sRGB, how much it counts beside others, and where in the photo: ``mask``, uint8
    [H, W] of the photo's size, 255 where it applies and 0 where not, or None for everywhere.
    """

    painting: NDArray[np.uint8]
    weight: float = 1.0
    mask: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise OptionError(f"a painting's weight must be at least 0, got {self.weight:g}")


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What the picture should be like; checked when made: :class:`~fststyle.errors.OptionError` for a bad value.

    Layers map names to shares. ``style_scale``: the painting's short side over the result's, so that 2 makes strokes
    twice as broad. ``keep_color``: one of the ways of :mod:`~fststyle.iterative.colour_transfer`.
    """

    vgg: str = "vgg16"
    pooling: Pooling = "max"
    content_layers: Mapping[str, float] = field(default_factory=lambda: equal_shares(GATYS_CONTENT))
    style_layers: Mapping[str, float] = field(default_factory=lambda: equal_shares(GATYS_STYLE))
    content_weight: float = 1.0
    style_weight: float = 10.0
    tv_weight: float = 0.1
    style_scale: float = 1.0
    keep_color: Colours | None = None

    def __post_init__(self) -> None:
        check_layers(self.vgg, [*self.content_layers, *self.style_layers])
        self.loss_weights()
        if not 0 < self.style_scale < math.inf:
            raise OptionError(f"style_scale must be above 0, got {self.style_scale:g}")
        if self.keep_color is not None and self.keep_color not in get_args(Colours):
            raise OptionError(f"keep_color is one of {', '.join(get_args(Colours))}, got {self.keep_color!r}")

    def loss_weights(self) -> LossWeights:
        return LossWeights(
            content_layers=self.content_layers,
            style_layers=self.style_layers,
            content=self.content_weight,
            style=self.style_weight,
            total_variation=self.tv_weight,
        )


class StyleTransfer:
    """A :class:`~fststyle.iterative.descent.Task`: one photo, uint8 [H, W, 3] sRGB, in the style of paintings.

    :raises OptionError: no painting counts, or a mask is black everywhere.
    :raises InputError: a mask is not of the photo's size.
    """

    def __init__(
        self,
        photo: NDArray[np.uint8],
        styles: Sequence[Style],
        weights: VGGWeights,
        transfer: Transfer,
        *,
        device: torch.device,
    ) -> None:
        self.photo = photo
        self.transfer = transfer
        self.styles = [style for style in styles if style.weight > 0]
        if not self.styles:
            raise OptionError("no painting counts: give at least one a weight above 0")
        for style in self.styles:
            _check_mask(style.mask, photo)
        self.paintings = [recoloured(style.painting, photo, transfer.keep_color) for style in self.styles]
        layers = [*transfer.content_layers, *transfer.style_layers]
        vgg = VGGFeatures(weights, layers, pooling=transfer.pooling)
        self.vgg = vgg.to(device).to(memory_format=torch.channels_last)
        self.device = device

    def objective(self, size: tuple[int, int]) -> Objective:
        """The losses at ``size`` (width, height): content, style, total_variation and total.

        :raises OptionError: the picture or a painting comes out too small for the deepest layer.
        """
        seen = grey(self.photo) if self.transfer.keep_color == "luminance" else self.photo
        losses = [self._loss(painting, size) for painting in self.paintings]
        content = losses[0].content_features(self._encoded(seen, size))
        masks = [None if style.mask is None else self._masks(style.mask, size) for style in self.styles]
        total = sum(style.weight for style in self.styles)
        shares = [style.weight / total for style in self.styles]
        variation = torch.stack(
            [share * loss.style_variation for share, loss in zip(shares, losses, strict=True)]
        ).sum()

        def evaluate(image: Tensor) -> Mapping[str, Tensor]:
            image = image.contiguous(memory_format=torch.channels_last)
            features = self.vgg(image, losses[0].layers)
            styles = [
                share * loss.style_part(features, mask) for share, loss, mask in zip(shares, losses, masks, strict=True)
            ]
            return LossParts(
                content=losses[0].content_part(features, content),
                style=torch.stack(styles).sum(),
                total_variation=self.transfer.tv_weight * total_variation_loss(image, variation),
            ).named()

        return evaluate

    def start(self, name: Start | NDArray[np.uint8], size: tuple[int, int], *, seed: int = 0) -> Tensor:
        """The picture to begin with, by name, or one handed over (scaled to ``size``): float32 [1, 3, H, W] in 0..1.

        :raises OptionError: no start of that name.
        """
        if isinstance(name, np.ndarray):
            return to_tensor(name, size)
        if name == "noise":
            return noise(size, seed)
        if name == "painting":
            return to_image(covering(self.paintings[0], size))
        if name == "photo":
            return to_tensor(grey(self.photo) if self.transfer.keep_color == "luminance" else self.photo, size)
        raise OptionError(
            f"no start {name!r}; accepted: {', '.join(get_args(Start))}{did_you_mean(name, get_args(Start))}"
        )

    def finished(self, image: Tensor) -> NDArray[np.uint8]:
        """uint8 [H, W, 3] of ``image``, with the photo's colours if its luminance alone was optimised."""
        pixels = to_pixels(image)
        if self.transfer.keep_color != "luminance":
            return pixels
        return keep_chroma(pixels, to_pixels(to_tensor(self.photo, (pixels.shape[1], pixels.shape[0]))))

    def _loss(self, painting: NDArray[np.uint8], size: tuple[int, int]) -> PerceptualLoss:
        scale = self.transfer.style_scale * min(size) / min(painting.shape[:2])
        width, height = (max(1, round(side * scale)) for side in (painting.shape[1], painting.shape[0]))
        for what, short in (("the result", min(size)), ("the painting", min(width, height))):
            if short < SMALLEST:
                raise OptionError(f"{what} would be {short} px on its short side, at least {SMALLEST} are needed")
        image = self._encoded(painting, (width, height))
        return PerceptualLoss(self.vgg, self.transfer.loss_weights(), [image]).to(self.device)

    def _encoded(self, pixels: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
        return to_tensor(pixels, size).to(self.device, memory_format=torch.channels_last)

    def _masks(self, mask: NDArray[np.uint8], size: tuple[int, int]) -> dict[str, Tensor]:
        """The mask at each style layer: the mean over what a position stands for."""
        grid = torch.from_numpy(mask.astype(np.float32) / 255)[None, None].to(self.device)
        halved = {layer: int(layer[4]) - 1 for layer in self.transfer.style_layers}
        return {
            layer: F.interpolate(grid, (size[1] >> times, size[0] >> times), mode="area")
            for layer, times in halved.items()
        }


def recoloured(painting: NDArray[np.uint8], photo: NDArray[np.uint8], keep_color: Colours | None) -> NDArray[np.uint8]:
    """The painting as its style is taken from."""
    if keep_color == "luminance":
        return luminance_only(painting, photo)
    return match_histogram(painting, photo) if keep_color == "histogram" else painting


def _check_mask(mask: NDArray[np.uint8] | None, photo: NDArray[np.uint8]) -> None:
    if mask is None:
        return
    if mask.shape != photo.shape[:2]:
        got, wanted = (f"{shape[1]} x {shape[0]}" for shape in (mask.shape, photo.shape))
        raise InputError(f"a mask has the photo's size, {wanted} pixels; this one has {got}")
    if not mask.any():
        raise OptionError("a mask is black everywhere: its painting would apply nowhere")
