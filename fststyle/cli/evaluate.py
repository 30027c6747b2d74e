"""``fststyle evaluate``: how good a style is, in figures and pictures."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from fststyle.atomic import atomic_path, atomic_write, make_folder
from fststyle.cli.progress import Tell, iterations_bar, line_due
from fststyle.errors import OptionError
from fststyle.nn.compatibility import check_torch_pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fststyle.training.evaluate import Evaluation

ROWS = 4
"""Photos on the strip."""
REPORT, CURVES, STRIP, CARD = "evaluation.json", "curves.png", "strip.png", "card.md"


@click.command(short_help="Measure how good a style is.")
@click.argument("style", metavar="STYLE|FILE.onnx")
@click.option(
    "--painting", required=True, type=click.Path(path_type=Path), help="The painting that the style was trained on."
)
@click.option(
    "--photos", required=True, type=click.Path(path_type=Path), help="Folder of photos that it was not trained on."
)
@click.option("--count", type=int, default=10, show_default=True, help="How many of the photos, first by name.")
@click.option("--size", type=int, default=256, show_default=True, help="Side of the photos' middle squares in pixels.")
@click.option("--iterations", type=int, default=300, show_default=True, help="Of the iterative optimiser.")
@click.option("--no-iterative", is_flag=True, help="Leave the optimiser out, which takes nearly all the time.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file, for a style that carries no recipe.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Compare the file with this checkpoint, too.")
@click.option("--embed", "embedding", is_flag=True, help="Write the figures into the style's file.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder.  [default: NAME-evaluation]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--vgg-weights",
    envvar="FSTSTYLE_VGG_WEIGHTS",
    type=click.Path(path_type=Path),
    help="File with the loss network's weights.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bf16"]),
    default="float32",
    show_default=True,
    help="Of the optimiser's convolutions.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--threads", type=int, help="For the network.  [default: as many as there are cores]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise.")
def evaluate(
    style: str,
    painting: Path,
    photos: Path,
    count: int,
    size: int,
    iterations: int,
    no_iterative: bool,
    recipe: Path | None,
    checkpoint: Path | None,
    embedding: bool,
    output: Path | None,
    as_json: bool,
    vgg_weights: Path | None,
    precision: str,
    device: str,
    threads: int | None,
    seed: int,
) -> None:
    """Measure STYLE on photos that it was not trained on, against the optimiser that it stands in for. A style of a
    palette is named as anywhere: STYLE@PALETTE.

    DIR receives evaluation.json, a card in Markdown, the optimiser's curves and a strip of pictures. What the optimiser
    finds is kept in the cache, photo by photo: a run that was stopped goes on, and a network that was trained again is
    measured in seconds.
    """
    check_torch_pair()
    from fststyle.images import load_rgb
    from fststyle.nn.devices import torch_device
    from fststyle.serving.stylizer import Stylizer
    from fststyle.training.evaluate import Setting, load_photos, loss_recipe, recipe_of
    from fststyle.training.evaluate import evaluate as measure
    from fststyle.training.figures import embed, figures, report
    from fststyle.training.fit import painting_loss
    from fststyle.training.reference import DescentCache

    if no_iterative and embedding:
        raise OptionError("figures are embedded with the iterative optimiser's: leave out --no-iterative")
    if iterations < 1:
        raise OptionError(f"iterations must be at least 1, got {iterations}; --no-iterative leaves the optimiser out")
    place = torch_device(cast("Any", device))
    setting = Setting(
        size=size,
        count=count,
        iterations=0 if no_iterative else iterations,
        seed=seed,
        device=place.type,
        bfloat16=precision == "bf16",
    )
    stylizer = Stylizer(style, device=cast("Any", device), threads=threads)
    chosen = loss_recipe(recipe_of(stylizer.style, recipe), size)
    pictures = load_photos(photos, count=count, size=size)
    painted = load_rgb(painting)
    loss = painting_loss(chosen, painting, vgg_weights).to(place)
    check_memory_for(loss, setting)
    folder = output or Path(f"{stylizer.style.name}-evaluation")
    make_folder(folder)
    with progress() as told:
        found = measure(
            stylizer.style,
            chosen,
            stylizer.engine,
            loss,
            painting=painted,
            photos=pictures,
            setting=setting,
            cache=DescentCache(),
            checkpoint=checkpoint,
            told=told,
        )
    told_all = report(found)
    write_files(found, told_all, painted, folder)
    if embedding:
        embed(stylizer.style, figures(found))
    click.echo(json.dumps(told_all, indent=2) if as_json else summary(found, folder))


def check_memory_for(loss: Any, setting: Any) -> None:
    """:raises DeviceError: the optimiser would need more memory than there is."""
    import torch

    from fststyle.iterative.memory import bytes_per_pixel, check_memory
    from fststyle.training.reference import HISTORY

    per_pixel = bytes_per_pixel(loss.vgg, history=HISTORY if setting.iterations else 1, bfloat16=setting.bfloat16)
    check_memory((setting.size, setting.size), per_pixel, torch.device(setting.device))


def write_files(found: Evaluation, report: Mapping[str, Any], painting: NDArray[np.uint8], folder: Path) -> None:
    """:raises OutputError: they cannot be written."""
    from fststyle.training.evaluation_card import card, write_curves

    if found.descents:
        write_curves(found, folder / CURVES)
    with atomic_path(folder / STRIP) as temporary:
        strip(found, painting).save(temporary, format="PNG")
    text = card(found, curves=CURVES if found.descents else None, strip=STRIP)
    atomic_write(folder / CARD, text.encode())
    atomic_write(folder / REPORT, json.dumps(report, indent=1, ensure_ascii=False).encode())


def strip(found: Evaluation, painting: NDArray[np.uint8]) -> Any:
    """A Pillow image: a row for each of the first photos, from the photo over the network's to the optimiser's."""
    from PIL import Image

    from fststyle.serving.sheet import Tile, contact_sheet

    rows: list[list[Tile]] = []
    for number, (photo, result) in enumerate(zip(found.photos[:ROWS], found.results, strict=False)):
        pictures = {"photo": photo, "painting": painting, "fast network": result}
        if found.descents:
            kept = found.descents["noise"][number].pictures
            pictures |= {f"{iteration} iterations": pixels for iteration, pixels in sorted(kept.items())}
        label = not rows
        rows.append([Tile(Image.fromarray(pixels), name if label else "") for name, pixels in pictures.items()])
    return contact_sheet(rows, cell=found.setting.size)


def summary(found: Evaluation, folder: Path) -> str:
    from fststyle.training.evaluate import mean_losses
    from fststyle.training.figures import iterations_text

    network, photo = (mean_losses(losses)["total"] for losses in (found.network, found.untouched))
    lines = [f"loss: network {network:.3f}, untouched photo {photo:.3f}"]
    if found.descents:
        iterations = found.setting.iterations
        noise, start = (iterations_text(found.equivalent(name), iterations) for name in ("noise", "photo"))
        lines.append(f"equivalent iterations: {noise} from white noise, {start} from the photo")
    faults = [f"{entry.detector} {entry.figure:.2f}" for entry in found.findings if entry.passed is False]
    lines.append(f"faults: {', '.join(faults) or 'none'}")
    return "\n".join([*lines, str(folder / CARD)])


@contextlib.contextmanager
def progress() -> Iterator[Tell]:
    """A bar on standard error; a line now and then where it is no terminal."""
    if sys.stderr.isatty():
        with iterations_bar(transient=True) as tell:
            yield tell
        return
    due = line_due()

    def tell_line(done: int, total: int, text: str) -> None:
        if due():
            click.echo(f"iteration {done} of {total}: {text}", err=True)

    yield tell_line
