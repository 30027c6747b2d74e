"""``fststyle tune``: short trainings at several weights and scales, their sheet, and a long one from the best."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fststyle.atomic import atomic_write
from fststyle.cli.train import SIGNAL_EXIT, make_recipe, options_of_train
from fststyle.errors import OptionError
from fststyle.nn.compatibility import check_torch_pair
from fststyle.training.grid import Grid, Probe
from fststyle.training.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fststyle.training.probe_figures import Measured
    from fststyle.training.run import Fitted
    from fststyle.training.tune import Tuning

DEFAULTS = Grid()
FIGURES, SHEET = "figures.json", "sheet.png"
OPTIONS_OF_TRAIN = (
    *("photos", "name", "config", "out", "preset", "steps", "size", "batch", "content_weight", "tv_weight"),
    *("optimizer", "learning_rate", "start", "vgg", "precision", "seed", "title", "artist", "year", "licence"),
    *("source", "device", "vgg_weights", "compile"),
)
ONCE = ("pick", "force")
"""Options that the command which goes on does not repeat."""


def numbers_text(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)


@click.command()
@click.argument("painting", required=False, type=click.Path(path_type=Path))
@click.option(
    "--style-weights",
    default=numbers_text(DEFAULTS.style_weights),
    show_default=True,
    metavar="LIST",
    help="How much the painting counts.",
)
@click.option(
    "--style-scales",
    default=numbers_text(DEFAULTS.style_scales),
    show_default=True,
    metavar="LIST",
    help="Brush sizes: the painting's short side over SIZE.",
)
@click.option("--probe-steps", type=int, default=DEFAULTS.steps, show_default=True, help="How long to train each.")
@click.option(
    "--probe-size", type=int, default=DEFAULTS.size, show_default=True, help="Side of the probes' crops, at most SIZE."
)
@click.option("--held-out", type=click.Path(path_type=Path), help="Folder of photos to show.  [default: some of DIR]")
@click.option("--count", type=int, default=DEFAULTS.count, show_default=True, help="How many photos to show.")
@click.option("--pick", type=int, metavar="NUMBER", help="Train on from this probe.  [default: ask, on a terminal]")
@click.option("--force", is_flag=True, help="Replace what the --out folder holds with other settings.")
@click.pass_context
def tune(
    context: click.Context,
    /,
    painting: Path | None,
    photos: Path,
    name: str | None,
    config: Path | None,
    out: Path | None,
    style_weights: str,
    style_scales: str,
    probe_steps: int,
    probe_size: int,
    held_out: Path | None,
    count: int,
    pick: int | None,
    force: bool,
    device: str,
    vgg_weights: Path | None,
    compile: bool | None,  # click passes options by name
    **overrides: Any,  # one per option of the recipe: click passes options by name
) -> None:
    """Choose style weight and scale for PAINTING by eye, then train it.

    A probe, a short training, is made for each weight and scale of the lists. OUT/probes/sheet.png shows what they make
    of photos that none was trained on, with content, style and total-variation losses that compare between weights. The
    probe that you pick is trained on and exported, as `fststyle train` does.

    SIGINT (Ctrl-C) and SIGTERM save a checkpoint before they stop; the same command goes on from it.
    """
    check_torch_pair()
    from fststyle.training.tune import Tuning, output, prepare, train_probes, training

    grid = Grid(
        style_weights=numbers("--style-weights", style_weights),
        style_scales=numbers("--style-scales", style_scales),
        steps=probe_steps,
        size=probe_size,
        count=count,
    )
    picked = None if pick is None else grid.probe(pick)
    recipe, paintings = make_recipe((painting,) if painting else (), config, name, overrides)
    run = Run(
        paintings=paintings,
        photos=photos,
        out=out or Path("runs") / recipe.name,
        accelerator=device,
        devices=1,
        vgg_weights=vgg_weights,
        compile=compile,
    )
    tuning = Tuning(recipe, run, grid, held_out)
    if picked:
        training(tuning, picked, force=force)  # whether its place is free, before hours of work
    prepare(tuning, force=force)
    _end_if_stopped(context, train_probes(tuning, lambda text: click.echo(text, err=True)))
    show(tuning)
    picked = picked or ask(grid)
    if picked is None:
        click.echo(f"To go on from one of them: {command_with_pick(context)}")
        return
    _train_on(context, tuning, picked, force)
    click.echo(f"{output(tuning)}\nTry it: fststyle stylize PHOTO --style {output(tuning)}")


tune.params += options_of_train(OPTIONS_OF_TRAIN)


def numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"{flag} takes numbers with commas between them, such as 2,5,12; got {text!r}") from None


def show(tuning: Tuning) -> None:
    """Write the sheet and the figures, and print them."""
    from fststyle.cli.tune_sheet import tuning_sheet
    from fststyle.images import from_pillow
    from fststyle.serving.picture_file import write
    from fststyle.training.probe_figures import figures, held_out_squares, measure

    photos = held_out_squares(tuning)
    found = measure(tuning, photos)
    picture = tuning_sheet(tuning, photos, found)
    target, file = tuning.folder / SHEET, tuning.folder / FIGURES
    write(from_pillow(picture), target, force=True, keep_metadata=False)
    atomic_write(file, json.dumps(figures(tuning, found), indent=1, ensure_ascii=False).encode())
    click.echo("\n".join([*table(found), f"sheet: {target}", f"figures: {file}"]))


def table(found: Sequence[Measured]) -> list[str]:
    lines = ["probe  weight  scale  content   style      tv"]
    for entry in found:
        probe, mean = entry.probe, entry.mean
        lines.append(
            f"{probe.number:5}  {probe.style_weight:6g}  {probe.style_scale:5g}  "
            f"{mean['content']:7.3f} {mean['style']:7.3f} {mean['total_variation']:7.3f}"
        )
    return lines


def ask(grid: Grid) -> Probe | None:
    """The probe that someone at the terminal picks; None for none, or where there is no terminal."""
    if not sys.stdin.isatty():
        return None
    while True:
        text = click.prompt("Number of the probe to train on, Enter to stop", default="", show_default=False, err=True)
        if not text.strip():
            return None
        try:
            return grid.probe(int(text))
        except ValueError:
            click.echo(f"not a number: {text.strip()!r}", err=True)
        except OptionError as error:
            click.echo(str(error), err=True)


def command_with_pick(context: click.Context) -> str:
    """What was typed, and --pick."""
    words = ["fststyle", "tune"]
    for parameter in context.command.params:
        key = str(parameter.name)
        if key in ONCE or context.get_parameter_source(key) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[key]
        if isinstance(parameter, click.Option):
            words.append((parameter.secondary_opts if value is False else parameter.opts)[0])
        if not isinstance(value, bool):
            words.append(str(value))
    return f"{shlex.join(words)} --pick NUMBER"


def _train_on(context: click.Context, tuning: Tuning, probe: Probe, force: bool) -> None:
    from fststyle.training.export import export
    from fststyle.training.fit import fit
    from fststyle.training.tune import output, training

    recipe, run = training(tuning, probe, force=force)
    click.echo(f"training on from probe {probe.number}: {probe}", err=True)
    fitted = fit(recipe, run)
    if fitted.skipped:
        click.echo(f"unusable photos: {len(fitted.skipped)}, listed in {run.skipped_list}", err=True)
    _end_if_stopped(context, fitted, f" --pick {probe.number}")
    export(fitted.checkpoint, output(tuning), force=True)


def _end_if_stopped(context: click.Context, fitted: Fitted | None, more: str = "") -> None:
    if fitted is not None and fitted.stopped_by is not None:
        again = f"the same command{' with' + more if more else ''} goes on from {fitted.checkpoint}"
        click.echo(f"stopped at step {fitted.step}; {again}", err=True)
        context.exit(SIGNAL_EXIT + fitted.stopped_by)
