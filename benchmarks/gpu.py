"""Frames a second on an NVIDIA GPU, and how near that is to what the GPU could do at best.

    python benchmarks/gpu.py [--preset quality ...] [--size 3840x2160] [--steps 10] [--frames 20] [--skip ROW ...]
                             [--cuda-option KEY=VALUE ...] [--json]
    python benchmarks/gpu.py --count

Networks of each preset with random weights, which take as long as trained ones, in float16:

- "torch": PyTorch as it is, channels last; "torch bf16": the same in bfloat16;
- "torch.compile": the first one compiled, which is not counted;
- "engine": fststyle's own, as users get it, from an array in main memory to another;
- "bound": the same ONNX Runtime session with its ends in the GPU's memory: the network alone, as in torch's rows;
- "bound, KEY=VALUE": the same with these options of ONNX Runtime's CUDA provider, if given (prefer_nhwc=1, say).

All take bytes in rows of pixels and give them. Each has a process of its own, all of which hold memory of the GPU at
once; they take steps of so many frames in turn, and the figure is the median step. Operations and bytes are counted
from the graph (roofline.py), for which no GPU is needed. The roof is one kernel after the other, each as fast as its
arithmetic or its traffic allows: by the peaks of the card's data sheet, where it is a known one, and by those of a
large product of matrices and of a copy, measured here while nothing else runs.

Needs the extras "train" and "gpu". --device cpu shows that the script runs, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gpu_racers import Bound, OnTheEngine, Place, Torch, Tried
from in_turn import Racer, in_turn
from roofline import PEAKS, Peak, Work, count, least_seconds, total

from fststyle.errors import DependencyError, DeviceError, FststyleError, OptionError, outcome
from fststyle.machine import describe_machine
from fststyle.serving.bench import gpu_name
from fststyle.serving.graph import read_graph
from fststyle.serving.providers import open_session

PRESETS = ("quality", "balanced", "realtime")
WANTED = 60.0
"""Frames a second of preset quality at 3840x2160 with I/O binding."""
WARM_UP = 2
"""Steps of each that do not count."""
MATRIX_SIDE, COPIED_BYTES = 8192, 2**30


class Peaks(NamedTuple):
    measured: Peak | None
    sheet: Peak | None


class Figure(NamedTuple):
    """Frames a second, and milliseconds of a frame: median, least and most. ``share`` is that of the roof by measured
    peaks, ``sheet_share`` by the data sheet's. ``failure`` says why there are none.
    """

    preset: str
    row: str
    note: str
    failure: str = ""
    rate: float | None = None
    milliseconds: tuple[float, float, float] | None = None
    share: float | None = None
    sheet_share: float | None = None


def racers(options: argparse.Namespace) -> dict[str, Callable[[Place], Racer]]:
    found: dict[str, Callable[..., Racer]] = {
        "torch": Torch,
        "torch bf16": partial(Torch, kind="bfloat16"),
        "torch.compile": partial(Torch, compiled=True),
        "engine": OnTheEngine,
        "bound": Bound,
    }
    if options.cuda_option:
        given = dict(text.split("=", 1) for text in options.cuda_option)
        found[f"bound, {', '.join(options.cuda_option)}"] = partial(Bound, options=given)
    if unknown := set(options.skip) - set(found):
        raise OptionError(f"--skip: no row named {', '.join(unknown)}; rows: {', '.join(found)}")
    return {name: make for name, make in found.items() if name not in options.skip}


def race(place: Place, options: argparse.Namespace, work: Sequence[Work], peaks: Peaks) -> list[Figure]:
    ready = {row: partial(Tried, make, place) for row, make in racers(options).items()}
    taken = in_turn(ready, options.steps + WARM_UP)
    return [
        figure(place, row, *found.result, [each / place.frames for each in found.seconds[WARM_UP:]], work, peaks)
        for row, found in taken.items()
    ]


def figure(
    place: Place, row: str, failure: str, note: str, seconds: list[float], work: Sequence[Work], peaks: Peaks
) -> Figure:
    """``seconds`` of a frame, in each step."""
    if failure:
        return Figure(place.preset, row, note, failure)
    median, pixels = statistics.median(seconds), place.size[0] * place.size[1]
    times = (median * 1000, min(seconds) * 1000, max(seconds) * 1000)
    shares = [least_seconds(work, pixels, peak) / median if peak else None for peak in peaks]
    return Figure(place.preset, row, note, failure, 1 / median, times, *shares)


def measured_peak() -> Peak:
    """Of a large product of matrices in float16, and of a copy within the GPU's memory, which reads and writes."""
    import torch

    with torch.inference_mode():
        matrix = torch.randn(MATRIX_SIDE, MATRIX_SIDE, device="cuda", dtype=torch.float16)
        product = torch.empty_like(matrix)
        computing = _seconds(lambda: torch.mm(matrix, matrix, out=product))
        source = torch.zeros(COPIED_BYTES, device="cuda", dtype=torch.uint8)
        target = torch.empty_like(source)
        copying = _seconds(lambda: target.copy_(source))
    return Peak(2 * MATRIX_SIDE**3 / computing, 2 * COPIED_BYTES / copying)


def _seconds(run: Callable[[], Any], times: int = 20) -> float:
    import torch

    def timed() -> float:
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(times):
            run()
        torch.cuda.synchronize()
        return (time.perf_counter() - started) / times

    return min(timed() for _ in range(5))


def export(name: str, folder: Path) -> Path:
    try:
        from fststyle.nn.networks import initial_network, preset
        from fststyle.training.export import export_network
        from fststyle.training.recipe import Recipe
    except ModuleNotFoundError as error:
        raise DependencyError(f'{error.name} is missing: pip install "fststyle[train,gpu]"') from error

    recipe = Recipe(name=f"untrained-{name}", file="none", preset=name)
    return export_network(initial_network(preset(name), 0), recipe, output=folder / f"{name}.onnx").path


def find_peaks(model: Path) -> Peaks:
    """:class:`DeviceError`, if PyTorch or ONNX Runtime cannot run the network on a GPU here."""
    import torch

    if not torch.cuda.is_available():
        raise DeviceError("PyTorch finds no GPU that it can use")
    open_session(model, device="cuda", threads=1)
    return Peaks(measured_peak(), PEAKS.get(gpu_name()))


def described(work: Sequence[Work], size: tuple[int, int]) -> str:
    operations, moved = total(work, size[0] * size[1])
    return (
        f"{operations / 1e9:,.1f} billion operations and {moved / 1e9:,.2f} GB a frame at least, in {len(work)} kernels"
    )


def shown(figure: Figure) -> str:
    if figure.milliseconds is None or figure.rate is None:
        return f"  {figure.row:<28} not measured: {figure.failure}"
    median, low, high = figure.milliseconds
    shares = [f"{share:.0%} of the {roof} roof" for share, roof in _roofs(figure)]
    spread = f"{median:.2f} ms ({low:.2f} to {high:.2f})"
    return f"  {figure.row:<28} {figure.rate:8.1f} frames/s  {spread:<28} {', '.join([*shares, figure.note])}"


def _roofs(figure: Figure) -> list[tuple[float, str]]:
    both = ((figure.share, "measured"), (figure.sheet_share, "data sheet's"))
    return [(share, roof) for share, roof in both if share is not None]


def size_of(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or min(map(int, match.groups())) < 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no width x height, both at least 16")
    return int(match[1]), int(match[2])


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", nargs="+", default=PRESETS, choices=PRESETS)
    parser.add_argument("--size", type=size_of, default=(3840, 2160), metavar="WxH")
    parser.add_argument("--steps", type=int, default=10, help=f"counted steps of each row, after {WARM_UP} of warm-up")
    parser.add_argument("--frames", type=int, default=20, help="of one step")
    parser.add_argument("--skip", action="append", default=[], metavar="ROW", help="leave a row out; may be repeated")
    parser.add_argument("--cuda-option", action="append", default=[], metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument("--count", action="store_true", help="operations and bytes alone")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if any("=" not in text for text in options.cuda_option) or min(options.steps, options.frames) < 1:
        parser.error("--cuda-option takes KEY=VALUE; --steps and --frames are at least 1")
    return options


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What --json prints; ``folder`` is one for throw-away files.

    :raises DeviceError: there is no GPU, after the counts are printed.
    """
    say: Callable[[str], None] = (lambda _: None) if options.json else (lambda text: print(text, flush=True))
    rows = racers(options)
    machine = describe_machine("torch", "onnxruntime-gpu", "onnxruntime", "numpy")
    machine = ", ".join(filter(None, [gpu_name(), machine]))
    say(f"{machine}\n{options.size[0]} x {options.size[1]} pixels")
    models = {name: export(name, folder) for name in options.preset}
    work = {name: count(read_graph(model)) for name, model in models.items()}
    for name in models:
        say(f"{name}: {described(work[name], options.size)}")
    counts = {name: total(work[name], options.size[0] * options.size[1]) for name in models}
    report: dict[str, Any] = {"machine": machine, "size": options.size, "operations and bytes": counts}
    if options.count:
        return report
    peaks = find_peaks(next(iter(models.values()))) if options.device == "cuda" else Peaks(None, None)
    for roof, peak in peaks._asdict().items():
        if peak is not None:
            say(f"peaks, {roof}: {peak.operations / 1e12:.0f} TFLOPS, {peak.bytes / 1e12:.2f} TB/s")
    report |= {"peaks": peaks._asdict(), "figures": []}
    say(f"{options.steps} steps of {options.frames} frames of each in turn, medians: {', '.join(rows)}")
    for name, model in models.items():
        say(name)
        for found in race(Place(model, name, options.size, options.device, options.frames), options, work[name], peaks):
            report["figures"].append(found._asdict())
            say(shown(found))
    return report


def wanted_missed(report: dict[str, Any]) -> bool:
    rates = [
        found["rate"] or 0
        for found in report.get("figures", ())
        if (found["preset"], found["row"]) == ("quality", "bound") and tuple(report["size"]) == (3840, 2160)
    ]
    return any(rate < WANTED for rate in rates)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        options = parsed(arguments)
        with tempfile.TemporaryDirectory() as folder:
            report = compare(options, Path(folder))
    except FststyleError as error:
        unmeasured = "unmeasured: " if isinstance(error, DeviceError) else ""
        print(f"gpu: error: {unmeasured}{error}", file=sys.stderr)
        return outcome(error).exit_code
    if options.json:
        print(json.dumps(report))
    return int(wanted_missed(report))


if __name__ == "__main__":
    sys.exit(main())
