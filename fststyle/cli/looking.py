"""What ``dream`` and ``filters`` share: the network that is looked through, and progress."""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fststyle.cli.progress import iterations_bar
from fststyle.cli.transfers import transfer_progress
from fststyle.errors import OptionError

if TYPE_CHECKING:
    from fststyle.nn.devices import Device
    from fststyle.nn.feature_networks import FeatureNetwork

Command = Callable[..., Any]
Tell = Callable[[float], None]


def looking_options(command: Command) -> Command:
    options = (
        click.option(
            "--network",
            default="vgg16",
            show_default=True,
            help="What to look through: vgg16, vgg19, googlenet or inception_v3.",
        ),
        click.option(
            "--weights",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="File with the network's weights; else they are fetched at first use.",
        ),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of jitter and noise."),
        click.option("--force", is_flag=True, help="Replace a file that exists."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def ascent_options(
    *, octaves: int, steps: int, step_size: float, step_unit: str, jitter: int, normalization: str
) -> Callable[[Command], Command]:
    """How to climb, with the defaults of a command; ``step_unit``: what the size of a step is measured as."""
    options = (
        click.option(
            "--octaves", type=int, default=octaves, show_default=True, help="How many sizes, from small to large."
        ),
        click.option("--octave-scale", type=float, default=1.4, show_default=True, help="From each size to the next."),
        click.option("--steps", type=int, default=steps, show_default=True, help="Steps per octave."),
        click.option(
            "--step-size", type=float, default=step_size, show_default=True, help=f"{step_unit} change, in 0..1."
        ),
        click.option(
            "--jitter", type=int, default=jitter, show_default=True, help="Random shifts of up to so many pixels."
        ),
        click.option(
            "--normalize",
            type=click.Choice(["mean-absolute", "l2", "std", "laplacian"]),
            default=normalization,
            show_default=True,
            help="How gradients are made comparable; laplacian: for each band of frequencies.",
        ),
    )

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def open_network(name: str, layers: Sequence[str], file: Path | None, device: Device) -> FeatureNetwork:
    """The network on its device; errors are those of finding either."""
    import torch

    from fststyle.nn.devices import torch_device
    from fststyle.nn.feature_networks import load_network

    place = torch_device(device)
    with transfer_progress() as track:
        network = load_network(name, layers, file=file, progress=track(f"Downloading {name}"))
    # Frozen weights, and convolutions that are fastest with channels last.
    return network.to(place).to(memory_format=torch.channels_last)


def weighted_layers(network: str, layers: Sequence[str]) -> dict[str, float]:
    """``NAME`` or ``NAME:WEIGHT`` each, by the network's own names.

    :raises OptionError: no such layer, one named twice, or a weight that is no finite number.
    """
    from fststyle.nn.feature_networks import find_layer

    weights: dict[str, float] = {}
    for given in layers:
        name, colon, number = given.partition(":")
        layer = find_layer(network, name)
        try:
            weight = float(number) if colon else 1.0
        except ValueError:
            weight = math.nan
        if not math.isfinite(weight):
            raise OptionError(f"--layer takes NAME or NAME:WEIGHT with a number, got {given!r}")
        if layer in weights:
            raise OptionError(f"--layer names {layer} twice")
        weights[layer] = weight
    return weights


@contextlib.contextmanager
def ascent_progress(total: int, what: str) -> Iterator[Tell | None]:
    """Steps, the objective and the time left on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    done = itertools.count(1)
    with iterations_bar(what) as tell:
        tell(0, total, "")
        yield lambda loss: tell(next(done), total, f"activation {loss:.4g}")
