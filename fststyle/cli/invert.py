"""``fststyle invert``: what a layer of the loss network still knows of a photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np
from PIL import Image

from fststyle.cli.descent import network_options, progress
from fststyle.images import Picture, load_rgb
from fststyle.serving.picture_file import check_target, write
from fststyle.serving.sheet import Tile, contact_sheet

if TYPE_CHECKING:
    from fststyle.iterative.descent import Descent

DEFAULT_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="File.  [default: PHOTO-inverted.png]"
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    default=DEFAULT_LAYERS,
    show_default=True,
    metavar="NAME",
    help="May be repeated: a labelled row beside the photo.",
)
@click.option("--size", type=int, default=256, show_default=True, help="Longer side in pixels.")
@click.option("--iterations", type=int, default=200, show_default=True, help="For each layer.")
@click.option("--tv-weight", type=float, default=0.01, show_default=True, help="How much smoothness counts.")
@click.option("--pooling", type=click.Choice(["max", "average"]), default="max", show_default=True)
@network_options
def invert(
    photo: Path,
    output: Path | None,
    layers: tuple[str, ...],
    size: int,
    iterations: int,
    tv_weight: float,
    pooling: str,
    vgg: str,
    vgg_weights: Path | None,
    how: Descent,
    seed: int,
    force: bool,
) -> None:
    """Make pictures, from noise, that have the features of PHOTO at some layers (Mahendran and Vedaldi 2015).

    One layer gives one picture; several give a labelled row beside the photo.
    """
    from fststyle.errors import OptionError
    from fststyle.iterative.descent import Position, descend
    from fststyle.iterative.inversion import Inversion
    from fststyle.iterative.pixels import fitting, to_tensor
    from fststyle.iterative.stages import make_stages
    from fststyle.nn.pixels import noise, to_pixels
    from fststyle.nn.vgg import check_layers
    from fststyle.nn.weights import load_vgg_weights

    check_layers(vgg, layers)
    if size < 1:
        raise OptionError(f"--size is at least 1 pixel, got {size}")
    target = output or photo.with_name(f"{photo.stem}-inverted.png")
    check_target(target, force=force)
    pixels = load_rgb(photo)
    fitted = fitting((pixels.shape[1], pixels.shape[0]), size)
    weights = load_vgg_weights(vgg, file=vgg_weights)
    found = []
    for layer in layers:
        if len(layers) > 1:
            click.echo(f"{layer}:", err=True)
        task = Inversion(
            pixels, weights, layer, tv_weight=tv_weight, pooling=cast("Any", pooling), device=how.torch_device()
        )
        position = Position(noise(fitted, seed))
        with progress() as tell:
            descend(task, make_stages([fitted], [iterations]), position, how, tell)
        found.append(to_pixels(position.image))
    result = found[0]
    if len(layers) > 1:
        named = [("photo", to_pixels(to_tensor(pixels, fitted))), *zip(layers, found, strict=True)]
        result = np.asarray(
            contact_sheet([[Tile(Image.fromarray(picture), name) for name, picture in named]], cell=max(16, size))
        )
    write(Picture(result), target, force=force, keep_metadata=False)
    click.echo(f"{click.format_filename(target)} ({result.shape[1]} x {result.shape[0]})")
