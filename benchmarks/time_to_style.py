"""From a painting to an ONNX file: loss on held-out photos against seconds, as the program trains.

    python benchmarks/time_to_style.py PAINTING --photos DIR --held-out DIR [--config recipe.yaml] [--set KEY=VALUE ...]
                                       [--count 4] [--points 12] [--iterations 150] [--out DIR] [--json FILE]

Trains with the recipe's defaults, or with those of ``--config``, changed by ``--set`` (``--set steps=800 --set
optimizer=adam``), exports, and prints a curve: seconds of the training so far, steps, mean loss on the middle squares
of ``--count`` held-out photos at 256 px. Measuring stops the clock. Behind it stand the seconds of the whole way,
loading and export included, and the iterations of the optimiser (from white noise, in bfloat16 where ``--bf16`` is
given) that reach the same loss. Two recipes compare by the seconds that they take to the same loss, one after the
other on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import yaml

from fststyle.images import load_rgb
from fststyle.machine import describe_machine
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.pixels import to_pixels
from fststyle.training.evaluate import (
    Pictures,
    Setting,
    descent_finder,
    equivalent_iterations,
    load_photos,
    loss_recipe,
    mean_losses,
    picture_losses,
)
from fststyle.training.export import export
from fststyle.training.fit import fit, painting_loss
from fststyle.training.module import to_float
from fststyle.training.recipe import Recipe, read_recipe, recipe_from_dict
from fststyle.training.reference import DescentCache
from fststyle.training.run import Run

SIZE = 256


class Curve(pl.Callback):
    """Losses on held-out photos along the way, with a clock that stands still while they are taken."""

    def __init__(self, loss: PerceptualLoss, photos: Pictures, every: int) -> None:
        self.loss, self.photos, self.every = loss, photos, every
        self.points: list[dict[str, Any]] = []
        self.measuring = 0.0
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        if trainer.global_step % self.every and trainer.global_step != trainer.max_steps:
            return
        began = time.perf_counter()
        losses = mean_losses([photo_losses(module.network, self.loss, photo) for photo in self.photos])
        self.points.append({"seconds": began - self.started - self.measuring, "step": trainer.global_step, **losses})
        point = self.points[-1]
        print(f"  {point['seconds']:7.0f} s  step {point['step']:6,}  loss {point['total']:.3f}", flush=True)
        self.measuring += time.perf_counter() - began


@torch.no_grad()
def photo_losses(network: Any, loss: PerceptualLoss, photo: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, float]:
    """Of what a network, wherever it is, makes of a photo, uint8 [H, W, 3]."""
    images = to_float(torch.from_numpy(photo[None].copy())).to(next(network.parameters()).device)
    return picture_losses(loss, to_pixels(network(images)), photo)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("painting", type=Path)
    options.add_argument("--photos", type=Path, required=True, help="folder to train on")
    options.add_argument("--held-out", type=Path, required=True, help="folder of other photos, to measure on")
    options.add_argument("--config", type=Path, help="recipe to begin with")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    options.add_argument("--count", type=int, default=4, help="photos to measure on")
    options.add_argument("--points", type=int, default=12, help="of the curve")
    options.add_argument("--iterations", type=int, default=150, help="of the optimiser; 0 leaves it out")
    options.add_argument("--bf16", action="store_true", help="the optimiser's convolutions in bfloat16")
    options.add_argument("--out", type=Path, help="keep checkpoint and ONNX file in this folder")
    options.add_argument("--json", type=Path, help="write the figures there too")
    return options


def make_recipe(arguments: argparse.Namespace) -> Recipe:
    values = read_recipe(arguments.config).to_dict() if arguments.config else {"name": "timed"}
    changes = dict(change.split("=", 1) for change in arguments.set)
    return recipe_from_dict({**values, "file": str(arguments.painting), **yaml_values(changes)})


def yaml_values(texts: dict[str, str]) -> dict[str, Any]:
    return {key: yaml.safe_load(text) for key, text in texts.items()}


def optimiser_curve(
    loss: PerceptualLoss, recipe: Recipe, photos: Pictures, arguments: argparse.Namespace
) -> list[float]:
    """Mean loss after each iteration from white noise; what is in the cache is not computed again."""
    machine = describe_machine("torch", "onnxruntime-gpu", "onnxruntime")  # as evaluate says it: the cache is one
    setting = Setting(size=SIZE, iterations=arguments.iterations, bfloat16=arguments.bf16)
    find = descent_finder(loss, recipe, load_rgb(arguments.painting), setting, "noise", machine, DescentCache())
    curves = [[losses["total"] for losses in find(photo, lambda number, total: None).losses] for photo in photos]
    return [float(value) for value in np.mean(curves, axis=0)]


def main() -> None:
    arguments = parser().parse_args()
    recipe = make_recipe(arguments)
    measured = loss_recipe(recipe, SIZE)
    _, photos = load_photos(arguments.held_out, count=arguments.count, size=SIZE)
    loss = painting_loss(measured, arguments.painting)
    machine = describe_machine("torch", "pytorch-lightning")
    print(machine)
    print({key: value for key, value in recipe.to_dict().items() if key not in ("painting", "file")})
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        curve = Curve(loss, photos, max(1, recipe.steps // arguments.points))
        run = Run((arguments.painting,), arguments.photos, folder, sample_every=10 * recipe.steps, quiet=True)
        fitted = fit(recipe, run, callbacks=[curve])
        output = export(fitted.checkpoint, folder / f"{recipe.name}.onnx", force=True)
        whole = time.perf_counter() - curve.started - curve.measuring
        print(f"painting to ONNX in {whole:.0f} s, {output.stat().st_size / 1e6:.2f} MB")
    told: dict[str, Any] = {"machine": machine, "recipe": recipe.to_dict(), "curve": curve.points, "seconds": whole}
    if arguments.iterations:
        descent = optimiser_curve(loss, measured, photos, arguments)
        told["equivalent_iterations"] = equivalent_iterations(descent, curve.points[-1]["total"])
        print(f"equivalent iterations from white noise: {told['equivalent_iterations']} (of {arguments.iterations})")
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
