"""Training steps per second: ours against the recipe that most PyTorch tutorials and repositories train with.

    python benchmarks/training_speed.py [--steps 5] [--size 256] [--batch 4] [--threads 2]

The reference: a Johnson network, VGG-16 run in full to relu4_3 on the photo and on the output, mean squared errors,
float32, tensors in PyTorch's default (contiguous) layout, Adam. Ours: the same network, layers and batch as a default
recipe trains them, with the precision that ``--precision auto`` chooses on this machine and with torch.compile, which
long runs use by default (``--eager`` leaves it out; compiling itself is not counted). Both take steps in turn on the
same batch of random photos, so that whatever else the machine does slows both; medians and their ratio are printed. VGG
weights are random: they cost the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import machine
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.networks import initial_network, preset
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights
from fststyle.training.fit import resolve_precision
from fststyle.training.module import StyleModule
from fststyle.training.recipe import Recipe

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
CONTENT_LAYER = "relu2_2"


def random_vgg() -> VGGWeights:
    shapes = ARCHITECTURES["vgg16"].shapes
    tensors = {
        name: torch.randn(shape) * (2 / (9 * shape[1])) ** 0.5 if len(shape) == 4 else torch.zeros(shape)
        for name, shape in shapes.items()
    }
    return VGGWeights(
        "vgg16", tensors, Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "random", "none", ""
    )


def reference_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel, stride)]


def reference_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [*reference_conv(inputs, outputs, kernel, stride), nn.InstanceNorm2d(outputs, affine=True)]


class ReferenceResidual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*reference_norm(width, width, 3), nn.ReLU(), *reference_norm(width, width, 3))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def reference_network() -> nn.Module:
    up = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(
        *reference_norm(3, 32, 9),
        nn.ReLU(),
        *reference_norm(32, 64, 3, 2),
        nn.ReLU(),
        *reference_norm(64, 128, 3, 2),
        nn.ReLU(),
        *(ReferenceResidual(128) for _ in range(5)),
        up,
        *reference_norm(128, 64, 3),
        nn.ReLU(),
        up,
        *reference_norm(64, 32, 3),
        nn.ReLU(),
        *reference_conv(32, 3, 9),
    )


def reference_gram(features: Tensor) -> Tensor:
    batch, channels, height, width = features.shape
    flat = features.view(batch, channels, height * width)
    return flat.bmm(flat.transpose(1, 2)) / (channels * height * width)


def reference_step(weights: VGGWeights, photos: Tensor) -> Callable[[], None]:
    network = reference_network()
    vgg = VGGFeatures(weights, LAYERS)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    with torch.no_grad():
        targets = {name: reference_gram(value) for name, value in vgg(photos[:1], LAYERS).items()}

    def step() -> None:
        optimizer.zero_grad()
        output = network(photos)
        with torch.no_grad():
            wanted = vgg(photos, LAYERS)
        found = vgg(output, LAYERS)
        content = F.mse_loss(found[CONTENT_LAYER], wanted[CONTENT_LAYER])
        style = sum(
            (F.mse_loss(reference_gram(found[name]), targets[name].expand(len(photos), -1, -1)) for name in LAYERS),
            torch.zeros(()),
        )
        (1e5 * content + 1e10 * style).backward()
        optimizer.step()

    return step


def our_step(recipe: Recipe, weights: VGGWeights, photos: Tensor, *, compile: bool) -> tuple[Callable[[], None], str]:
    precision = resolve_precision(recipe.precision, "cpu")
    vgg = VGGFeatures(weights, LAYERS).to(memory_format=torch.channels_last)
    loss = PerceptualLoss(vgg, recipe.loss_weights(), [photos[:1]])
    module = StyleModule(recipe, initial_network(preset(recipe.preset), 0), loss)
    if compile:
        module.compile_losses()
    optimizer = torch.optim.Adam(module.network.parameters(), recipe.learning_rate)
    photos = photos.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            total = module.training_loss(photos).total
        total.backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), recipe.gradient_clip)
        optimizer.step()

    return step, precision


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="counted steps of each, after one of warm-up")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--eager", action="store_true", help="ours without torch.compile")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    photos = torch.rand(arguments.batch, 3, arguments.size, arguments.size)
    weights = random_vgg()
    recipe = Recipe(name="speed", file=Path(__file__).name, size=arguments.size, batch=arguments.batch)
    ours, precision = our_step(recipe, weights, photos, compile=not arguments.eager)
    steps = {"reference": reference_step(weights, photos), f"fststyle ({precision})": ours}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.steps + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - started)
    print(machine.describe("torch"), f"; {arguments.threads} threads", sep="")
    print(f"batch {arguments.batch}, {arguments.size} px, {arguments.steps} steps each, in turn")
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:24} {median:6.2f} s a step, {1 / median:5.2f} steps/s")
    reference, ours_median = medians.values()
    ratios = [a / b for a, b in zip(*(values[1:] for values in times.values()), strict=True)]
    print(f"ratio {reference / ours_median:.2f} (pair by pair {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
