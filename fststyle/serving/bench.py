"""How fast a style's network is on this machine: each measurement in a process of its own, so that its memory is too.

The engine alone is measured, from an array of pixels to an array of pixels: files and colours are left out.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fststyle import errors
from fststyle.errors import DeviceError, FststyleError, OptionError
from fststyle.memory import peak_memory
from fststyle.serving.engine import Engine
from fststyle.serving.memory import fits
from fststyle.serving.providers import Device, first_line
from fststyle.styles import DEFAULT_STYLE, StyleInfo, available_styles

WARM_UP = 2
"""Runs that do not count. An engine gives back the memory of its first run with a new size and keeps the second's."""
LEAST_RUNS = 3
_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Case:
    """One network, the size of its pictures in pixels, and where it runs; ``threads`` None leaves it to the engine."""

    model: Path
    width: int
    height: int
    device: Device = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise OptionError(f"a picture has at least 1 x 1 pixels, got {self.width} x {self.height}")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads must be at least 1, got {self.threads}")


@dataclass(frozen=True)
class Sampling:
    """How long to measure after the warm-up: ``seconds``, and at least :data:`LEAST_RUNS`; or so many ``runs``."""

    seconds: float = 3.0
    runs: int | None = None

    def __post_init__(self) -> None:
        if self.runs is not None and self.runs < 1:
            raise OptionError(f"runs must be at least 1, got {self.runs}")
        if not 0 < self.seconds < math.inf:
            raise OptionError(f"seconds must be above 0, got {self.seconds:g}")

    def is_enough(self, runs: int, seconds: float) -> bool:
        return runs >= self.runs if self.runs is not None else runs >= LEAST_RUNS and seconds >= self.seconds


@dataclass(frozen=True)
class Timing:
    """What a :class:`Case` took: ``milliseconds`` of each run, and the most bytes of main memory that its process ever
    held (None where the system does not tell). ``provider`` is ONNX Runtime's name of what it ran on.
    """

    provider: str
    threads: int
    milliseconds: tuple[float, ...]
    peak_bytes: int | None

    @cached_property
    def median(self) -> float:
        return float(np.median(self.milliseconds))

    @cached_property
    def spread(self) -> tuple[float, float]:
        """The fifth and the ninety-fifth percentile, in milliseconds."""
        low, high = np.percentile(self.milliseconds, [5, 95])
        return float(low), float(high)

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return 1000 / self.median


def one_style_a_preset() -> list[StyleInfo]:
    """A shipped style of each preset, the default one first of all; where none are shipped, of the user's own."""
    styles = available_styles()
    shipped = [style for style in styles if style.origin == "shipped"]
    by_preset: dict[str, StyleInfo] = {}
    for style in sorted(shipped or styles, key=lambda style: style.name != DEFAULT_STYLE):
        by_preset.setdefault(style.preset, style)
    return [*by_preset.values()]


def working_devices(model: Path) -> tuple[list[Device], str]:
    """Those on which the network really ran, and why the GPU is not among them, or nothing."""
    try:
        measure(Case(model, 16, 16, device="cuda"), Sampling(runs=1))
    except DeviceError as error:
        return ["cpu"], str(error)
    return ["cpu", "cuda"], ""


def gpu_name() -> str:
    """The name of the GPU that ``cuda`` means, as its driver tells it; empty if there is none."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return ""
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    failed = driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0)
    return "" if failed or driver.cuDeviceGetName(name, len(name), device) else name.value.decode(errors="replace")


def measure(case: Case, sampling: Sampling) -> Timing:
    """Run the case in a new process, which an interruption of this one ends too.

    :raises DeviceError: the device cannot be used, or there is not enough memory.
    :raises ModelError: the file is damaged, or not a style of fststyle.
    """
    # This very fststyle, wherever it was found; and no module of the working folder's (-P).
    paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        input=json.dumps({"case": asdict(case) | {"model": str(case.model)}, "sampling": asdict(sampling)}),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    if done.returncode:
        raise DeviceError(_end(done.returncode, done.stderr))
    found = json.loads(done.stdout.splitlines()[-1])  # a GPU's libraries may have printed something before
    if "error" in found:
        raise getattr(errors, found["error"])(found["message"])
    return Timing(**found | {"milliseconds": tuple(found["milliseconds"])})


def _end(code: int, said: str) -> str:
    if code == -getattr(signal, "SIGKILL", 9):
        return "the process that measured was killed, most likely for want of memory"
    last = (said.strip().splitlines() or ["it said nothing"])[-1]
    return f"the process that measured ended with code {code}: {last}"


def _run(case: Case, sampling: Sampling) -> Timing:
    """The measurement itself, in the process that is there for it alone."""
    engine = Engine(case.model, device=case.device, threads=case.threads)
    lacking = f"not enough memory for a picture of {case.width} x {case.height}"
    if engine.provider.startswith("CPU") and not fits(case.model, case.width * case.height):
        raise DeviceError(lacking)  # before the system kills something for it
    try:
        picture = np.random.default_rng(0).integers(0, 256, (1, case.height, case.width, 3), dtype=np.uint8)
    except (MemoryError, ValueError) as error:
        raise DeviceError(lacking) from error
    for _ in range(WARM_UP):
        engine(picture)
    milliseconds: list[float] = []
    started = time.perf_counter()
    while not sampling.is_enough(len(milliseconds), time.perf_counter() - started):
        before = time.perf_counter()
        engine(picture)
        milliseconds.append((time.perf_counter() - before) * 1000)
    return Timing(engine.provider, engine.threads, tuple(milliseconds), peak_memory())


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    case = Case(**asked["case"] | {"model": Path(asked["case"]["model"])})
    try:
        return asdict(_run(case, Sampling(**asked["sampling"])))
    except FststyleError as error:
        return {"error": type(error).__name__, "message": first_line(error)}


if __name__ == "__main__":
    print(json.dumps(_answer(json.load(sys.stdin))))
