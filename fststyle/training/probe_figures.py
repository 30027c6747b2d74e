"""What probes make of photos that none was trained on, and the losses by which they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fststyle.training.checkpoint import load_network
from fststyle.training.evaluate import mean_losses, middle_square, picture_losses
from fststyle.training.fit import painting_loss
from fststyle.training.grid import Probe
from fststyle.training.onnx_graph import on_cpu
from fststyle.training.photos import find_photos
from fststyle.training.tune import HELD_OUT, Tuning


@dataclass(frozen=True, eq=False)
class Measured:
    """``pictures``: what the probe makes of the photos, uint8 [N, size, size, 3]. ``losses`` of each by name, at
    weight 1.
    """

    probe: Probe
    pictures: NDArray[np.uint8]
    losses: Sequence[Mapping[str, float]]

    @property
    def mean(self) -> dict[str, float]:
        return mean_losses(self.losses)


def held_out_squares(tuning: Tuning) -> NDArray[np.uint8]:
    """The middles of the photos held out, uint8 [N, size, size, 3]."""
    photos = find_photos(tuning.folder / HELD_OUT)
    return np.stack([middle_square(photo, tuning.recipe.size) for photo in photos])


def measure(tuning: Tuning, photos: NDArray[np.uint8]) -> list[Measured]:
    """All probes on ``photos`` uint8 [N, size, size, 3], on the CPU and in float32. Every part of the loss has weight
    1: figures of one scale compare whatever weights were trained with. Those of two scales measure the style against
    the painting at two sizes.

    :raises InputError: a probe is not trained. :raises ModelError: its checkpoint is damaged.
    """
    even = replace(tuning.recipe, content_weight=1.0, style_weight=1.0, tv_weight=1.0)
    found = []
    for scale in tuning.grid.style_scales:
        recipe = replace(even, style_scale=scale)
        loss = painting_loss(recipe, tuning.run.paintings[0], tuning.run.vgg_weights)
        for probe in tuning.grid.probes:
            if probe.style_scale == scale:
                pictures = stylised(tuning.probe_run(probe.name).checkpoint, photos)
                losses = [picture_losses(loss, *pair) for pair in zip(pictures, photos, strict=True)]
                found.append(Measured(probe, pictures, losses))
    return found


@torch.no_grad()
def stylised(checkpoint: Path, photos: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the network of a checkpoint makes of ``photos``, both uint8 [N, H, W, 3]."""
    network, _ = load_network(checkpoint)
    pictures: NDArray[np.uint8] = on_cpu(network)(torch.from_numpy(photos)).numpy()
    return pictures


def figures(tuning: Tuning, found: Sequence[Measured]) -> dict[str, Any]:
    """Of JSON's types: means over the photos, and the same photo by photo."""
    parts = ("content", "style", "total_variation")
    return {
        "photos": [str(photo) for photo in find_photos(tuning.folder / HELD_OUT)],
        "size": tuning.recipe.size,
        "probes": [
            {
                "number": entry.probe.number,
                "style_weight": entry.probe.style_weight,
                "style_scale": entry.probe.style_scale,
                "checkpoint": str(tuning.probe_run(entry.probe.name).checkpoint),
                **{part: entry.mean[part] for part in parts},
                "each": [{part: losses[part] for part in parts} for losses in entry.losses],
            }
            for entry in found
        ],
    }
