"""The losses of several paintings at once: each picture of a batch against a painting of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fststyle.errors import OptionError
from fststyle.nn.losses import (
    EPSILON,
    LossParts,
    PerceptualLoss,
    content_errors,
    gram_matrix,
    style_errors,
    total_variation,
)

PIXEL_WEIGHT = 10.0
"""Of the squared error of pixels, over the photo's variance, where the photo itself is asked for."""


class PaletteLoss(nn.Module):
    """Row 0 asks for the photo, row i for the painting of ``losses[i - 1]``, with the weights that it has.

    For a painting the parts are those of its :class:`~fststyle.nn.losses.PerceptualLoss`. For the photo content is
    weighed as for the first painting, the error of pixels over their variance comes on top, and style and total
    variation are 0.

    :raises OptionError: the paintings are not measured by the same layers.
    """

    def __init__(self, losses: Sequence[PerceptualLoss]) -> None:
        super().__init__()
        self.vgg = losses[0].vgg
        self.layers, self._content = dict(losses[0].layers), tuple(losses[0].weights.content_layers)
        self._style = tuple(losses[0].weights.style_layers)
        for loss in losses:
            if set(loss.weights.content_layers) != {*self._content} or set(loss.weights.style_layers) != {*self._style}:
                raise OptionError("all paintings of one network need the same content and style layers, not the shares")
        for layer in self._content:
            shares = [loss.weights.content * _share(loss.weights.content_layers, layer) for loss in losses]
            self.register_buffer(f"content_{layer}", torch.tensor([shares[0], *shares]), persistent=False)
        for layer in self._style:
            shares = [loss.weights.style * _share(loss.weights.style_layers, layer) for loss in losses]
            self.register_buffer(f"style_{layer}", torch.tensor([0.0, *shares]), persistent=False)
            grams = torch.cat([loss.get_buffer(f"gram_{layer}") for loss in losses])
            self.register_buffer(f"gram_{layer}", torch.cat([torch.ones_like(grams[:1]), grams]), persistent=False)
        variation = [loss.weights.total_variation / (loss.style_variation.item() + EPSILON) for loss in losses]
        self.register_buffer("variation", torch.tensor([0.0, *variation]), persistent=False)
        self.register_buffer("pixels", torch.tensor([PIXEL_WEIGHT, *(0.0 for _ in losses)]), persistent=False)

    @torch.no_grad()
    def content_features(self, photos: Tensor) -> dict[str, Tensor]:
        """What :meth:`forward` compares with."""
        features: dict[str, Tensor] = self.vgg(photos, self._content)
        return features

    def forward(self, images: Tensor, photos: Tensor, content: Mapping[str, Tensor], styles: Tensor) -> LossParts:
        """Of ``images`` and ``photos`` [N, 3, H, W] in 0..1, the photos' :meth:`content_features`, and the row that
        each picture is for, int64 [N]; averaged over N.
        """
        features = self.vgg(images, self.layers)
        kept = [
            self.get_buffer(f"content_{layer}")[styles] * content_errors(features[layer], content[layer])
            for layer in self._content
        ]
        styled = [
            self.get_buffer(f"style_{layer}")[styles]
            * style_errors(gram_matrix(features[layer]), self.get_buffer(f"gram_{layer}")[styles])
            for layer in self._style
        ]
        same = self.get_buffer("pixels")[styles] * content_errors(images, photos)
        return LossParts(
            content=(torch.stack(kept).sum(dim=0) + same).mean(),
            style=torch.stack(styled).sum(dim=0).mean(),
            total_variation=(self.get_buffer("variation")[styles] * total_variation(images)).mean(),
        )


AnyLoss = PerceptualLoss | PaletteLoss


def _share(layers: Mapping[str, float], layer: str) -> float:
    return layers[layer] / sum(layers.values())
