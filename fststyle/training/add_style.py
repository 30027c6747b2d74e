"""One more painting for a palette that is there: only the new style's scales and shifts are learnt.

Dumoulin et al. (2017, arXiv:1610.07629, section 3.2) add a style so in a fraction of a training's steps. The rows of
the other styles and all convolutions stay as they are to the bit, and so does what they make.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from fststyle.errors import ModelError
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.multi_style_net import MultiStyleNet
from fststyle.styles import find_style
from fststyle.training.checkpoint import CHECKPOINT_SUFFIX, exported_network, exported_recipe, load_network
from fststyle.training.module import StyleModule
from fststyle.training.optimizer import adam
from fststyle.training.recipe import Recipe

RATE = 10.0
"""Learning rate of the scales and shifts over a recipe's: they are all there is to learn, and about 1 in size."""


class NewStyleModule(StyleModule):
    """A palette whose last row alone is learnt, under the loss of its painting, by the numbers of its last style."""

    network: MultiStyleNet

    def __init__(self, palette: Recipe, network: MultiStyleNet, loss: PerceptualLoss) -> None:
        super().__init__(palette.styles[-1], network, loss)
        self.saved_recipe = palette
        tables = self.network.tables()
        for name, parameter in self.network.network.named_parameters():
            parameter.requires_grad_(name in tables)
        for table in tables.values():
            table.register_hook(_last_row)  # type: ignore[no-untyped-call]

    def stylized(self, photos: Tensor, *drawn: Tensor) -> Tensor:
        return self.network.forward(photos, self._row(photos))

    def samples(self, photos: Tensor) -> list[Tensor]:
        return [self.stylized(photos)]

    def optimizer(self, *, fused: bool = True) -> torch.optim.Optimizer:
        """Adam, which leaves a row without a gradient as it is, to the bit."""
        return adam(self.network.tables().values(), RATE * self.recipe.learning_rate, fused=fused)

    def _row(self, photos: Tensor) -> Tensor:
        return torch.eye(self.network.styles, device=photos.device)[-1]


def _last_row(gradient: Tensor) -> Tensor:
    kept = torch.zeros_like(gradient)
    kept[-1] = gradient[-1]
    return kept


def new_style_module(recipe: Recipe, palette: str, loss: PerceptualLoss) -> NewStyleModule:
    """For the last style of ``recipe``, the others of which are those of ``palette``: a name, a file or a checkpoint.

    :raises ModelError: that is no palette, or not the one that the recipe is of.
    """
    network, known = trained_palette(palette)
    if [style.name for style in known.styles] != [style.name for style in recipe.styles[:-1]]:
        raise ModelError(f"{palette} holds other styles than the recipe, which is not the palette's with one more")
    return NewStyleModule(recipe, network.grown(), loss)


def trained_palette(name_or_path: str) -> tuple[MultiStyleNet, Recipe]:
    """A palette by name, by its file, or by its checkpoint.

    :raises StyleNotFoundError: there is none of that name.
    :raises InputError: no such checkpoint.
    :raises ModelError: it is damaged, or a network of one style.
    """
    if name_or_path.endswith(CHECKPOINT_SUFFIX):
        network, recipe = load_network(Path(name_or_path))
        if isinstance(network, MultiStyleNet):
            return network, recipe
    elif (style := find_style(name_or_path)).styles:
        network = exported_network(style)
        assert isinstance(network, MultiStyleNet)
        return network, exported_recipe(style)
    raise ModelError(f"{name_or_path} is a network of one style; only a palette, trained on several, can get more")
