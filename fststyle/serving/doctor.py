"""Does what fststyle needs work here? Each part is tried, not looked up, and what fails comes with what mends it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from fststyle.errors import FststyleError, OptionError
from fststyle.formats import FORMATS, Format
from fststyle.images import Picture, decode, encode
from fststyle.memory import available_memory, peak_memory, total_memory
from fststyle.serving.engine import Engine
from fststyle.serving.providers import Device, default_threads
from fststyle.style_folders import listed_digests, shipped_folder
from fststyle.styles import StyleInfo, scan_styles

Status = Literal["works", "absent", "fails"]

_BASE = ("click", "filelock", "numpy", "pillow", "platformdirs", "rich")
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
# What each extra brings that shows whether it is there: import names. Importing what trains takes seconds; it is only
# looked for.
_EXTRAS = {"train": ("torch", "pytorch_lightning", "onnx"), "heic": ("pillow_heif",), "video": ("av",)}
_INSTALL = 'pip install --force-reinstall "fststyle"'
_TRIAL_SIDE = 384


@dataclass(frozen=True)
class Check:
    """One part: ``found`` says what there is, ``mend`` what to do where it ``fails`` or is ``absent`` (which is no
    failure).
    """

    name: str
    status: Status
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Estimate:
    """For one picture of ``width`` x ``height`` pixels, from a run at ``measured_at`` in proportion to the pixels:
    seconds in the network, and bytes of main memory on top of the program's own (None: not measurable here).
    """

    width: int
    height: int
    seconds: float
    bytes: int | None
    measured_at: tuple[int, int]
    provider: str


def check_all(device: Device) -> Iterator[Check]:
    """Every check, as it is done. With ``cuda`` a GPU that does not work fails; otherwise it is absent."""
    yield _python()
    yield from _packages()
    yield Check("processor", "works", f"{default_threads()} threads for this process, {platform.machine()}")
    yield _memory()
    yield from (_codec(entry) for entry in FORMATS.values())
    yield from _cameras()
    styles, errors = scan_styles()
    yield from (Check("style file", "fails", str(error), "remove it, or put a whole one there") for error in errors)
    yield from (_style(style) for style in styles)
    yield from _missing_styles()
    if styles:
        if device != "cuda":
            yield _provider(styles[0], "cpu", asked=True)
        yield _provider(styles[0], "cuda", asked=device == "cuda")
    else:
        yield Check("network", "fails", f"there is no style in {shipped_folder()} to try", _INSTALL)


def estimate(style: StyleInfo, width: int, height: int, *, device: Device, threads: int | None = None) -> Estimate:
    """What a picture of that size will take, by a short run at a small size.

    :raises OptionError: a side below 1.
    :raises DeviceError: the device cannot be used.
    """
    if width < 1 or height < 1:
        raise OptionError(f"a picture has at least 1 x 1 pixels, got {width} x {height}")
    engine = Engine(style.path, device=device, threads=threads)
    engine(np.zeros((1, 32, 32, 3), np.uint8))
    trial = np.random.default_rng(0).integers(0, 256, (1, _TRIAL_SIDE, _TRIAL_SIDE, 3), dtype=np.uint8)
    before, times = _resident(), []
    for _ in range(2):
        started = time.perf_counter()
        engine(trial)
        times.append(time.perf_counter() - started)
    peak = peak_memory()
    factor = width * height / _TRIAL_SIDE**2
    on_cpu = engine.provider.startswith("CPU")
    grown = None if before is None or peak is None or not on_cpu else round(max(0, peak - before) * factor)
    return Estimate(width, height, min(times) * factor, grown, (_TRIAL_SIDE, _TRIAL_SIDE), engine.provider)


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    return Check("python", "works", found)


def _packages() -> Iterator[Check]:
    installed = {name: found for name in (*_BASE, *_RUNTIMES) if (found := _version(name)) is not None}
    for name in _BASE:
        if name in installed:
            yield Check(name, "works", installed[name])
        else:
            yield Check(name, "fails", "not installed", f"pip install {name}")
    both = [f"{name} {installed[name]}" for name in _RUNTIMES if name in installed]
    if len(both) == 1:
        yield Check("onnxruntime", "works", both[0])
    else:
        mend = "pip uninstall onnxruntime onnxruntime-gpu, then " + _INSTALL
        found = f"{' and '.join(both)} are both installed and overwrite each other" if both else "not installed"
        yield Check("onnxruntime", "fails", found, mend)
    yield from (_extra(extra, modules) for extra, modules in _EXTRAS.items())


def _extra(extra: str, modules: tuple[str, ...]) -> Check:
    mend = f'pip install "fststyle[{extra}]"'
    for module in modules:
        if importlib.util.find_spec(module) is None:
            return Check(f"extra {extra}", "absent", f"{module} is not installed", mend)
        if extra != "train":
            try:
                importlib.import_module(module)
            except ImportError as error:
                return Check(f"extra {extra}", "fails", f"{module} cannot be loaded: {error}", mend)
    return Check(f"extra {extra}", "works", f"{', '.join(modules)} installed")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory() -> Check:
    free, total = available_memory(), total_memory()
    if free is None or total is None:
        return Check("memory", "works", "this system does not tell how much there is")
    return Check("memory", "works", f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB available")


def _codec(entry: Format) -> Check:
    """A small picture there and back; what is only read is written by Pillow itself."""
    name = f"codec {entry.name}"
    pixels = np.full((16, 16, 3), 128, np.uint8)
    try:
        if entry.name == "HEIF":
            if importlib.util.find_spec("pillow_heif") is None:
                return Check(name, "absent", "pillow-heif is not installed", 'pip install "fststyle[heic]"')
            importlib.import_module("pillow_heif")
            return Check(name, "works", "loads; nothing at hand to read")
        if entry.options:
            data = encode(Picture(pixels), entry.name)
        else:
            buffer = BytesIO()
            Image.fromarray(pixels).save(buffer, entry.name)
            data = buffer.getvalue()
        decode(data)
    except Exception as error:  # a library that is missing or does not fit raises nearly anything
        return Check(name, "fails", str(error) or type(error).__name__, "pip install --force-reinstall pillow")
    return Check(name, "works", "written and read" if entry.options else "read")


def _cameras() -> Iterator[Check]:
    """A frame of each camera that the system tells of; where it tells of none, of the first. None is a failure."""
    mend = 'pip install "fststyle[camera]"'
    if importlib.util.find_spec("cv2") is None:
        yield Check("camera", "absent", "opencv-python is not installed", mend)
        return
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")  # seconds to wait for a frame, instead of ten
    try:
        from fststyle.serving.camera import device_cameras
    except FststyleError as error:
        yield Check("camera", "fails", str(error), mend)
        return
    cameras = device_cameras()
    if not cameras and cameras is not None:
        yield Check("camera", "absent", "none was found; a file, a stream or synthetic can serve as one")
    for number, name in ({0: "the first"} if cameras is None else cameras).items():
        yield _camera(number, name)


def _camera(number: int, name: str) -> Check:
    from fststyle.serving.camera import Wishes, open_camera

    try:
        camera = open_camera(str(number), Wishes())
    except FststyleError as error:
        mend = "close what uses it; on Linux the user must be in the group video"
        return Check(f"camera {number}", "absent", f"{name}: {error}", mend)
    camera.close()
    width, height = camera.size
    return Check(f"camera {number}", "works", f"{name}: a frame of {width} x {height}")


def _style(style: StyleInfo) -> Check:
    name = f"style {style.name}"
    try:
        style.verify()
    except FststyleError as error:
        return Check(name, "fails", str(error), _INSTALL)
    listed = "as shipped" if style.expected_sha256 else f"{style.path}, no digest to compare with"
    return Check(name, "works", listed)


def _missing_styles() -> Iterator[Check]:
    for name in listed_digests(shipped_folder()):
        if not (shipped_folder() / name).exists():
            yield Check(f"style {Path(name).stem}", "fails", f"{shipped_folder() / name} is missing", _INSTALL)


def _provider(style: StyleInfo, device: Device, *, asked: bool) -> Check:
    """Loads a real style and runs it."""
    name = "network on the CPU" if device == "cpu" else "network on the GPU"
    try:
        engine = Engine(style.path, device=device)
        engine(np.zeros((1, 16, 16, 3), np.uint8))
    except FststyleError as error:
        driver = "install NVIDIA's driver" if "driver" in str(error) else 'pip install "onnxruntime-gpu[cuda,cudnn]"'
        mend = _INSTALL if device == "cpu" else f"{driver}; without such a GPU use --device cpu"
        return Check(name, "fails" if asked else "absent", str(error), mend)
    return Check(name, "works", f"{style.name} runs with {engine.provider}")


def _resident() -> int | None:
    """Bytes of main memory that the process holds, on Linux."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
