"""``fststyle train``: paintings and a folder of photos go in, an ONNX file comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import click

from fststyle.errors import OptionError
from fststyle.nn.compatibility import check_torch_pair
from fststyle.training.recipe import Recipe, read_recipe, recipe_from_dict, style_name
from fststyle.training.run import LAST, Run

PAINTING_KEYS = ("title", "artist", "year", "licence", "source")
SIGNAL_EXIT = 128
DEFAULTS = {entry.name: entry.default for entry in dataclasses.fields(Recipe)}

Command = Callable[..., Any]


def recipe_option(flag: str, key: str, text: str, *, default: str | None = None) -> Callable[[Command], Command]:
    """An option that overrides one key of the recipe; its default is read from :class:`Recipe`, never repeated, unless
    ``default`` says where else it comes from.
    """
    kind, told = type(DEFAULTS[key]), DEFAULTS[key] if default is None else default
    return click.option(flag, key, type=kind, default=None, help=f"{text}  [default: {told}]", metavar=key.upper())


@click.command()
@click.argument("paintings", metavar="PAINTING...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--photos", required=True, type=click.Path(path_type=Path), help="Folder of photos to learn from, of any depth."
)
@click.option("--name", help="The style's name.  [default: from the painting's file; none for several]")
@click.option("--config", type=click.Path(path_type=Path), help="A recipe in YAML; other options override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the ONNX file and the checkpoint.  [default: runs/NAME]"
)
@recipe_option("--preset", "preset", "Size of the network: quality, balanced or realtime.")
@recipe_option("--steps", "steps", "How long to train.")
@recipe_option("--size", "size", "Side of the training crops in pixels.")
@recipe_option("--batch", "batch", "Photos per step.")
@recipe_option("--content-weight", "content_weight", "How much the photo counts.")
@recipe_option("--style-weight", "style_weight", "How much the painting counts.")
@recipe_option("--tv-weight", "tv_weight", "How much smoothness counts.")
@recipe_option("--stability-weight", "stability_weight", "How much keeping still counts: less flicker in videos.")
@recipe_option("--style-scale", "style_scale", "Brush size: the painting's short side over SIZE.")
@recipe_option("--optimizer", "optimizer", "muon or adam.")
@recipe_option("--learning-rate", "learning_rate", "Highest learning rate of Adam.")
@recipe_option("--start", "start", "Style or checkpoint of the same preset to start from: a fraction of the steps.")
@recipe_option("--vgg", "vgg", "Loss network: vgg16 or vgg19.")
@recipe_option("--precision", "precision", "auto, 32-true, bf16-mixed or 16-mixed.")
@recipe_option("--seed", "seed", "Seed of everything random.")
@click.option("--title", help="The painting's title, kept in the ONNX file.")
@click.option("--artist", help="The painting's artist.")
@click.option("--year", help="The painting's year.")
@click.option("--licence", help="The painting's licence.")
@click.option("--source", help="Where the painting was found.")
@click.option("--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True)
@click.option("--devices", default="auto", show_default=True, help="Number of GPUs, as Lightning's Trainer takes it.")
@click.option(
    "--vgg-weights",
    envvar="FSTSTYLE_VGG_WEIGHTS",
    type=click.Path(path_type=Path),
    help="File with the loss network's weights.",
)
@click.option("--compile/--no-compile", default=None, help="Use torch.compile.  [default: from 500 steps on]")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the --out folder.")
@click.option("--force", is_flag=True, help="Replace a run that is already in the --out folder.")
@click.pass_context
def train(
    context: click.Context,
    /,
    paintings: tuple[Path, ...],
    photos: Path,
    name: str | None,
    config: Path | None,
    out: Path | None,
    device: str,
    devices: str,
    vgg_weights: Path | None,
    compile: bool | None,  # click passes options by name
    resume: bool,
    force: bool,
    **overrides: Any,  # one per recipe_option and painting key: click passes options by name
) -> None:
    """Train a style on PAINTING and export it to ONNX.

    Several paintings make a palette: one network of all their styles, which can be mixed; --name names it, and the
    styles have the names of the files.

    SIGINT (Ctrl-C) and SIGTERM save a checkpoint before they stop; --resume goes on from it as if nothing had happened.
    """
    check_torch_pair()
    recipe, paintings = make_recipe(paintings, config, name, overrides)
    folder = out or Path("runs") / recipe.name
    output = folder / f"{recipe.name}.onnx"
    if not (resume or force):
        check_no_run(folder, output)
    run = Run(
        paintings=paintings,
        photos=photos,
        out=folder,
        accelerator=device,
        devices=int(devices) if devices.isdecimal() else devices,
        vgg_weights=vgg_weights,
        compile=compile,
        resume=resume,
    )
    if train_and_export(context, recipe, run, output):
        style = f"{recipe.styles[0].name}@{output}" if recipe.styles else output
        click.echo(f"{output}\nTry it: fststyle stylize PHOTO --style {style}")


def options_of_train(names: Collection[str]) -> list[click.Parameter]:
    """For commands that take some of this one's."""
    return [option for option in train.params if option.name in names]


def check_no_run(folder: Path, output: Path) -> None:
    """:raises OptionError: a run has been there already."""
    if output.exists() or (folder / LAST).exists():
        raise OptionError(
            f"{folder} holds a run already; go on with --resume, replace it with --force, or choose --out"
        )


def make_recipe(
    paintings: tuple[Path, ...], config: Path | None, name: str | None, overrides: dict[str, Any]
) -> tuple[Recipe, tuple[Path, ...]]:
    """The recipe of the options, over the one of ``config`` if there is one, and the paintings' files.

    :raises OptionError: neither names a painting, or a value is out of range.
    """
    base = read_recipe(config).to_dict() if config else {}
    if not paintings:
        if config is None:
            raise OptionError("which painting? give its file, or a recipe with --config that names one")
        files = [style["file"] for style in base.get("styles", [base])]
        paintings = tuple(config.parent / file for file in files)
    given = {key: value for key, value in overrides.items() if value is not None}
    about = {key: given.pop(key) for key in PAINTING_KEYS if key in given}
    if len(paintings) > 1 or base.get("styles"):
        return _palette(paintings, {**base, **given}, name, about), paintings
    (painting,) = paintings
    values = {
        **base,
        "file": painting.name,
        "name": name or base.get("name") or style_name(painting.stem),
        "painting": {**base.get("painting", {}), **about},
        **given,
    }
    return recipe_from_dict(values), paintings


def _palette(paintings: tuple[Path, ...], values: dict[str, Any], name: str | None, about: dict[str, str]) -> Recipe:
    """Styles that ``values`` holds already, known by their files, keep what is said of them there."""
    if about:
        raise OptionError(
            f"--{next(iter(about))} is said of one painting; a palette's recipe has it for each (--config)"
        )
    if not name and "styles" not in values:
        raise OptionError(f"{len(paintings)} paintings make a palette: give it a --name")
    known = {style["file"]: style for style in values.get("styles", ())}
    fresh = [{"name": style_name(painting.stem), "file": painting.name} for painting in paintings]
    styles = [known.get(style["file"], style) for style in fresh]
    rest = {key: value for key, value in values.items() if key not in ("file", "painting")}
    return recipe_from_dict({**rest, "name": name or values["name"], "styles": styles})


def train_and_export(
    context: click.Context, recipe: Recipe, run: Run, output: Path, *, figures: Mapping[str, Any] | None = None
) -> bool:
    """Whether there is a file now; where the run was stopped, the program ends with the signal's exit code."""
    from fststyle.training.export import export  # Lightning and ONNX take seconds to import: only when all is checked
    from fststyle.training.fit import fit

    fitted = fit(recipe, run)
    if not fitted.main:
        return False  # one process speaks and exports for all devices
    if fitted.skipped:
        click.echo(f"unusable photos: {len(fitted.skipped)}, listed in {run.skipped_list}", err=True)
    if fitted.stopped_by is not None:
        click.echo(f"stopped at step {fitted.step}; --resume goes on from {fitted.checkpoint}", err=True)
        context.exit(SIGNAL_EXIT + fitted.stopped_by)
    export(fitted.checkpoint, output, force=True, figures=figures)
    return True
