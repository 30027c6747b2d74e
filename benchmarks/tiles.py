"""What tiles cost in time, and what they keep of memory.

    python benchmarks/tiles.py [--style NAME|FILE.onnx] [--size 3000x2000] [--steps 3] [--threads N]
                               [--memory-size 12000x8000] [--no-memory]

Time: the network on an array of ``--size``, whole and in tiles (statistics, sessions and stitching included), taking
turns in processes of their own. The figure is the ratio of their median rates; at the default size the thumbnail for
the statistics is a good tenth of the work, of a gigapixel it is nothing. Whole, a megapixel takes about a gigabyte.
Memory: the largest resident size of a process that runs the whole way, ``fststyle stylize`` from a JPEG of
``--memory-size`` to a JPEG.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from cold_start import photograph
from in_turn import Racer, in_turn
from PIL import Image

from fststyle import Stylizer
from fststyle.images import MAX_PIXELS, picture_size
from fststyle.machine import describe_machine
from fststyle.serving.tile_choice import Tile

WANTED_RATIO, LARGEST_BYTES = 0.8, 1.5e9


class Network(Racer):
    def __init__(self, style: str, size: tuple[int, int], threads: int | None, tile: Tile) -> None:
        self._stylizer, self._tile = Stylizer(style, device="cpu", threads=threads), tile
        self._picture = np.asarray(photograph(1024).resize(size, Image.Resampling.BICUBIC))
        self._stylizer(self._picture[:64, :64], tile=tile)

    def step(self) -> None:
        self._stylizer(self._picture, tile=self._tile)


def print_speed(style: str, size: tuple[int, int], threads: int | None, steps: int, side: int) -> bool:
    racers = {name: partial(Network, style, size, threads, tile) for name, tile in (("whole", "off"), ("tiles", side))}
    taken = in_turn(racers, steps)
    pixels = size[0] * size[1]
    seconds = {name: statistics.median(found.seconds) for name, found in taken.items()}
    processor = {name: statistics.median(found.processor) for name, found in taken.items()}
    print(f"{style}, {size[0]} x {size[1]} pixels, {steps} steps in turn, medians")
    for name in racers:
        rate = pixels / seconds[name] / 1e6
        print(f"  {name:5}  {rate:.3f} megapixels/s  {processor[name] / pixels * 1e6:.2f} s of processor a megapixel")
    ratio = seconds["whole"] / seconds["tiles"]
    work = processor["whole"] / processor["tiles"]
    print(f"  ratio of rates {ratio:.2f} (by processor time {work:.2f}), wanted at least {WANTED_RATIO}")
    return ratio >= WANTED_RATIO


def print_memory(style: str, size: tuple[int, int], threads: int | None) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        photo, output = Path(folder) / "photo.jpg", Path(folder) / "out.jpg"
        # In a process of its own: what this one ever held would count as the command's.
        maker = multiprocessing.get_context("spawn").Process(target=make_photo, args=(photo, size))
        maker.start()
        maker.join()
        command = [sys.executable, "-m", "fststyle", "stylize", str(photo), "--style", style, "-o", str(output)]
        command += ["--max-pixels", str(max(MAX_PIXELS, size[0] * size[1]))]
        command += ["--device", "cpu", "--tile", "auto", *(["--threads", str(threads)] if threads else [])]
        started = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"the command ended with {process.returncode}")
        kept = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        assert picture_size(output, max_pixels=size[0] * size[1]) == size
    rate = size[0] * size[1] / seconds / 1e6
    processor = usage.ru_utime + usage.ru_stime
    print(f"{style}, {size[0]} x {size[1]} from JPEG to JPEG: {seconds:.0f} s, {rate:.3f} megapixels/s")
    print(f"  {processor:.0f} s of processor")
    print(f"  largest resident size {kept / 1e6:.0f} MB, wanted at most {LARGEST_BYTES / 1e6:.0f}")
    return kept <= LARGEST_BYTES


def make_photo(path: Path, size: tuple[int, int]) -> None:
    photograph(1024).resize(size, Image.Resampling.BICUBIC).save(path, quality=95)


def sides(text: str) -> tuple[int, int]:
    width, height = map(int, text.lower().split("x"))
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry_night")
    parser.add_argument("--size", type=sides, default=(3000, 2000))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tile", type=int, help="side in pixels  [default: what --tile auto takes]")
    parser.add_argument("--memory-size", type=sides, default=(12000, 8000))
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    arguments = parser.parse_args()
    print(describe_machine("onnxruntime-gpu", "onnxruntime", "numpy", "pillow"))
    side = arguments.tile or automatic_side(arguments.style)
    met = [arguments.no_speed or print_speed(arguments.style, arguments.size, arguments.threads, arguments.steps, side)]
    met.append(arguments.no_memory or print_memory(arguments.style, arguments.memory_size, arguments.threads))
    sys.exit(not all(met))


def automatic_side(style: str) -> int:
    from fststyle.serving.graph import read_graph
    from fststyle.serving.receptive_field import receptive_field
    from fststyle.serving.tiles import side_for
    from fststyle.styles import find_style

    return side_for(receptive_field(read_graph(find_style(style).path)))


if __name__ == "__main__":
    main()
