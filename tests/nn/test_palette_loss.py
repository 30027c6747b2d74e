"""The losses of several paintings: each picture's are those against its own painting alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from fststyle.errors import OptionError
from fststyle.nn.losses import LossWeights, PerceptualLoss
from fststyle.nn.palette_loss import PIXEL_WEIGHT, PaletteLoss
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weight_files import VGGWeights

FIRST = LossWeights({"relu2_1": 1.0}, {"relu1_1": 1.0, "relu2_1": 3.0}, content=2.0, style=5.0, total_variation=0.5)
SECOND = replace(FIRST, style_layers={"relu1_1": 2.0, "relu2_1": 0.0}, content=1.0, style=3.0, total_variation=0.25)


def random(count: int, seed: int) -> Tensor:
    return torch.rand(count, 3, 24, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def losses(narrow_vgg: VGGWeights) -> list[PerceptualLoss]:
    vgg = VGGFeatures(narrow_vgg, ["relu1_1", "relu2_1"])
    return [PerceptualLoss(vgg, weights, [random(1, seed)]) for seed, weights in enumerate((FIRST, SECOND))]


@torch.no_grad()
def test_each_picture_has_the_loss_against_its_own_painting(losses: list[PerceptualLoss]) -> None:
    palette, images, photos = PaletteLoss(losses), random(3, 5), random(3, 6)
    styles = [2, 1, 2]
    got = palette(images, photos, palette.content_features(photos), torch.tensor(styles))
    expected = [
        losses[style - 1](images[place, None], losses[style - 1].content_features(photos[place, None])).named()
        for place, style in enumerate(styles)
    ]
    for part, value in got.named().items():
        torch.testing.assert_close(value, torch.stack([one[part] for one in expected]).mean())


@torch.no_grad()
def test_the_photos_row_asks_for_the_photo_and_nothing_else(losses: list[PerceptualLoss]) -> None:
    palette, photos = PaletteLoss(losses), random(2, 6)
    content, rows = palette.content_features(photos), torch.zeros(2, dtype=torch.int64)
    assert palette(photos, photos, content, rows).total == 0
    images = (photos + 0.1).clamp(0, 1)
    got = palette(images, photos, content, rows)
    assert (got.style, got.total_variation) == (0, 0)
    pixels, changed = photos.numpy().astype(np.float64), images.numpy().astype(np.float64)
    variance = np.mean((pixels - pixels.mean(axis=(2, 3), keepdims=True)) ** 2, axis=(1, 2, 3))
    error = np.mean(np.mean((changed - pixels) ** 2, axis=(1, 2, 3)) / variance)
    kept = losses[0](images, losses[0].content_features(photos)).content
    np.testing.assert_allclose(got.content.item() - kept.item(), PIXEL_WEIGHT * error, rtol=1e-4)


def test_paintings_must_be_measured_by_the_same_layers(losses: list[PerceptualLoss], narrow_vgg: VGGWeights) -> None:
    vgg = VGGFeatures(narrow_vgg, ["relu1_1", "relu2_1"])
    other = PerceptualLoss(vgg, replace(FIRST, style_layers={"relu1_1": 1.0}), [random(1, 3)])
    with pytest.raises(OptionError, match="the same content and style layers"):
        PaletteLoss([losses[0], other])
