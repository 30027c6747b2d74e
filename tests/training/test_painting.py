"""The painting is seen at the sizes and crops that the recipe asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fststyle.errors import InputError, RecipeError
from fststyle.images import load_rgb
from fststyle.nn.pixels import to_image
from fststyle.training.painting import at_brush_size, style_images
from fststyle.training.recipe import Recipe

RECIPE = Recipe(name="stripes", file="stripes.png", size=64, style_scale=1.0)


def test_style_scale_sets_the_short_side_over_the_crops_size(painting_file: Path) -> None:
    (image,) = style_images(replace(RECIPE, style_scale=1.5), painting_file)
    assert image.shape == (1, 3, 96, 123)  # 70 x 90 px, the short side now 1.5 * 64
    assert 0 <= image.min() < image.max() <= 1


def test_what_is_shown_beside_results_has_the_brush_that_was_trained_with(painting_file: Path) -> None:
    recipe = replace(RECIPE, style_scale=1.5, style_sizes=(0.5, 1.0))
    shown = at_brush_size(recipe, load_rgb(painting_file))
    assert torch.equal(to_image(shown), style_images(recipe, painting_file)[1])


def test_every_size_gives_an_image(painting_file: Path) -> None:
    images = style_images(replace(RECIPE, style_sizes=(1.0, 0.5)), painting_file)
    assert [image.shape[-2] for image in images] == [64, 32]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_crops_are_squares_that_reach_from_end_to_end(painting_file: Path, number: int) -> None:
    (whole,) = style_images(RECIPE, painting_file)
    crops = style_images(replace(RECIPE, style_crops=number), painting_file)
    assert [crop.shape for crop in crops] == [(1, 3, 64, 64)] * number
    if number > 1:
        assert torch.equal(crops[0], whole[..., :64])
        assert torch.equal(crops[-1], whole[..., -64:])


def test_a_painting_too_small_for_the_network_is_refused(painting_file: Path) -> None:
    with pytest.raises(RecipeError, match="16 px on its short side"):
        style_images(replace(RECIPE, style_scale=0.25), painting_file)


def test_a_painting_that_is_no_picture_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "painting.jpg").write_text("not a picture")
    with pytest.raises(InputError, match=r"painting\.jpg"):
        style_images(RECIPE, tmp_path / "painting.jpg")
