"""``fststyle add-style``: a palette and one more painting go in, the palette with one more style comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fststyle.cli.train import PAINTING_KEYS, check_no_run, options_of_train, recipe_option, train_and_export
from fststyle.nn.compatibility import check_torch_pair
from fststyle.training.recipe import Recipe, recipe_from_dict, style_name
from fststyle.training.run import Run

STEPS = Recipe.steps // 10
"""A tenth of what a style takes that begins with nothing."""
OPTIONS_OF_TRAIN = ("photos", *PAINTING_KEYS, "device", "vgg_weights", "resume", "force")


@click.command()
@click.argument("palette", metavar="PALETTE|FILE.onnx")
@click.argument("painting", type=click.Path(path_type=Path))
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
    if not (resume or force):
        check_no_run(folder, output)
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


add_style.params += options_of_train(OPTIONS_OF_TRAIN)


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
