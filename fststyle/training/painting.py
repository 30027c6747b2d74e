"""The painting's file -> the pictures whose Gram matrices are the target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fststyle.errors import RecipeError
from fststyle.images import load_rgb
from fststyle.nn.networks import MINIMUM_SIDE
from fststyle.nn.pixels import to_image
from fststyle.training.recipe import Recipe


def style_images(recipe: Recipe, file: Path) -> list[Tensor]:
    """The painting at every size and crop that the recipe asks for: float [1, 3, H, W] RGB in 0..1 each.

    :raises InputError: the file is not a picture.
    :raises RecipeError: a size comes out too small for the deepest layer.
    """
    painting = load_rgb(file)
    images: list[Tensor] = []
    for factor in recipe.style_sizes:
        image = to_image(at_brush_size(recipe, painting, factor))
        images += _crops(image.contiguous(memory_format=torch.channels_last), recipe.style_crops)
    return images


def at_brush_size(recipe: Recipe, painting: NDArray[np.uint8], factor: float = 1.0) -> NDArray[np.uint8]:
    """The painting, uint8 [H, W, 3], with its brush as it is meant to come out at ``recipe.size``, times ``factor``.

    :raises RecipeError: it comes out too small for the deepest layer.
    """
    short = round(recipe.style_scale * factor * recipe.size)
    if short < 2 * MINIMUM_SIDE:
        raise RecipeError(f"the painting would be {short} px on its short side; raise style_scale or size")
    picture = Image.fromarray(painting)
    ratio = short / min(picture.size)
    size = (round(picture.width * ratio), round(picture.height * ratio))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def _crops(image: Tensor, number: int) -> list[Tensor]:
    """``number`` squares evenly placed along the long side, or the whole image for 0."""
    if number == 0:
        return [image]
    height, width = image.shape[-2:]
    side, spare = min(height, width), abs(height - width)
    starts = [round(start) for start in np.linspace(0, spare, number)] if number > 1 else [spare // 2]
    if height < width:
        return [image[..., start : start + side] for start in starts]
    return [image[..., start : start + side, :] for start in starts]
