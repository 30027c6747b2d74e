"""What a folder costs beyond the network: pictures a second of a batch, as a share of what the engine alone reaches.

    python benchmarks/folder_speed.py [--style NAME|FILE.onnx] [--pictures 24] [--megapixels 12] [--max-size 1024]

The folder holds JPEGs of a camera's size, each scaled to ``--max-size`` when it is decoded. The two take turns: the
engine runs arrays of the size that comes out, and the batch runs the whole way from files to files, written and flushed
to disk. The figure is the ratio of their median rates; both are warm, and loading the network is in neither.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from cold_start import photograph
from PIL import Image

from fststyle import Stylizer
from fststyle.images import read_picture
from fststyle.machine import describe_machine
from fststyle.serving.folder import find_photos
from fststyle.serving.look import Look
from fststyle.serving.pipeline import run_jobs
from fststyle.serving.plan import Planner

WANTED = 0.9
ROUNDS = 3


def camera_photos(folder: Path, count: int, megapixels: float) -> None:
    """JPEGs of the shape 4:3; all show the same, under names of their own."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    image = photograph(1024).resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 3, (image.height, image.width, 1))
    Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)).save(folder / "0.jpg", quality=92)
    for number in range(1, count):
        shutil.copyfile(folder / "0.jpg", folder / f"{number}.jpg")


def batch_rate(stylizer: Stylizer, photos: Path, output: Path, look: Look) -> float:
    """Pictures a second, from files to files."""
    started = time.perf_counter()
    planner = Planner([str(photos)], str(output), styles=[stylizer.style], look=look)
    jobs = planner.plan(find_photos([str(photos)], str(output))).jobs
    assert planner.journal is not None
    with planner.journal.kept([output]):
        for result in run_jobs({stylizer.style.name: stylizer}, jobs, look, write=planner.write):
            if result.error is not None:
                raise result.error
    rate = len(jobs) / (time.perf_counter() - started)
    shutil.rmtree(output)
    return rate


def engine_rate(stylizer: Stylizer, picture: np.ndarray, count: int) -> float:
    """Pictures a second, from arrays to arrays."""
    started = time.perf_counter()
    for _ in range(count):
        stylizer.engine(picture)
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry_night")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--max-size", type=int, default=1024)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    stylizer = Stylizer(arguments.style, device=arguments.device, threads=arguments.threads)
    print(describe_machine("onnxruntime-gpu", "onnxruntime", "numpy", "pillow"))
    look = Look(max_size=arguments.max_size)
    with tempfile.TemporaryDirectory() as name:
        photos, output = Path(name) / "in", Path(name) / "out"
        photos.mkdir()
        camera_photos(photos, arguments.pictures, arguments.megapixels)
        picture = read_picture(photos / "0.jpg", max_size=arguments.max_size).pixels[None]
        stylizer.engine(picture)
        pairs = [
            (engine_rate(stylizer, picture, arguments.pictures), batch_rate(stylizer, photos, output, look))
            for _ in range(ROUNDS)
        ]
    height, width = picture.shape[1:3]
    print(f"{stylizer.style.name} ({stylizer.style.preset}), {stylizer.engine.note}, {stylizer.engine.threads} threads")
    print(f"{arguments.pictures} JPEGs of {arguments.megapixels:g} megapixels, scaled to {width} x {height}")
    engine, batch = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratio = statistics.median(batch / engine for engine, batch in pairs)
    print(f"  engine alone    {engine:.2f} pictures/s\n  folder to folder {batch:.2f} pictures/s")
    print(f"  ratio {ratio:.2f}, wanted at least {WANTED}")
    sys.exit(ratio < WANTED)


if __name__ == "__main__":
    main()
