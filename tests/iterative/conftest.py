"""Small pictures: a photo, a painting, and a painting of another kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from fststyle.images import load_rgb
from fststyle.nn.weight_files import Normalization, VGGWeights


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """Coloured clouds: uint8 [48, 64, 3]."""
    small = Image.fromarray(np.random.default_rng(3).integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return np.asarray(small.resize((64, 48), Image.Resampling.BICUBIC))


@pytest.fixture
def painting(painting_file: object) -> NDArray[np.uint8]:
    """Stripes: uint8 [70, 90, 3]."""
    return load_rgb(str(painting_file))


@pytest.fixture
def spots() -> NDArray[np.uint8]:
    """Bright squares on black: uint8 [64, 64, 3]."""
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    for row in range(2, 64, 8):
        pixels[row : row + 4, (row % 16) :: 8] = (250, 200, 30)
    return pixels


@pytest.fixture(scope="session")
def wide_vgg() -> VGGWeights:
    """As ``narrow_vgg`` to relu3_1, but with 16 channels: enough for the first layer to keep all three colours."""
    generator = torch.Generator().manual_seed(4)
    tensors: dict[str, torch.Tensor] = {}
    for layer in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"):
        inputs = 3 if layer == "conv1_1" else 16
        tensors[f"{layer}.weight"] = torch.randn(16, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        tensors[f"{layer}.bias"] = torch.rand(16, generator=generator) * 0.2
    return VGGWeights(
        "vgg16", tensors, Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "a test", "CC0", ""
    )
