"""What sharing a network costs: a palette's styles against networks of their own, trained with as many steps a style.

    python benchmarks/palette_losses.py PALETTE --paintings DIR --photos DIR --held-out DIR [--style NAME ...]
                                        [--out DIR] [--count 8]

For each style a network of the palette's preset is trained from random weights with the palette's own numbers, for as
many steps as the palette has given the style: its steps over its rows, the photo's included. Both are measured by the
style's own loss on held-out photos. With ``--out`` what is trained is kept there, and taken from there next time. Ends
with the sizes of the files.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from style_losses import compare

from fststyle.machine import describe_machine
from fststyle.styles import StyleInfo, find_style
from fststyle.training.checkpoint import exported_recipe
from fststyle.training.detectors import Pictures
from fststyle.training.evaluate import load_photos
from fststyle.training.export import export
from fststyle.training.fit import fit
from fststyle.training.recipe import Recipe
from fststyle.training.run import Run

SIZE = 256


def single_recipe(palette: Recipe, style: Recipe) -> Recipe:
    """A network for one style alone, with the palette's steps for it."""
    return replace(style, steps=round(palette.steps / palette.rows), start="")


def trained(recipe: Recipe, painting: Path, photos: Path, folder: Path) -> Path:
    output = folder / f"{recipe.name}.onnx"
    if not output.exists():
        run = Run((painting,), photos, folder / recipe.name, sample_every=10 * recipe.steps, quiet=True)
        export(fit(recipe, run).checkpoint, output)
    return output


def race(palette: StyleInfo, names: Sequence[str], arguments: argparse.Namespace, folder: Path) -> list[Path]:
    """Prints a line for each style and gives the files of the single networks."""
    recipe = exported_recipe(palette)
    _, photos = load_photos(arguments.held_out, count=arguments.count, size=SIZE)
    files, ratios = [], []
    for style in recipe.styles:
        if names and style.name not in names:
            continue
        painting = arguments.paintings / style.file
        files.append(trained(single_recipe(recipe, style), painting, arguments.photos, folder))
        ratios.append(ratio(palette, style.name, files[-1], painting, photos))
    print(f"mean {statistics.fmean(ratios):.3f}, highest {max(ratios):.3f}")
    return files


def ratio(palette: StyleInfo, name: str, single: Path, painting: Path, photos: Pictures) -> float:
    alone, shared = compare([single, f"{name}@{palette.path}"], painting, photos)
    losses = f"palette {shared.losses['total']:.3f}, alone {alone.losses['total']:.3f}, photo {alone.photo:.3f}"
    print(f"  {name:<32} {losses}; ratio {shared.ratio:.3f}", flush=True)
    return shared.ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("palette", help="a name or a file")
    parser.add_argument("--paintings", type=Path, required=True, help="folder with the files that its recipe names")
    parser.add_argument("--photos", type=Path, required=True, help="folder to train on")
    parser.add_argument("--held-out", type=Path, required=True, help="folder or list of other photos, to measure on")
    parser.add_argument("--style", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--out", type=Path, help="keep the single networks there")
    parser.add_argument("--count", type=int, default=8)
    arguments = parser.parse_args()
    palette = find_style(arguments.palette)
    print(describe_machine("torch", "pytorch-lightning", "onnxruntime-gpu", "onnxruntime"))
    with tempfile.TemporaryDirectory() as temporary:
        files = race(palette, arguments.style, arguments, arguments.out or Path(temporary))
        single = statistics.fmean(file.stat().st_size for file in files)
    inside = len(palette.styles) - 1
    print(f"files: palette {palette.bytes / 1e3:.0f} kB for {inside} styles, alone {single / 1e3:.0f} kB each")
    print(f"palette over 1.2 files and 10 kB a style: {palette.bytes / (1.2 * single + 10e3 * inside):.2f}")


if __name__ == "__main__":
    main()
