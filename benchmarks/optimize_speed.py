"""Optimising one picture: ours against a plain L-BFGS loop over full VGG features.

    python benchmarks/optimize_speed.py [--size 512] [--iterations 100] [--threads 2] [--photo FILE --painting FILE]
    python benchmarks/optimize_speed.py --memory 512,1024,2048

The reference: ``torch.optim.LBFGS`` (learning rate 1, history 100, no line search), float32, PyTorch's default
(contiguous) layout, VGG-16 run to its last layer, every activation kept. Ours: what ``fststyle optimize`` does, in the
precision that ``auto`` chooses on this machine. Same photo, painting, start, weights, layers and number of iterations;
each has a process of its own, and they take iterations in turn, so that whatever else the machine does slows both. The
final losses are computed in float32 by the same loss, of the pictures clipped to 0..1 as they would be saved.

``--memory`` prints instead the peak of the process's memory over two iterations at each size, L-BFGS's history filled,
each in a process of its own. Without VGG weights in the cache or --vgg-weights they are fetched.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from in_turn import Racer, in_turn
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fststyle.images import load_rgb
from fststyle.iterative.descent import Descent, Position, Stage, descend, evaluate
from fststyle.iterative.gatys import Style, StyleTransfer, Transfer
from fststyle.iterative.memory import FIXED, bytes_per_pixel
from fststyle.iterative.optimiser import make_optimiser
from fststyle.iterative.pixels import fitting, to_tensor
from fststyle.machine import cores, describe_machine
from fststyle.nn.allocator import keep_freed_memory
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.vgg import VGGFeatures, layer_names
from fststyle.nn.weights import load_vgg_weights


def picture(file: Path | None, seed: int) -> NDArray[np.uint8]:
    """The file's, or coloured clouds."""
    if file is not None:
        return load_rgb(file)
    random = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(random.integers(0, 256, (3 * cells, 4 * cells, 3), dtype=np.uint8)).resize(
                (1024, 768), Image.Resampling.BICUBIC
            ),
            dtype=np.float32,
        )
        for cells in (2, 8, 32, 96)
    ]
    return np.mean(layers, axis=0).astype(np.uint8)


def make_task(arguments: argparse.Namespace) -> tuple[StyleTransfer, tuple[int, int]]:
    """What both do, and the size of the picture, width and height."""
    photo, painting = picture(arguments.photo, 0), picture(arguments.painting, 1)
    weights = load_vgg_weights("vgg16", file=arguments.vgg_weights)
    task = StyleTransfer(photo, [Style(painting)], weights, Transfer(), device=torch.device("cpu"))
    return task, fitting((photo.shape[1], photo.shape[0]), arguments.size)


class Reference(Racer):
    def __init__(self, arguments: argparse.Namespace) -> None:
        torch.set_num_threads(arguments.threads)
        task, size = make_task(arguments)
        transfer = task.transfer
        weights = load_vgg_weights(transfer.vgg, file=arguments.vgg_weights)
        self.layers = layer_names(transfer.vgg)
        self.vgg = VGGFeatures(weights, self.layers, pooling=transfer.pooling)
        scale = transfer.style_scale * min(size) / min(task.paintings[0].shape[:2])
        height, width = (round(side * scale) for side in task.paintings[0].shape[:2])
        painting = to_tensor(task.paintings[0], (width, height))
        self.loss = PerceptualLoss(self.vgg, transfer.loss_weights(), [painting])
        self.image = task.start("photo", size).requires_grad_()
        self.content = self.loss.content_features(self.image.detach())
        self.optimizer = torch.optim.LBFGS(
            [self.image], lr=1, max_iter=1, history_size=100, tolerance_grad=0, tolerance_change=0
        )

    def step(self) -> None:
        def closure() -> Tensor:
            self.optimizer.zero_grad()
            features = self.vgg(self.image, self.layers)
            parts = (self.loss.content_part(features, self.content), self.loss.style_part(features))
            total = sum(parts, self.loss.variation_part(self.image))
            total.backward()
            return total

        self.optimizer.step(closure)

    def result(self) -> NDArray[np.float32]:
        return self.image.detach().numpy()


class Ours(Racer):
    """The loop of ``descend``, an iteration at a time."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        torch.set_num_threads(arguments.threads)
        keep_freed_memory()
        task, size = make_task(arguments)
        how = Descent(device="cpu")
        self.bfloat16 = how.bfloat16()
        self.image, self.objective = task.start("photo", size), task.objective(size)
        self.optimiser = make_optimiser(how.method, history=how.history, learning_rate=how.learning_rate)

    def step(self) -> None:
        _, gradient = evaluate(self.objective, self.image, bfloat16=self.bfloat16)
        self.image = self.optimiser.step(self.image, gradient)

    def result(self) -> NDArray[np.float32]:
        return self.image.numpy()


def compare(arguments: argparse.Namespace) -> None:
    task, size = make_task(arguments)
    print(f"{size[0]} x {size[1]} px, {arguments.iterations} iterations each, in turn", flush=True)
    makers = {"reference": partial(Reference, arguments), "fststyle": partial(Ours, arguments)}
    taken = in_turn(makers, arguments.iterations)
    for name, one in taken.items():
        median, work = statistics.median(one.seconds), statistics.median(one.processor)
        print(
            f"{name:10} {sum(one.seconds):8.1f} s, median {median:6.2f} s an iteration, {work:6.2f} s of processor time"
        )
    objective, totals = task.objective(size), {}
    for name, one in taken.items():
        with torch.no_grad():
            parts = objective(torch.from_numpy(one.result).clamp(0, 1))
        totals[name] = parts["total"].item()
        print(f"{name:10} final loss: " + ", ".join(f"{part} {value.item():.4f}" for part, value in parts.items()))
    ratio = sum(taken["reference"].seconds) / sum(taken["fststyle"].seconds)
    change = totals["fststyle"] / totals["reference"] - 1
    precision = "bf16" if Descent(device="cpu").bfloat16() else "float32"
    print(f"{ratio:.2f} times as fast ({precision}), final loss {change:+.1%}")


def peak(task: StyleTransfer, size: tuple[int, int]) -> None:
    """Two iterations with a history as long as it gets, and the peak of this process's memory."""
    how = Descent(device="cpu")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    image = task.start("photo", size)
    optimiser = {
        "steps": [torch.rand_like(image) for _ in range(how.history)],
        "changes": [torch.rand_like(image) for _ in range(how.history)],
        "last_image": image,
        "last_gradient": torch.rand_like(image),
    }
    descend(task, [Stage(size, 2)], Position(image, optimiser=optimiser), how, lambda moment: None)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pixels = size[0] * size[1]
    estimate = bytes_per_pixel(task.vgg, history=how.history, bfloat16=how.bfloat16()) * pixels + FIXED
    print(
        f"{size[0]} x {size[1]}: {after / 1e9:.2f} GB ({(after - before) / pixels:.0f} bytes a pixel above the "
        f"{before / 1e9:.2f} GB before; estimated {estimate / 1e9:.2f} GB)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="longer side")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--painting", type=Path)
    parser.add_argument("--vgg-weights", type=Path)
    parser.add_argument("--memory", metavar="N,N...", help="peak memory at these sizes instead")
    parser.add_argument("--one-memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory:
        print(describe_machine("torch"), f"; {arguments.threads} threads", sep="", flush=True)
        given = [*sys.argv[1:]]
        for side in arguments.memory.split(","):
            subprocess.run(
                [sys.executable, __file__, *given, "--memory", "", "--size", side, "--one-memory"], check=True
            )
        return
    if arguments.one_memory:
        peak(*make_task(arguments))
        return
    print(describe_machine("torch"), f"; {arguments.threads} threads", sep="")
    compare(arguments)


if __name__ == "__main__":
    main()
