"""Training one network for several paintings: each photo of a batch is for a style of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fststyle.errors import RecipeError
from fststyle.nn.losses import LossParts, PerceptualLoss
from fststyle.nn.multi_style_net import MultiStyleNet
from fststyle.nn.palette_loss import PaletteLoss
from fststyle.nn.vgg import VGGFeatures
from fststyle.training.module import StyleModule
from fststyle.training.painting import style_images
from fststyle.training.photos import shuffled
from fststyle.training.recipe import Recipe


def palette_loss(recipe: Recipe, paintings: Sequence[Path], vgg: VGGFeatures) -> PaletteLoss:
    """:raises InputError: a painting cannot be read. :raises RecipeError: their number is not that of the styles."""
    if len(paintings) != len(recipe.styles):
        raise RecipeError(f"palette {recipe.name!r} has {len(recipe.styles)} styles, got {len(paintings)} paintings")
    return PaletteLoss(
        [
            PerceptualLoss(vgg, style.loss_weights(), style_images(style, painting))
            for style, painting in zip(recipe.styles, paintings, strict=True)
        ]
    )


class PaletteModule(StyleModule):
    """A :class:`~fststyle.nn.multi_style_net.MultiStyleNet` under the losses of all its paintings."""

    network: MultiStyleNet
    loss: PaletteLoss

    def stylized(self, photos: Tensor, *drawn: Tensor) -> Tensor:
        """``drawn``: the style that each photo is for, int64 [N]; 0 is the photo itself."""
        (rows,) = drawn
        results: Tensor = self.network(photos, torch.nn.functional.one_hot(rows, self.recipe.rows).to(photos.dtype))
        return results

    def painted(self, results: Tensor, photos: Tensor, *drawn: Tensor) -> LossParts:
        parts: LossParts = self.loss(results, photos, self.loss.content_features(photos), *drawn)
        return parts

    def drawn(self, count: int) -> tuple[Tensor]:
        """All styles in a random order, and again in another: in any part of a run each has had its share."""
        first = (self.global_step * self.trainer.world_size + self.global_rank) * count
        places = (divmod(number, self.recipe.rows) for number in range(first, first + count))
        rows = [int(shuffled(self.recipe.seed, epoch, self.recipe.rows)[place]) for epoch, place in places]
        return (torch.tensor(rows, device=self.device),)

    def samples(self, photos: Tensor) -> list[Tensor]:
        return [self.network.forward(photos, row) for row in torch.eye(self.recipe.rows, device=photos.device)]
