"""Textures and inverted features on a tiny real VGG."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fststyle.errors import OptionError
from fststyle.iterative.descent import Descent, Position, Stage, descend, evaluate
from fststyle.iterative.inversion import Inversion
from fststyle.iterative.pixels import to_tensor
from fststyle.iterative.texture import Texture, check_tileable, texture_sizes, tile_step
from fststyle.nn.losses import gram_matrix
from fststyle.nn.pixels import noise, to_pixels
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weight_files import VGGWeights

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")
HOW = Descent(precision="float32", device="cpu")
LAYERS = {"relu1_1": 1.0, "relu2_1": 1.0}
SIZE = (64, 48)


def made(task: Texture | Inversion, size: tuple[int, int], iterations: int) -> Position:
    position = Position(noise(size, 0))
    descend(task, [Stage(size, iterations)], position, HOW, lambda moment: False)
    return position


def texture_of(weights: VGGWeights, painting: Pixels, *, tile: bool = False) -> Texture:
    return Texture(painting, weights, LAYERS, size=SIZE, tile=tile, device=CPU)


def test_the_statistics_become_the_paintings(narrow_vgg: VGGWeights, painting: Pixels) -> None:
    task = texture_of(narrow_vgg, painting)
    image = made(task, SIZE, 80).image
    scaled = to_tensor(painting, (62, 48))
    vgg = VGGFeatures(narrow_vgg, LAYERS, pooling="average")
    found, wanted, before = (vgg(x, LAYERS) for x in (image, scaled, noise(SIZE, 0)))
    for layer in LAYERS:
        target = gram_matrix(wanted[layer])
        error, first = ((gram_matrix(x[layer]) - target).norm() / target.norm() for x in (found, before))
        assert error < 0.05
        assert error < 0.2 * first


def test_a_tile_has_no_seam(narrow_vgg: VGGWeights, painting: Pixels) -> None:
    """The loss of a tile does not change when it is shifted around, and that of a plain texture does."""
    shifted_losses = []
    for tile in (True, False):
        task = texture_of(narrow_vgg, painting, tile=tile)
        image, objective = made(task, SIZE, 40).image, task.objective(SIZE)
        plain, shifted = (
            evaluate(objective, x, bfloat16=False)[0]["style"] for x in (image, image.roll((24, 32), (2, 3)))
        )
        shifted_losses.append(shifted / plain)
    assert shifted_losses[0] == pytest.approx(1, rel=1e-3)
    assert shifted_losses[1] > 1.01


def test_across_the_seam_a_tile_is_as_smooth_as_elsewhere(wide_vgg: VGGWeights) -> None:
    """Of a smooth painting; without wrapping, opposite edges have nothing to do with each other."""
    rows, columns = np.mgrid[:64, :64] * 2 * np.pi / 16
    waves = np.stack([np.sin(columns), np.sin(rows), np.sin(columns + rows)], axis=-1)
    painting = (127 + 100 * waves).astype(np.uint8)
    step = {}
    for tile in (True, False):
        task = Texture(painting, wide_vgg, {**LAYERS, "relu1_2": 1.0}, size=(48, 32), tile=tile, device=CPU)
        pixels = to_pixels(made(task, (48, 32), 60).image).astype(float)
        step[tile] = np.abs(pixels[:, 0] - pixels[:, -1]).mean() / np.abs(np.diff(pixels, axis=1)).mean()
    assert step[True] < 1.3
    assert step[False] > 1.4


def test_tiles_are_multiples_of_what_pooling_leaves() -> None:
    assert tile_step(["relu1_1"]) == 1
    assert tile_step(["relu1_1", "relu5_1"]) == 16
    check_tileable((64, 48), ["relu5_1"])
    with pytest.raises(OptionError, match="multiples of 16, got 100x48; the nearest is 96x48"):
        check_tileable((100, 48), ["relu5_1"])


def test_large_textures_begin_small() -> None:
    assert texture_sizes((256, 256), ["relu5_1"], tile=False) == [(256, 256)]
    assert texture_sizes((1000, 600), ["relu5_1"], tile=False) == [(250, 150), (500, 300), (1000, 600)]
    for width, height in texture_sizes((1008, 592), ["relu5_1"], tile=True):
        assert width % 16 == height % 16 == 0


def test_too_small_a_texture_is_an_option_error(narrow_vgg: VGGWeights, painting: Pixels) -> None:
    with pytest.raises(OptionError, match="the texture would be 16 px"):
        texture_of(narrow_vgg, painting).objective((64, 16))
    with pytest.raises(OptionError, match="did you mean 'relu1_1'"):
        Texture(painting, narrow_vgg, {"rel1_1": 1.0}, size=SIZE, device=CPU)


def test_shallow_features_give_the_photo_back_and_deeper_ones_less(wide_vgg: VGGWeights, photo: Pixels) -> None:
    errors = []
    for layer in ("relu1_1", "relu2_1", "relu3_1"):
        task = Inversion(photo, wide_vgg, layer, tv_weight=1e-4, device=CPU)
        position = made(task, (32, 24), 100)
        assert position.curve[-1]["total"] < 0.3 * position.curve[0]["total"]
        errors.append((position.image - to_tensor(photo, (32, 24))).square().mean().sqrt().item())
    assert errors[0] < 0.03
    assert errors[0] < 0.5 * errors[1]
    assert errors[1] < errors[2]


def test_total_variation_smooths_what_the_features_leave_open(narrow_vgg: VGGWeights, photo: Pixels) -> None:
    roughness = []
    for weight in (0.0, 0.5):
        image = made(Inversion(photo, narrow_vgg, "relu2_1", tv_weight=weight, device=CPU), SIZE, 40).image
        roughness.append(image.diff(dim=3).square().mean().item())
    assert roughness[1] < 0.3 * roughness[0]


def test_bad_inversions_are_option_errors(narrow_vgg: VGGWeights, photo: Pixels) -> None:
    with pytest.raises(OptionError, match="did you mean 'relu4_2'"):
        Inversion(photo, narrow_vgg, "relu42", device=CPU)
    with pytest.raises(OptionError, match="at least 0"):
        Inversion(photo, narrow_vgg, "relu1_1", tv_weight=-1, device=CPU)
    with pytest.raises(OptionError, match="relu5_1 needs a picture of at least 32 px"):
        Inversion(photo, narrow_vgg, "relu5_1", device=CPU).objective((40, 20))
