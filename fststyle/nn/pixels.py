"""Pictures as people have them and as networks take them: float [1, 3, H, W] RGB in 0..1."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_image(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in 0..1."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous().float() / 255


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """float [1, 3, H, W] -> uint8 [H, W, 3]; values beyond 0..1 are clipped."""
    rounded = (image.detach()[0].float().clamp(0, 1) * 255).round().byte()
    return rounded.permute(1, 2, 0).contiguous().cpu().numpy()


def noise(size: tuple[int, int], seed: int) -> Tensor:
    """White noise of ``size`` (width, height), each value uniform in 0..1; the same for the same seed on every
    device.
    """
    return torch.rand(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(seed))
