"""Whether a fast network learns a style sooner from a slow one than from the painting.

    python benchmarks/distillation.py STYLE --teacher STYLE --painting FILE --photos DIR --held-out DIR
                                      [--seconds 120] [--pixel-weight 30] [--count 4]

STYLE's network is trained from where its recipe starts, with the recipe's numbers, in three ways for the same seconds
each:

- ``painting``: by the perceptual loss, as `fststyle train` does, without that for stability;
- ``teacher``: by the mean absolute difference from what the slow network makes of the same photos. No VGG runs, so that
  there are more steps;
- ``both``: by the perceptual loss and ``--pixel-weight`` times that difference.

Measured by STYLE's perceptual loss on the middle squares of held-out photos at 256 px, beside the teacher's own.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from time_to_style import photo_losses
from torch import Tensor, nn

from fststyle.machine import describe_machine
from fststyle.nn.allocator import keep_freed_memory
from fststyle.nn.devices import computes_bfloat16
from fststyle.nn.losses import PerceptualLoss
from fststyle.styles import find_style
from fststyle.training.checkpoint import exported_recipe, load_start
from fststyle.training.detectors import Pictures
from fststyle.training.evaluate import load_photos, loss_recipe, mean_losses
from fststyle.training.fit import painting_loss, starting_network
from fststyle.training.module import schedule, to_float
from fststyle.training.optimizer import MatrixAdam
from fststyle.training.photos import PhotoBatches, find_photos
from fststyle.training.recipe import Recipe

SIZE = 256
TIMED_STEPS = 6
"""Enough to say how many steps fit into the seconds; the first of them is not counted."""

StepLoss = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Lesson:
    """What a network is taught with; ``measure`` is the perceptual loss."""

    recipe: Recipe
    measure: PerceptualLoss
    teacher: nn.Module
    pixel_weight: float

    def painting(self, network: nn.Module, photos: Tensor) -> Tensor:
        return self._perceptual(network(photos), photos)

    def imitation(self, network: nn.Module, photos: Tensor) -> Tensor:
        return self._difference(network(photos), photos)

    def both(self, network: nn.Module, photos: Tensor) -> Tensor:
        results = network(photos)
        return self._perceptual(results, photos) + self.pixel_weight * self._difference(results, photos)

    def _perceptual(self, results: Tensor, photos: Tensor) -> Tensor:
        return self.measure(results, self.measure.content_features(photos)).total

    def _difference(self, results: Tensor, photos: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.teacher(photos)
        return (results.float() - wanted.float()).abs().mean()


def batches(recipe: Recipe, folder: Path) -> Iterator[Tensor]:
    photos = PhotoBatches(
        find_photos(folder), size=recipe.size, batch=recipe.batch, seed=recipe.seed, first=0, last=10**6
    )
    return (to_float(batch.photos) for batch in photos)


def train(network: nn.Module, loss: StepLoss, recipe: Recipe, photos: Iterator[Tensor]) -> None:
    """``recipe.steps`` steps."""
    optimizer: torch.optim.Optimizer = MatrixAdam(network, recipe.learning_rate)
    rates: Any = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(recipe))
    for batch in itertools.islice(photos, recipe.steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=computes_bfloat16(torch.device("cpu"))):
            value = loss(network, batch)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
        optimizer.step()
        rates.step()


def taught(loss: StepLoss, recipe: Recipe, folder: Path, seconds: float) -> tuple[nn.Module, int]:
    """A network that learnt for so many seconds, and its steps; the photos' decoding counts."""
    rehearsal = starting_network(recipe).to(memory_format=torch.channels_last)
    photos = batches(recipe, folder)
    train(rehearsal, loss, replace(recipe, steps=1), photos)
    started = time.perf_counter()
    train(rehearsal, loss, replace(recipe, steps=TIMED_STEPS), photos)
    steps = max(1, round(seconds * TIMED_STEPS / (time.perf_counter() - started)))
    network = starting_network(recipe).to(memory_format=torch.channels_last)
    train(network, loss, replace(recipe, steps=steps), batches(recipe, folder))
    return network, steps


def held_out(network: nn.Module, measure: PerceptualLoss, photos: Pictures) -> dict[str, float]:
    return mean_losses([photo_losses(network, measure, photo) for photo in photos])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("style", help="whose recipe is followed")
    parser.add_argument("--teacher", required=True, help="a slow style of the same painting")
    parser.add_argument("--painting", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="folder to train on")
    parser.add_argument("--held-out", type=Path, required=True, help="folder or list of other photos, to measure on")
    parser.add_argument("--seconds", type=float, default=120, help="of each training")
    parser.add_argument("--pixel-weight", type=float, default=30.0)
    parser.add_argument("--count", type=int, default=4, help="photos to measure on")
    arguments = parser.parse_args()
    keep_freed_memory()
    recipe = exported_recipe(find_style(arguments.style))
    measure = painting_loss(loss_recipe(recipe, SIZE), arguments.painting)
    teacher = load_start(arguments.teacher).to(memory_format=torch.channels_last).eval()
    lesson = Lesson(recipe, measure, teacher, arguments.pixel_weight)
    _, photos = load_photos(arguments.held_out, count=arguments.count, size=SIZE)

    print(describe_machine("torch"))
    print(f"{recipe.name} from {recipe.start or 'random weights'}, {arguments.seconds:.0f} s each")
    shown = {"teacher itself": (held_out(teacher, measure, photos), 0)}
    for name, loss in (("painting", lesson.painting), ("teacher", lesson.imitation), ("both", lesson.both)):
        network, steps = taught(loss, recipe, arguments.photos, arguments.seconds)
        shown[name] = held_out(network, measure, photos), steps
    reference = shown["painting"][0]["total"]
    for name, (losses, steps) in shown.items():
        parts = ", ".join(f"{part} {value:.3f}" for part, value in losses.items())
        print(f"  {name:<16} {steps:5,} steps  {parts}; ratio {losses['total'] / reference:.3f}")


if __name__ == "__main__":
    main()
