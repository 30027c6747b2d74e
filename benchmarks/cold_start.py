"""What the program adds to a bare script, from a cold start: one photo, stylised from the shell.

    python benchmarks/cold_start.py [--style NAME|FILE.onnx] [--size 512] [--runs 9]

The bare script imports ONNX Runtime, NumPy and Pillow, opens the photo, runs the same ONNX file on the CPU and saves a
JPEG: the least that does the job. The two take turns, each run is a new process with no file written yet, and the
figure is the ratio of their median wall times. Python's byte code is compiled once before.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from fststyle.machine import describe_machine
from fststyle.styles import find_style

BARE = """
import sys
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = np.asarray(Image.open(sys.argv[2]).convert("RGB"))[None]
Image.fromarray(session.run(None, {"image": image})[0][0]).save(sys.argv[3], quality=95)
"""
LIMIT = 1.5


def photograph(size: int) -> Image.Image:
    """A square picture with gradients, edges and grain, as a photograph has them; no file is needed for it."""
    random = np.random.default_rng(0)
    clouds = Image.fromarray(random.integers(0, 256, (7, 7, 3), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    blocks = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.NEAREST
    )
    mixed = np.asarray(Image.blend(clouds, blocks, 0.3)) + random.normal(0, 4, (size, size, 3))
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def wall_time(command: list[str], output: Path) -> float:
    """Seconds from the start of the process to its end; the output is removed again."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    elapsed = time.perf_counter() - started
    output.unlink()
    return elapsed


def measure(style: Path, size: int, runs: int) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        photo, output = Path(folder) / "photo.jpg", Path(folder) / "out.jpg"
        photograph(size).save(photo, quality=95)
        program = [sys.executable, "-m", "fststyle", "stylize", str(photo), "--style", str(style), "-o", str(output)]
        bare = [sys.executable, "-c", BARE, str(style), str(photo), str(output)]
        for command in (program, bare):
            wall_time(command, output)
        pairs = [(wall_time(bare, output), wall_time(program, output)) for _ in range(runs)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry_night")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    style = find_style(arguments.style)
    print(describe_machine("onnxruntime-gpu", "onnxruntime", "numpy", "pillow", "click"))
    bare, program = measure(style.path, arguments.size, arguments.runs)
    print(f"{style.name} ({style.preset}), {arguments.size} px square, {arguments.runs} cold starts of each in turn")
    for name, times in (("bare script", bare), ("fststyle stylize", program)):
        print(f"  {name:<17} median {statistics.median(times):.3f} s  ({min(times):.3f} to {max(times):.3f})")
    ratio = statistics.median(program) / statistics.median(bare)
    print(f"  ratio {ratio:.2f}, wanted at most {LIMIT}")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
