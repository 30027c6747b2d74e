from __future__ import annotations

import numpy as np
import pytest
import torch

from fststyle.nn.pixels import noise, to_image, to_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[::-1], PIXELS.swapaxes(0, 1)])
def test_pixels_there_and_back(pixels: np.ndarray) -> None:
    image = to_image(pixels)
    assert image.shape == (1, 3, *pixels.shape[:2])
    assert image.is_contiguous()
    assert image[0, 1, 2, 3].item() == pytest.approx(pixels[2, 3, 1] / 255)
    assert np.array_equal(to_pixels(image), pixels)


def test_an_image_holds_no_view_of_the_pixels() -> None:
    pixels = PIXELS.copy()
    image = to_image(pixels)
    pixels[:] = 0
    assert np.array_equal(to_pixels(image), PIXELS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_are_rounded_and_clipped(dtype: torch.dtype) -> None:
    image = torch.tensor([-0.5, 1.5, 0.5]).to(dtype).reshape(1, 3, 1, 1)
    assert to_pixels(image.requires_grad_()).tolist() == [[[0, 255, 128]]]


def test_noise_follows_its_seed() -> None:
    image = noise((8, 6), 1)
    assert image.shape == (1, 3, 6, 8)
    assert image.min() >= 0
    assert image.max() <= 1
    assert torch.equal(image, noise((8, 6), 1))
    assert not torch.equal(image, noise((8, 6), 2))
