"""``fststyle filters``: pictures of what single filters of a network look for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from fststyle.cli.looking import ascent_options, ascent_progress, looking_options, open_network
from fststyle.errors import OptionError
from fststyle.images import from_pillow
from fststyle.serving.picture_file import check_target, write

if TYPE_CHECKING:
    from PIL import Image

    from fststyle.iterative.filters import FilterSettings
    from fststyle.nn.devices import Device
    from fststyle.nn.feature_networks import FeatureNetwork

FIRST = 16
AT_ONCE = 16
KERNEL_PIXELS = 16


@click.command()
@click.option("--layer", metavar="NAME", help="Layer whose filters are drawn, such as relu3_1.")
@click.option("--filter", "number", type=int, metavar="K", help="Draw this filter alone, counted from 0.")
@click.option(
    "--first", type=int, metavar="K", help=f"Draw a labelled grid of the first K filters.  [default: {FIRST}]"
)
@click.option("--kernels", is_flag=True, help="Draw the first layer's kernels themselves; needs no --layer.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="File.  [default: by its content]")
@click.option("--size", type=int, default=128, show_default=True, help="Side of each picture in pixels.")
@ascent_options(octaves=3, steps=20, step_size=0.02, step_unit="Root mean square", jitter=16, normalization="laplacian")
@click.option(
    "--l2-decay", type=float, default=0.02, show_default=True, help="Share of its contrast lost in each step."
)
@click.option("--blur-every", type=int, default=4, show_default=True, metavar="N", help="Blur after every N steps.")
@click.option("--blur-sigma", type=float, default=0.6, show_default=True, help="Width of that blur in pixels.")
@click.option("--clip-values", type=float, default=0.0, show_default=True, help="Percentage of faint pixels made grey.")
@click.option(
    "--clip-gradients",
    type=float,
    default=0.0,
    show_default=True,
    help="Percentage of pixels of little effect made grey.",
)
@looking_options
def filters(
    layer: str | None,
    number: int | None,
    first: int | None,
    kernels: bool,
    output: Path | None,
    size: int,
    octaves: int,
    octave_scale: float,
    steps: int,
    step_size: float,
    jitter: int,
    normalize: str,
    l2_decay: float,
    blur_every: int,
    blur_sigma: float,
    clip_values: float,
    clip_gradients: float,
    network: str,
    weights: Path | None,
    device: Device,
    seed: int,
    force: bool,
) -> None:
    """Draw what single filters of a network's layer look for, by gradient ascent from noise."""
    from fststyle.iterative.ascent import Ascent
    from fststyle.iterative.filters import FilterSettings
    from fststyle.iterative.regularizers import Regularizers
    from fststyle.nn.feature_networks import find_layer, network_layers

    regularizers = Regularizers(
        l2_decay=l2_decay,
        blur_every=blur_every,
        blur_sigma=blur_sigma,
        clip_values=clip_values,
        clip_gradients=clip_gradients,
    )
    settings = FilterSettings(
        size=size,
        octaves=octaves,
        octave_scale=octave_scale,
        ascent=Ascent(steps=steps, step_size=step_size, jitter=jitter, normalization=normalize),
        regularizers=regularizers,
        seed=seed,
    )
    channels = chosen(number, first)
    if (layer is None) != kernels:
        raise OptionError("name a layer with --layer, or draw the first layer's kernels with --kernels: one of the two")
    own = find_layer(network, layer) if layer else network_layers(network)[0]
    target = output or Path(f"{network}-{'kernels' if kernels else own.replace('/', '-')}.png")
    check_target(target, force=force)
    looking = open_network(network, [own], weights, device)
    drawn = kernel_pictures(looking, channels) if kernels else filter_pictures(looking, own, channels, settings)
    sheet = grid(drawn)
    write(from_pillow(sheet), target, force=force, keep_metadata=False)
    click.echo(f"{click.format_filename(target)} ({sheet.width} x {sheet.height})")


def chosen(number: int | None, first: int | None) -> list[int]:
    if number is not None and first is not None:
        raise OptionError("--filter draws one filter and --first a grid; give one of them")
    if first is not None and first < 1:
        raise OptionError(f"--first is at least 1, got {first}")
    return [number] if number is not None else list(range(first or FIRST))


def filter_pictures(
    network: FeatureNetwork, layer: str, channels: Sequence[int], settings: FilterSettings
) -> dict[str, NDArray[np.uint8]]:
    """uint8 [H, W, 3] by label; as many at a time as keep the memory within bounds."""
    from fststyle.iterative.filters import draw_filters, shown, silent
    from fststyle.iterative.footprint import enough_memory
    from fststyle.nn.pixels import to_pixels

    batches = [channels[start : start + AT_ONCE] for start in range(0, len(channels), AT_ONCE)]
    total = len(batches) * settings.octaves * settings.ascent.steps
    pictures: dict[str, NDArray[np.uint8]] = {}
    side = (settings.size, settings.size)
    with enough_memory(network, [layer], side, pictures=len(batches[0])), ascent_progress(total, "Drawing") as tell:
        for batch in batches:
            images = draw_filters(network, layer, batch, settings, progress=tell)
            quiet = silent(network, layer, batch, images)
            for channel, image, nothing in zip(batch, shown(images), quiet, strict=True):
                pictures[f"{channel} (silent)" if nothing else str(channel)] = to_pixels(image[None])
    return pictures


def kernel_pictures(network: FeatureNetwork, channels: Sequence[int]) -> dict[str, NDArray[np.uint8]]:
    from fststyle.iterative.filters import draw_kernels
    from fststyle.nn.pixels import to_pixels

    kernels = draw_kernels(network, channels, KERNEL_PIXELS)
    return {str(channel): to_pixels(kernel[None]) for channel, kernel in zip(channels, kernels, strict=True)}


def grid(pictures: Mapping[str, NDArray[np.uint8]]) -> Image.Image:
    """One picture as it is; several with their labels above them, in rows as nearly square as can be."""
    from PIL import Image

    from fststyle.serving.sheet import Tile, contact_sheet, wrapped

    tiles = [Tile(Image.fromarray(pixels), label) for label, pixels in pictures.items()]
    if len(tiles) == 1:
        return tiles[0].picture
    rows = wrapped(tiles, math.ceil(math.sqrt(len(tiles))))
    return contact_sheet(rows, cell=max(16, *tiles[0].picture.size))
