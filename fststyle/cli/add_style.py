"""``fststyle add-style``: a palette and one more painting go in, the palette with one more style comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fststyle.cli.train import PAINTING_KEYS, recipe_option, train_and_export
from fststyle.errors import OptionError
from fststyle.nn.compatibility import check_torch_pair
from fststyle.training.recipe import Recipe, recipe_from_dict, style_name
from fststyle.training.run import LAST, Run

STEPS = Recipe.steps // 10
"""A tenth of what a style takes that begins with nothing."""


@click.command()
@click.argument("palette", metavar="PALETTE|FILE.onnx")
@click.argument("painting", type=click.Path(path_type=Path))
@click.option(
    "--photos", required=True, type=click.Path(path_type=Path), help="Folder of photos to learn from, of any depth."
)
@click.option("--name", help="The new style's name.  [default: from the painting's file]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the ONNX file and the checkpoint.  [default: runs/NAME]"
)
@click.option("--steps", type=int, default=STEPS, show_default=True, help="How long to train.")
@recipe_option("--content-weight", "content_weight", "How much the photo counts.", default="the palette's")
@recipe_option("--style-weight", "style_weight", "How much the painting counts.", default="the palette's")
@recipe_option("--tv-weight", "tv_weight", "How much smoothness counts.", default="the palette's")
@recipe_option(
    "--style-scale", "style_scale", "Brush size: the painting's short side over SIZE.", default="the palette's"
)
@recipe_option("--learning-rate", "learning_rate", "A tenth of that of scales and shifts.", default="the palette's")
@click.option("--title", help="The painting's title, kept in the ONNX file.")
@click.option("--artist", help="The painting's artist.")
@click.option("--year", help="The painting's year.")
@click.option("--licence", help="The painting's licence.")
@click.option("--source", help="Where the painting was found.")
@click.option("--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True)
@click.option(
    "--vgg-weights",
    envvar="FSTSTYLE_VGG_WEIGHTS",
    type=click.Path(path_type=Path),
    help="File with the loss network's weights.",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the --out folder.")
@click.option("--force", is_flag=True, help="Replace a run that is already in the --out folder.")
@click.pass_context
def add_style(
    context: click.Context,
    /,
    palette: str,
    painting: Path,
    photos: Path,
    name: str | None,
    out: Path | None,
    device: str,
    vgg_weights: Path | None,
    resume: bool,
    force: bool,
    **overrides: Any,  # one per recipe_option and painting key: click passes options by name
) -> None:
    """Teach PALETTE, a network of several styles, the style of PAINTING, and export it with one style more.

    Only scales and shifts of the new style are learnt, so that the others paint what they painted, bit for bit. PALETTE
    itself stays as it is.
    """
    check_torch_pair()
    from fststyle.training.add_style import trained_palette

    _, known = trained_palette(palette)
    recipe = larger_recipe(known, painting, name, overrides)
    folder = out or Path("runs") / recipe.styles[-1].name
    output = folder / f"{recipe.name}.onnx"
    if not (resume or force) and (output.exists() or (folder / LAST).exists()):
        raise OptionError(
            f"{folder} holds a run already; go on with --resume, replace it with --force, or choose --out"
        )
    run = Run(
        paintings=(painting,),
        photos=photos,
        out=folder,
        accelerator=device,
        vgg_weights=vgg_weights,
        extends=palette,
        resume=resume,
    )
    if train_and_export(context, recipe, run, output, figures=known_figures(palette)):
        click.echo(f"{output}\nTry it: fststyle stylize PHOTO --style {recipe.styles[-1].name}@{output}")


def larger_recipe(palette: Recipe, painting: Path, name: str | None, overrides: dict[str, Any]) -> Recipe:
    """The palette's recipe with one more style at its end.

    :raises OptionError: the palette has a style of that name, or a value is out of range.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    about = {key: given.pop(key) for key in PAINTING_KEYS if key in given}
    values = palette.to_dict()
    style = {"name": name or style_name(painting.stem), "file": painting.name, "painting": about, **given}
    return recipe_from_dict({**values, "styles": [*values["styles"], style]})


def known_figures(palette: str) -> dict[str, Any]:
    """What was measured of the palette's styles, which stays true; nothing for a checkpoint."""
    from fststyle.styles import find_style
    from fststyle.training.checkpoint import CHECKPOINT_SUFFIX

    return {} if palette.endswith(CHECKPOINT_SUFFIX) else dict(find_style(palette).metadata.get("figures", {}))
