"""Content, style and total-variation losses, each measured in a unit that means the same for every painting and size.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks" (CVPR 2016): content is equation
1, the Gram matrix equation 3, style equations 4 and 5. Total variation is from Mahendran and Vedaldi (2015,
arXiv:1412.0035), with exponent 2, as Johnson et al. (2016) use it.

Where this departs from the papers: their losses are sums of squares whose size depends on the layer, the painting and
the number of pixels, so that every painting needs weights of its own. Here every part is divided by what it is
compared with:

- content: by the variance over space of the photo's own features, so that 1 is the error of features that are the
  photo's mean everywhere;
- style: by the squared Frobenius norm of the painting's Gram matrix, so that 1 is the error of a picture without any
  features;
- total variation: by that of the painting, so that 1 is a picture as rough as the painting.

Losses and Gram matrices are computed in float32 at least, whatever precision the features come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from fststyle.errors import OptionError
from fststyle.nn.vgg import VGGFeatures

EPSILON = 1e-8
"""Added to every divisor: a uniform photo or painting has no variance, and its losses must stay finite."""


def in_full_precision(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()


def gram_matrix(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """Correlations between channels: [N, C, H, W] -> [N, C, C].

    Divided by the number of positions H * W (Gatys et al. do not divide), so that pictures of different sizes compare.
    With ``mask`` ([1, 1, H, W], at least 0, not 0 everywhere) each position counts by its share of the mask's sum, so
    that regions of different sizes compare too (Gatys et al. 2017, arXiv:1611.07865, "guided Gram matrices").
    """
    if mask is not None:
        features = features * (mask / mask.mean()).sqrt().to(features.dtype)
    gram: Tensor = _Gram.apply(features)
    return gram


class _Gram(torch.autograd.Function):
    """The product in float32 at least; its gradient in the features' own precision, as that of a convolution is, and by
    one product where automatic differentiation would take two.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        flat = in_full_precision(features).flatten(2)
        with torch.autocast(features.device.type, enabled=False):
            return flat @ flat.transpose(1, 2) / flat.shape[2]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        positions = features.flatten(2).transpose(1, 2)
        symmetric = (gradients[0] + gradients[0].transpose(1, 2)) / positions.shape[1]
        # [N, H * W, C] in memory is what channels-last means.
        gradient: Tensor = positions @ symmetric.to(features.dtype)
        return gradient.transpose(1, 2).view(features.shape)


def content_errors(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference over the variance of ``target`` over space, both [N, C, H, W] -> [N]."""
    features, target = in_full_precision(features), in_full_precision(target)
    error = (features - target).square().mean(dim=(1, 2, 3))
    variance = (target - target.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(1, 2, 3))
    return error / (variance + EPSILON)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """:func:`content_errors`, averaged over N: a scalar."""
    return content_errors(features, target).mean()


def style_errors(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance of Gram matrices over the squared norm of ``target`` -> [N].

    ``gram`` is [N, C, C]; ``target`` is [1, C, C] for one painting, or [N, C, C] for one each.
    """
    error = (gram - target).square().sum(dim=(1, 2))
    return error / (target.square().sum(dim=(1, 2)) + EPSILON)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """:func:`style_errors`, averaged over N: a scalar."""
    return style_errors(gram, target).mean()


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of vertical neighbours plus that of horizontal ones: [N, C, H, W] -> [N]."""
    images = in_full_precision(images)
    vertical = (images[..., 1:, :] - images[..., :-1, :]).square().mean(dim=(1, 2, 3))
    horizontal = (images[..., :, 1:] - images[..., :, :-1]).square().mean(dim=(1, 2, 3))
    return vertical + horizontal


def total_variation_loss(images: Tensor, target: Tensor) -> Tensor:
    """Total variation of ``images`` [N, C, H, W] over ``target`` (a scalar, the painting's); a scalar, averaged over
    N.
    """
    return (total_variation(images) / (target + EPSILON)).mean()


@dataclass(frozen=True)
class LossParts:
    """What :class:`PerceptualLoss` returns: weighted scalars by name, and the total that is minimised."""

    content: Tensor
    style: Tensor
    total_variation: Tensor

    @property
    def total(self) -> Tensor:
        return self.content + self.style + self.total_variation

    def named(self) -> dict[str, Tensor]:
        return {
            "total": self.total,
            "content": self.content,
            "style": self.style,
            "total_variation": self.total_variation,
        }


@dataclass(frozen=True)
class LossWeights:
    """``content_layers`` and ``style_layers`` map a VGG layer to its share; shares of a part are divided by their
    sum.
    """

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    content: float
    style: float
    total_variation: float

    def __post_init__(self) -> None:
        for part, layers in (("content", self.content_layers), ("style", self.style_layers)):
            if not layers or any(share < 0 for share in layers.values()) or sum(layers.values()) <= 0:
                raise OptionError(f"{part} layers need shares of at least 0 with a sum above 0, got {dict(layers)}")
        if min(self.content, self.style, self.total_variation) < 0:
            raise OptionError("content, style and total-variation weights must be at least 0")

    @property
    def layers(self) -> tuple[str, ...]:
        """All that are needed of the VGG."""
        return (*self.content_layers, *self.style_layers)


def weighted_mean(losses: Mapping[str, Tensor], shares: Mapping[str, float]) -> Tensor:
    weighted = torch.stack([shares[name] * losses[name] for name in shares])
    return weighted.sum() / sum(shares.values())


class PerceptualLoss(nn.Module):
    """The losses against one painting, seen through a frozen VGG.

    ``style_images`` is the painting as float [1, 3, H, W] RGB in 0..1, once for each size or crop that counts: their
    Gram matrices and total variations are averaged, computed once here, and kept as buffers.
    """

    style_variation: Tensor

    def __init__(self, vgg: VGGFeatures, weights: LossWeights, style_images: Sequence[Tensor]) -> None:
        super().__init__()
        self.vgg = vgg
        self.weights = weights
        with torch.no_grad():
            encoded = [vgg(image, weights.style_layers) for image in style_images]
            variations = torch.cat([total_variation(image) for image in style_images])
        self.register_buffer("style_variation", variations.mean(), persistent=False)
        for layer in weights.style_layers:
            grams = torch.cat([gram_matrix(features[layer]) for features in encoded])
            self.register_buffer(f"gram_{layer}", grams.mean(dim=0, keepdim=True), persistent=False)

    @torch.no_grad()
    def content_features(self, photos: Tensor) -> dict[str, Tensor]:
        """What :meth:`forward` compares with; run no deeper into the VGG than the content layers need."""
        features: dict[str, Tensor] = self.vgg(photos, self.weights.content_layers)
        return features

    @property
    def layers(self) -> dict[str, float]:
        """What :meth:`forward` needs of the VGG."""
        return {**self.weights.content_layers, **self.weights.style_layers}

    def forward(self, images: Tensor, content: Mapping[str, Tensor]) -> LossParts:
        """Losses of ``images`` [N, 3, H, W] in 0..1 against the painting and the photos' :meth:`content_features`."""
        features = self.vgg(images, self.layers)
        return LossParts(
            content=self.content_part(features, content),
            style=self.style_part(features),
            total_variation=self.variation_part(images),
        )

    def variation_part(self, images: Tensor) -> Tensor:
        return self.weights.total_variation * total_variation_loss(images, self.style_variation)

    def content_part(self, features: Mapping[str, Tensor], content: Mapping[str, Tensor]) -> Tensor:
        """Of features by layer, weighted: a scalar."""
        shares = self.weights.content_layers
        return self.weights.content * weighted_mean(
            {name: content_loss(features[name], content[name]) for name in shares}, shares
        )

    def style_part(self, features: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None = None) -> Tensor:
        """Of features by layer, weighted: a scalar. ``masks`` are those of :func:`gram_matrix`, one for each layer."""
        shares = self.weights.style_layers
        grams = {name: gram_matrix(features[name], None if masks is None else masks[name]) for name in shares}
        return self.weights.style * weighted_mean(
            {name: style_loss(gram, self.get_buffer(f"gram_{name}")) for name, gram in grams.items()}, shares
        )
