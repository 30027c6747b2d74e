"""``fststyle texture``: a picture of any size with a painting's texture, from noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from fststyle.cli.descent import Numbers, Outputs, network_options, run, watching_options
from fststyle.cli.optimize import LAYERS, layers_of
from fststyle.cli.sizes import Size
from fststyle.errors import OptionError
from fststyle.images import load_rgb

if TYPE_CHECKING:
    from fststyle.iterative.descent import Descent

DEFAULT_ITERATIONS = 300


@click.command()
@click.argument("painting", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="File.  [default: PAINTING-texture.png]"
)
@click.option("--size", type=Size(square=True), default=(256, 256), help="Of the result.  [default: 256x256]")
@click.option("--tile", is_flag=True, help="Copies side by side show no seam.")
@click.option(
    "--iterations",
    type=Numbers(),
    default=(DEFAULT_ITERATIONS,),
    metavar="N[,N...]",
    help=f"For each size, coarse to fine; one number: half as many at each further.  [default: {DEFAULT_ITERATIONS}]",
)
@click.option("--style-layer", multiple=True, metavar="NAME[:WEIGHT]", help="Instead of Gatys' five; may be repeated.")
@click.option("--style-scale", type=float, default=1.0, show_default=True, help="Painting's short side over SIZE's.")
@click.option("--pooling", type=click.Choice(["max", "average"]), default="average", show_default=True)
@network_options
@watching_options
@click.pass_context
def texture(
    context: click.Context,
    /,
    painting: Path,
    output: Path | None,
    size: tuple[int, int],
    tile: bool,
    iterations: tuple[int, ...],
    style_layer: tuple[str, ...],
    style_scale: float,
    pooling: str,
    vgg: str,
    vgg_weights: Path | None,
    how: Descent,
    seed: int,
    **watching: Any,  # the fields of Outputs: click passes options by name
) -> None:
    """Make a texture of PAINTING from noise (Gatys et al. 2015)."""
    from fststyle.iterative.stages import make_stages
    from fststyle.iterative.state import describe
    from fststyle.iterative.texture import Texture, texture_sizes
    from fststyle.nn.pixels import noise, to_pixels
    from fststyle.nn.vgg import check_layers
    from fststyle.nn.weights import load_vgg_weights

    layers = layers_of(style_layer, LAYERS["gatys"][1])
    check_layers(vgg, layers)
    if not 0 < style_scale < float("inf"):
        raise OptionError(f"--style-scale must be above 0, got {style_scale:g}")
    outputs = Outputs(output=output or painting.with_name(f"{painting.stem}-texture.png"), **watching)
    outputs.check()
    stages = make_stages(texture_sizes(size, layers, tile=tile), iterations)
    pixels = load_rgb(painting)
    weights = load_vgg_weights(vgg, file=vgg_weights)
    task = Texture(
        pixels,
        weights,
        layers,
        size=size,
        scale=style_scale,
        pooling=cast("Any", pooling),
        tile=tile,
        device=how.torch_device(),
    )
    description = describe(
        {
            **{f"descent {name}": value for name, value in dataclasses.asdict(how).items()},
            "sizes and iterations": [dataclasses.astuple(stage) for stage in stages],
            "layers": layers,
            "settings": [style_scale, pooling, tile, seed],
            "vgg weights": weights.sha256,
        },
        {"painting": pixels},
    )
    run(context, task, stages, lambda: noise(stages[0].size, seed), to_pixels, how, outputs, description)
