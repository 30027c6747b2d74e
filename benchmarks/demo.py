"""Every shipped style on real photographs: one labelled contact sheet, and a table of how long each picture took.

    python benchmarks/demo.py [--output demo]

writes ``contact_sheet.png`` and ``times.md`` into the folder. A time is the median of three runs of the whole way from
pixels to pixels, after the start-up: loading the file and stylising a first picture, which warms up.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sample_pictures import photographs

from fststyle import Stylizer
from fststyle.atomic import atomic_path, atomic_write, make_folder
from fststyle.errors import FststyleError, StyleNotFoundError, outcome
from fststyle.images import load_rgb
from fststyle.machine import describe_machine
from fststyle.serving.sheet import Tile, contact_sheet
from fststyle.style_folders import shipped_folder
from fststyle.styles import StyleInfo, read_style

CELL = 256
RUNS = 3

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Result:
    """One style on all photographs; times in seconds."""

    style: StyleInfo
    provider: str
    start_up: float
    pictures: list[Pixels]
    times: list[float]


def stylise(style: StyleInfo, photos: Iterable[Pixels]) -> Result:
    first, *_ = photos = list(photos)
    started = time.perf_counter()
    stylizer = Stylizer(style.path)
    stylizer(first)
    start_up = time.perf_counter() - started
    timed = [_timed(stylizer, photo) for photo in photos]
    return Result(
        style, stylizer.engine.provider, start_up, [picture for picture, _ in timed], [took for _, took in timed]
    )


def _timed(stylizer: Stylizer, photo: Pixels) -> tuple[Pixels, float]:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        picture = stylizer(photo)
        times.append(time.perf_counter() - started)
    return picture, statistics.median(times)


def times_table(results: list[Result], photos: dict[str, Pixels]) -> str:
    sizes = [f"{name} {photo.shape[1]} x {photo.shape[0]}" for name, photo in photos.items()]
    lines = [
        f"Milliseconds a picture: median of {RUNS}, pixels to pixels. Start-up: load the file and do a first picture.",
        "",
        describe_machine("fststyle", "onnxruntime", "onnxruntime-gpu", "numpy", "pillow"),
        "",
        f"| style | preset | runs on | start-up | {' | '.join(sizes)} |",
        "|---|---|---|---:|" + "---:|" * len(photos),
    ]
    for result in results:
        cells = [f"{took * 1000:.0f}" for took in (result.start_up, *result.times)]
        lines.append(f"| {result.style.name} | {result.style.preset} | {result.provider} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def sheet(results: list[Result], photos: dict[str, Pixels]) -> Image.Image:
    """A row for each photo; the photo itself, then every style's picture of it."""
    rows = [
        [Tile(Image.fromarray(photo), name)]
        + [Tile(Image.fromarray(result.pictures[row]), result.style.name) for result in results]
        for row, (name, photo) in enumerate(photos.items())
    ]
    return contact_sheet(rows, cell=CELL)


def run(output: Path) -> None:
    styles = [read_style(path, origin="shipped") for path in sorted(shipped_folder().glob("*.onnx"))]
    if not styles:
        raise StyleNotFoundError(f"no styles in {shipped_folder()}")
    photos = {path.stem: load_rgb(path) for path in photographs()}
    results = []
    for style in styles:
        print(f"{style.name}: {style.painting}", flush=True)
        results.append(stylise(style, photos.values()))
    table = times_table(results, photos)
    make_folder(output)
    with atomic_path(output / "contact_sheet.png") as temporary:
        sheet(results, photos).save(temporary, format="PNG")
    atomic_write(output / "times.md", table.encode())
    print(f"\n{table}\n{output / 'contact_sheet.png'}\n{output / 'times.md'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo"))
    try:
        run(parser.parse_args().output)
    except FststyleError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return outcome(error).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
