"""Make the shipped styles again, all or some: recipe -> training -> checked ONNX file -> digests and table.

    python train/make_styles.py --paintings PAINTINGS --photos PHOTOS [STYLE ...]
    python train/make_styles.py --index-only

Unfinished runs lie in ``runs/styles/<style>/`` and are gone on with, unless the recipe has changed.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from fststyle.atomic import atomic_write
from fststyle.errors import FststyleError, InputError, OptionError, did_you_mean, outcome
from fststyle.mixes import Mix
from fststyle.styles import PHOTO, StyleInfo, find_style

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "train" / "recipes"
CHECKPOINTS = ROOT / "checkpoints"
TABLE_MARK = "<!-- The table below is written by train/make_styles.py: do not edit it by hand. -->\n"
INTERRUPTED = 128
"""Plus the signal's number: what a shell reports of a program that a signal ended."""


class StoppedError(Exception):
    """Training was stopped by a signal, whose number this carries; its checkpoint is kept."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("styles", nargs="*", metavar="STYLE", help="only these (default: one for every recipe)")
    options.add_argument("--paintings", type=Path, help="folder with the files that the recipes name")
    options.add_argument("--photos", type=Path, help="folder of photos to train on")
    options.add_argument("--runs", type=Path, default=ROOT / "runs" / "styles", help="where training keeps its state")
    options.add_argument("--preview-photo", type=Path, help="photo for the small preview inside each file")
    options.add_argument("--index-only", action="store_true", help="train nothing; renew SHA256SUMS and the table")
    return options


def recipe_files(names: Sequence[str]) -> list[Path]:
    """The recipes of the styles named, or all; :class:`~fststyle.errors.OptionError` for a name that has none."""
    files = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    for name in names:
        if name not in files:
            raise OptionError(f"no recipe for {name!r}; recipes: {', '.join(files)}{did_you_mean(name, files)}")
    return [files[name] for name in names] if names else [*files.values()]


def in_order(files: Iterable[Path]) -> list[Path]:
    """Those that start from another style's network come after those that start afresh."""
    from fststyle.training.recipe import read_recipe

    return sorted(files, key=lambda file: bool(read_recipe(file).start))


def make(recipe_file: Path, arguments: argparse.Namespace) -> Path:
    """Train the style of one recipe, or finish training it, and put its ONNX file into ``checkpoints/``.

    :raises StoppedError: a signal stopped the training.
    """
    from fststyle.training.export import export  # torch and Lightning: not needed for --index-only
    from fststyle.training.fit import fit
    from fststyle.training.recipe import read_recipe
    from fststyle.training.run import Run

    recipe = read_recipe(recipe_file)
    paintings = tuple(arguments.paintings / style.file for style in (recipe.styles or (recipe,)))
    for painting in paintings:
        if not painting.is_file():
            raise InputError(f"a painting of {recipe.name!r} is not there: {painting}")
    run = Run(paintings=paintings, photos=arguments.photos, out=arguments.runs / recipe.name)
    fitted = fit(recipe, dataclasses.replace(run, resume=run.checkpoint.exists()))
    if fitted.stopped_by is not None:
        raise StoppedError(fitted.stopped_by)
    output = CHECKPOINTS / f"{recipe.name}.onnx"
    return export(fitted.checkpoint, output, force=True, preview_photo=arguments.preview_photo)


def digests(styles: Iterable[StyleInfo]) -> str:
    """The lines of ``SHA256SUMS``, as ``sha256sum`` writes them."""
    return "".join(f"{style.sha256}  {style.path.name}\n" for style in styles)


def table(styles: Iterable[StyleInfo]) -> str:
    """A Markdown table from what each file says of itself."""
    rows = [
        "| style | painting | licence | preset | training | equivalent iterations | loss: network / photo | parameters "
        "| file |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for style in styles:
        recipe = style.metadata["recipe"]
        training = f"{recipe['steps']:,} steps of {recipe['batch']} at {recipe['size']} px"
        size = f"{style.metadata['parameters']:,} | {style.bytes / 1e6:.1f} MB"
        if style.styles:
            about = f"{len(style.styles) - 1} styles in one network | | {style.preset} | {training} | - | - | {size}"
            rows.append(f"| `{style.name}` | {about} |")
            training, size = "", "| "
        for alone, name in each_alone(style):
            painting = str(alone.painting).replace("|", "\\|")
            about = f"{painting} | {alone.painting.licence}"
            rows.append(f"| `{name}` | {about} | {style.preset} | {training} | {measured(alone)} | {size} |")
    return "\n".join(rows) + "\n"


def each_alone(style: StyleInfo) -> list[tuple[StyleInfo, str]]:
    """The style, or each of a palette's but the photo, with what it is asked for by."""
    if not style.styles:
        return [(style, style.name)]
    return [(style.mixed(Mix({name: 1.0})), f"{name}@{style.name}") for name in style.styles if name != PHOTO]


def measured(style: StyleInfo) -> str:
    """Two cells: equivalent iterations from white noise, and mean losses; "-" for a style that was not measured."""
    stored = style.metadata.get("figures", {})
    figures = (stored.get("styles", {}).get(style.name, {}) if style.styles else stored).get("evaluation")
    if figures is None:
        return "- | -"
    equivalent, losses = figures["equivalent_iterations"]["noise"], figures["loss"]
    iterations = f"more than {figures['iterations']}" if equivalent is None else str(equivalent)
    return f"{iterations} | {losses['network']['total']:.2f} / {losses['photo']['total']:.2f}"


def checkpoints(folder: Path = CHECKPOINTS) -> list[StyleInfo]:
    return [find_style(path) for path in sorted(folder.glob("*.onnx"))]


def write_index(folder: Path = CHECKPOINTS) -> None:
    """Renew ``SHA256SUMS`` and the table at the end of ``README.md``; what the README says above the mark stays."""
    styles = checkpoints(folder)
    readme = folder / "README.md"
    above, mark, _ = readme.read_text(encoding="utf-8").partition(TABLE_MARK)
    if not mark:
        raise InputError(f"{readme} has lost the line that the table stands below: {TABLE_MARK.strip()}")
    atomic_write(readme, f"{above}{mark}\n{table(styles)}".encode())
    atomic_write(folder / "SHA256SUMS", digests(styles).encode())


def run(arguments: argparse.Namespace) -> None:
    if not arguments.index_only:
        if arguments.paintings is None or arguments.photos is None:
            raise OptionError("give --paintings and --photos, or --index-only")
        for recipe_file in in_order(recipe_files(arguments.styles)):
            print(make(recipe_file, arguments))
            write_index()  # at once: a file whose digest is not listed counts as damaged
    else:
        write_index()


def main() -> int:
    try:
        run(parser().parse_args())
    except FststyleError as error:
        print(f"make_styles: error: {error}", file=sys.stderr)
        return outcome(error).exit_code
    except StoppedError as stop:
        print("make_styles: stopped; run it again to go on", file=sys.stderr)
        return INTERRUPTED + stop.signal_number
    return 0


if __name__ == "__main__":
    sys.exit(main())
