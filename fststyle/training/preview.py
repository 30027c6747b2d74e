"""The small picture that an exported style carries: what the network makes of a photo, or of a scene drawn here.

The scene is nobody's work but this file's, so any style may be given away with it, and it is the same on every machine.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from fststyle.images import load_rgb
from fststyle.nn.networks import MINIMUM_SIDE
from fststyle.training.onnx_graph import PictureNet

LONG_SIDE = 256
"""Pixels of the preview. The network works at twice that, so that strokes look as fine as on a photo."""
JPEG_QUALITY = 85


def preview_jpeg(pictures: PictureNet, photo: Path | None = None, *weights: Tensor, side: int = LONG_SIDE) -> bytes:
    """A JPEG of ``side`` pixels, made by the network from ``photo`` or from :func:`scene`; with ``weights`` where it
    has several styles.

    :raises InputError: the photo cannot be read.
    """
    source = scene() if photo is None else Image.fromarray(load_rgb(photo))
    pixels = np.asarray(_resized(source, 2 * LONG_SIDE)).copy()
    with torch.no_grad():
        stylized = pictures(torch.from_numpy(pixels)[None], *weights)[0].numpy()
    stream = io.BytesIO()
    _resized(Image.fromarray(stylized), side).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()


def scene(width: int = 2 * LONG_SIDE, height: int = 3 * LONG_SIDE // 2) -> Image.Image:
    """A cottage and a tree by a mountain lake at evening, as RGB: broad gradients, hard edges and fine texture."""
    scale = 2  # drawn at double size and shrunk, for smooth edges
    x, y = np.meshgrid(np.linspace(0, 1, scale * width), np.linspace(0, 1, scale * height))
    picture = Image.fromarray(_landscape(x, y))
    _draw_cottage_and_tree(ImageDraw.Draw(picture), scale * width, scale * height)
    picture = picture.filter(ImageFilter.GaussianBlur(1)).resize((width, height), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).normal(0, 5, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def _landscape(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Sky, sun, clouds, two ridges, the lake that mirrors them and a meadow in front; x and y in 0..1, y downwards."""
    shore = 0.62
    up = np.where(y < shore, y, 2 * shore - y)  # below the shore, the height that the water mirrors
    colors = _mix((62, 98, 168), (250, 196, 130), up / shore)
    clouds = np.sin(14 * x + 3 * np.sin(9 * up)) * np.sin(31 * up + 2 * np.sin(5 * x)) + 0.4 * np.sin(43 * x + 57 * up)
    colors = _over(colors, (255, 232, 214), np.clip(clouds - 0.35, 0, 1) * 0.7)
    distance = np.hypot((x - 0.68) * 4 / 3, up - 0.27)
    colors = _over(colors, (255, 244, 190), np.clip((0.07 - distance) * 60, 0, 1) + 0.3 * np.exp(-distance * 9))
    far = 0.34 + 0.10 * np.abs(np.sin(5.2 * x + 0.6)) + 0.015 * np.sin(47 * x)
    near = 0.50 + 0.06 * np.sin(6.5 * x + 2.2) + 0.012 * np.sin(29 * x) + 0.006 * np.sin(83 * x)
    rock = 0.93 + 0.07 * np.sin(90 * x + 140 * up)
    colors = np.where((up > far)[..., None], np.multiply.outer(rock, (104, 112, 146)), colors)
    colors = np.where((up > near)[..., None], np.multiply.outer(rock, (58, 92, 70)), colors)
    ripples = 0.78 + 0.08 * np.sin(260 * y + 6 * np.sin(11 * x))
    colors = np.where((y > shore)[..., None], colors * ripples[..., None], colors)
    grass = 0.8 + 0.2 * np.sin(170 * x + 40 * np.sin(60 * y)) * np.sin(110 * y)
    meadow = y > 0.76 - 0.09 * np.cos(4.5 * x)
    colors = np.where(meadow[..., None], np.multiply.outer(grass, (118, 142, 58)), colors)
    return np.clip(colors, 0, 255).astype(np.uint8)


def _draw_cottage_and_tree(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    def shape(color: tuple[int, int, int], *points: tuple[float, float]) -> None:
        draw.polygon([(x * width, y * height) for x, y in points], fill=color)

    shape((214, 196, 170), (0.10, 0.66), (0.27, 0.66), (0.27, 0.82), (0.10, 0.82))
    shape((186, 164, 138), (0.27, 0.66), (0.35, 0.63), (0.35, 0.78), (0.27, 0.82))
    shape((150, 62, 46), (0.07, 0.67), (0.14, 0.53), (0.25, 0.53), (0.29, 0.67))
    shape((122, 46, 36), (0.25, 0.53), (0.29, 0.67), (0.37, 0.63), (0.32, 0.52))
    shape((84, 60, 48), (0.16, 0.71), (0.20, 0.71), (0.20, 0.82), (0.16, 0.82))
    for left in (0.115, 0.225):
        shape((246, 206, 104), (left, 0.71), (left + 0.03, 0.71), (left + 0.03, 0.76), (left, 0.76))
    shape((74, 54, 42), (0.835, 0.92), (0.85, 0.55), (0.868, 0.55), (0.885, 0.92))
    leaves = np.random.default_rng(1)
    for _ in range(420):
        angle, spread = leaves.uniform(0, 2 * np.pi), np.sqrt(leaves.uniform(0, 1))
        x, y = 0.86 + 0.12 * spread * np.cos(angle), 0.46 + 0.17 * spread * np.sin(angle)
        light = leaves.uniform(0.6, 1.1) + 0.5 * (0.86 - x) - 0.6 * (y - 0.46)
        red, green, blue = (int(np.clip(light * value, 0, 255)) for value in (86, 128, 52))
        radius = leaves.uniform(0.008, 0.02) * width
        center = (x * width, y * height)
        draw.ellipse(
            (center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius), fill=(red, green, blue)
        )


def _mix(first: tuple[int, int, int], last: tuple[int, int, int], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(first) * (1 - share[..., None]) + np.asarray(last) * share[..., None]


def _over(
    colors: NDArray[np.float64], color: tuple[int, int, int], opacity: NDArray[np.float64]
) -> NDArray[np.float64]:
    share = np.clip(opacity, 0, 1)[..., None]
    return colors * (1 - share) + np.asarray(color) * share


def _resized(picture: Image.Image, long_side: int) -> Image.Image:
    """Never enlarged, and never below what the network takes."""
    ratio = min(1.0, long_side / max(picture.size))
    width, height = (max(MINIMUM_SIDE, round(side * ratio)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
