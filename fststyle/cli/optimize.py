"""``fststyle optimize``: a photo and paintings go in, and the pixels themselves are optimised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np
from numpy.typing import NDArray

from fststyle.cli.descent import Numbers, Outputs, network_options, run, watching_options
from fststyle.errors import OptionError, StyleNotFoundError, did_you_mean
from fststyle.images import load_rgb, read_picture
from fststyle.iterative.gatys import GATYS_CONTENT, GATYS_STYLE, Style, StyleTransfer, Transfer

if TYPE_CHECKING:
    from torch import Tensor

    from fststyle.iterative.descent import Descent, Stage

STARTS = ("photo", "noise", "painting")
LAYERS = {
    "gatys": (GATYS_CONTENT, GATYS_STYLE),
    "johnson": (("relu3_3",), ("relu1_2", "relu2_2", "relu3_3", "relu4_3")),
}
DEFAULT_SIDE = 512
DEFAULT_ITERATIONS = 300
NO_MASK = "-"
DEFAULTS = {entry.name: entry.default for entry in dataclasses.fields(Transfer)}


def weight_option(flag: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option for a field of :class:`Transfer`, whose default is read there."""
    key = flag.removeprefix("--").replace("-", "_")
    return click.option(flag, type=float, default=DEFAULTS[key], show_default=True, help=text)


def weighted(text: str, what: str) -> tuple[str, float]:
    """``NAME[:WEIGHT]``; a weight that is left out is 1.

    :raises OptionError: the weight is no number of at least 0.
    """
    name, colon, weight = text.rpartition(":")
    if not colon:
        return text, 1.0
    try:
        number = float(weight)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise OptionError(f"{what} {text!r}: the weight after the colon is a number of at least 0, got {weight!r}")
    return name, number


def layers_of(texts: Sequence[str], default: Sequence[str]) -> dict[str, float]:
    return dict(weighted(text, "layer") for text in texts) if texts else dict.fromkeys(default, 1.0)


def weighted_file(text: str) -> tuple[Path, float]:
    """``FILE[:WEIGHT]``; a file may have a colon in its name."""
    if Path(text).exists() or ":" not in text:
        return Path(text), 1.0
    name, weight = weighted(text, "painting")
    return Path(name), weight


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("paintings", nargs=-1, required=True, metavar="PAINTING[:WEIGHT]...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="File.  [default: PHOTO-PAINTING.png]"
)
@click.option(
    "--init", default="photo", show_default=True, metavar="START", help="photo, noise, painting, or a style by name."
)
@click.option("--size", type=int, help=f"Longer side in pixels.  [default: the photo's, at most {DEFAULT_SIDE}]")
@click.option("--sizes", type=Numbers(), metavar="N,N...", help="Longer sides from coarse to fine, instead of --size.")
@click.option(
    "--iterations",
    type=Numbers(),
    default=(DEFAULT_ITERATIONS,),
    metavar="N[,N...]",
    help=f"For each size; one number: half as many at each further size.  [default: {DEFAULT_ITERATIONS}]",
)
@click.option("--layers", type=click.Choice([*LAYERS]), default="gatys", show_default=True, help="Whose layers.")
@click.option("--content-layer", multiple=True, metavar="NAME[:WEIGHT]", help="Instead of theirs; may be repeated.")
@click.option("--style-layer", multiple=True, metavar="NAME[:WEIGHT]", help="Instead of theirs; may be repeated.")
@weight_option("--content-weight", "How much the photo counts.")
@weight_option("--style-weight", "How much the paintings count.")
@weight_option("--tv-weight", "How much smoothness counts.")
@weight_option("--style-scale", "Brush size: the painting's short side over the result's.")
@click.option(
    "--pooling", type=click.Choice(["max", "average"]), default="max", show_default=True, help="Of the loss network."
)
@click.option("--keep-color", type=click.Choice(["luminance", "histogram"]), help="Keep the photo's colours.")
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="FILE",
    help=f"Grey picture of the photo's size, white where the painting applies; once for each, {NO_MASK} for none.",
)
@network_options
@watching_options
@click.pass_context
def optimize(
    context: click.Context,
    /,
    photo: Path,
    paintings: tuple[str, ...],
    output: Path | None,
    init: str,
    size: int | None,
    sizes: tuple[int, ...] | None,
    iterations: tuple[int, ...],
    layers: str,
    content_layer: tuple[str, ...],
    style_layer: tuple[str, ...],
    masks: tuple[str, ...],
    vgg_weights: Path | None,
    how: Descent,
    seed: int,
    **options: Any,  # the fields of Transfer and of Outputs: click passes options by name
) -> None:
    """Paint PHOTO in the style of one or several paintings by optimising its pixels (Gatys et al. 2016).

    Minutes instead of milliseconds, for any painting and without training. Ctrl-C and SIGTERM save where it is;
    --resume goes on from there as if nothing had happened.
    """
    from fststyle.iterative.state import describe
    from fststyle.nn.weights import load_vgg_weights

    files = [weighted_file(text) for text in paintings]
    target = output or photo.with_name(f"{photo.stem}-{files[0][0].stem}.png")
    watching = {name: options.pop(name) for name in ("snapshot_every", "animation", "curve", "resume", "force")}
    content, style = LAYERS[layers]
    transfer = Transfer(
        content_layers=layers_of(content_layer, content),
        style_layers=layers_of(style_layer, style),
        **options,
    )
    check_start(init)
    picture = read_picture(photo)
    outputs = Outputs(output=target, alpha=picture.alpha, **watching)
    outputs.check()
    stages = stages_for(picture.size, size, sizes, iterations)
    chosen = read_masks(masks, len(files))
    styles = [Style(load_rgb(file), weight, mask) for (file, weight), mask in zip(files, chosen, strict=True)]
    weights = load_vgg_weights(transfer.vgg, file=vgg_weights)
    task = StyleTransfer(picture.pixels, styles, weights, transfer, device=how.torch_device())
    description = describe(
        {
            **dataclasses.asdict(transfer),
            **{f"descent {name}": value for name, value in dataclasses.asdict(how).items()},
            "weights": [weight for _, weight in files],
            "sizes and iterations": [dataclasses.astuple(stage) for stage in stages],
            "init": init,
            "seed": seed,
            "vgg weights": weights.sha256,
        },
        {"photo": picture.pixels}
        | {f"painting {number}": entry.painting for number, entry in enumerate(styles, 1)}
        | {f"mask {number}": mask for number, mask in enumerate(chosen, 1) if mask is not None},
    )
    run(
        context,
        task,
        stages,
        starting(task, init, stages[0], how.device, seed),
        task.finished,
        how,
        outputs,
        description,
    )


def check_start(init: str) -> None:
    """:raises OptionError: it is none of the starts, and no style either."""
    from fststyle.styles import available_styles, find_style

    if init in STARTS:
        return
    try:
        find_style(init)
    except StyleNotFoundError as error:
        names = [*STARTS, *(style.name for style in available_styles())]
        raise OptionError(f"no start {init!r}; accepted: {', '.join(names)}{did_you_mean(init, names)}") from error


def stages_for(
    photo_size: tuple[int, int], size: int | None, sizes: tuple[int, ...] | None, iterations: tuple[int, ...]
) -> list[Stage]:
    from fststyle.iterative.pixels import fitting
    from fststyle.iterative.stages import automatic_sides, make_stages

    if size is not None and sizes is not None:
        raise OptionError("--size and --sizes say the same; give one of them")
    sides = sizes or automatic_sides(min(max(photo_size), DEFAULT_SIDE) if size is None else size)
    if min(sides) < 1:
        raise OptionError(f"a size is at least 1 pixel, got {min(sides)}")
    return make_stages([fitting(photo_size, side) for side in sides], iterations)


def read_masks(masks: Sequence[str], paintings: int) -> list[NDArray[np.uint8] | None]:
    """One for each painting, uint8 [H, W], or None.

    :raises OptionError: there are more masks than paintings.
    :raises InputError: a mask cannot be read.
    """
    from fststyle.colour import luma

    if len(masks) > paintings:
        raise OptionError(f"there are {len(masks)} masks for {paintings} paintings; give at most one for each")
    found: list[NDArray[np.uint8] | None] = [
        None if mask == NO_MASK else np.rint(luma(load_rgb(mask))).astype(np.uint8) for mask in masks
    ]
    return found + [None] * (paintings - len(masks))


def starting(task: StyleTransfer, init: str, first: Stage, device: str, seed: int) -> Callable[[], Tensor]:
    """What gives the first picture when it is needed. A style by name paints it through its own, torch-free engine."""
    if init in STARTS:
        return lambda: task.start(cast("Any", init), first.size, seed=seed)

    def stylised() -> Tensor:
        from fststyle.nn.pixels import to_pixels
        from fststyle.serving.stylizer import Stylizer

        photo = to_pixels(task.start("photo", first.size))
        return task.start(Stylizer(init, device=cast("Any", device))(photo), first.size)

    return stylised
