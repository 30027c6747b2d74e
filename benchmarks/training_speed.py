"""Training steps per second: ours against the recipe that most PyTorch tutorials and repositories train with.

    python benchmarks/training_speed.py [--steps 5] [--size 256] [--batch 4] [--threads 2]

The reference: a Johnson network, VGG-16 run in full to relu4_3 on the photo and on the output, mean squared errors,
float32, tensors in PyTorch's default (contiguous) layout, Adam. Ours: the same network, layers and batch as a default
recipe trains them, with the precision that ``--precision auto`` chooses on this machine and with torch.compile, which
long runs use by default (``--eager`` leaves it out; compiling itself is not counted). Each has a process of its own,
and they take steps in turn on the same batch of random photos, so that whatever else the machine does slows both;
medians and their ratio are printed. VGG weights are random: they cost the same.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from pathlib import Path

import torch
from in_turn import Racer, in_turn
from torch import Tensor, nn
from torch.nn import functional as F

from fststyle.machine import cores, describe_machine
from fststyle.nn.allocator import keep_freed_memory
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.networks import initial_network, preset
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights
from fststyle.training.fit import resolve_precision
from fststyle.training.module import StyleModule
from fststyle.training.recipe import Recipe

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
CONTENT_LAYER = "relu2_2"
WARM_UP = 2


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


class Training(Racer):
    """Photos float [N, 3, H, W] and a loss network: the same ones in every process."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(0)
        self.photos = torch.rand(arguments.batch, 3, arguments.size, arguments.size)
        self.weights = random_vgg()


class Reference(Training):
    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__(arguments)
        self.network = reference_network()
        self.vgg = VGGFeatures(self.weights, LAYERS)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3)
        with torch.no_grad():
            features = self.vgg(self.photos[:1], LAYERS)
        self.targets = {name: reference_gram(value) for name, value in features.items()}

    def step(self) -> None:
        self.optimizer.zero_grad()
        output = self.network(self.photos)
        with torch.no_grad():
            wanted = self.vgg(self.photos, LAYERS)
        found = self.vgg(output, LAYERS)
        content = F.mse_loss(found[CONTENT_LAYER], wanted[CONTENT_LAYER])
        style = torch.zeros(())
        for name in LAYERS:
            gram = reference_gram(found[name])
            style = style + F.mse_loss(gram, self.targets[name].expand_as(gram))
        (1e5 * content + 1e10 * style).backward()
        self.optimizer.step()


class Ours(Training):
    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__(arguments)
        keep_freed_memory()
        recipe = Recipe(name="speed", file=Path(__file__).name, size=arguments.size, batch=arguments.batch)
        self.precision = resolve_precision(recipe.precision, "cpu")
        self.clip = recipe.gradient_clip
        vgg = VGGFeatures(self.weights, LAYERS).to(memory_format=torch.channels_last)
        loss = PerceptualLoss(vgg, recipe.loss_weights(), [self.photos[:1]])
        self.module = StyleModule(recipe, initial_network(preset(recipe.preset), 0), loss)
        if not arguments.eager:
            self.module.compile_losses()
        self.optimizer = self.module.optimizer()
        self.photos = self.photos.contiguous(memory_format=torch.channels_last)

    def step(self) -> None:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16-mixed"):
            parts, _ = self.module.training_loss(self.photos)
            total = parts.total
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.module.network.parameters(), self.clip)
        self.optimizer.step()

    def result(self) -> str:
        return self.precision


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=10, help="counted steps of each, after two of warm-up")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--eager", action="store_true", help="ours without torch.compile")
    arguments = parser.parse_args()
    taken = in_turn(
        {"reference": partial(Reference, arguments), "fststyle": partial(Ours, arguments)}, arguments.steps + WARM_UP
    )
    print(describe_machine("torch"), f"; {arguments.threads} threads", sep="")
    print(f"batch {arguments.batch}, {arguments.size} px, {arguments.steps} steps each, in turn")
    times = {name: one.seconds[WARM_UP:] for name, one in taken.items()}
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:10} {median:6.2f} s a step, {1 / median:5.2f} steps/s")
    ratio = statistics.median(times["reference"]) / statistics.median(times["fststyle"])
    pairs = [a / b for a, b in zip(times["reference"], times["fststyle"], strict=True)]
    print(f"ratio {ratio:.2f} (pair by pair {min(pairs):.2f} to {max(pairs):.2f}; ours in {taken['fststyle'].result})")


if __name__ == "__main__":
    main()
