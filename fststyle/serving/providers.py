"""An ONNX Runtime session on the device that was asked for, or an error that says what that device lacks."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import DependencyError, DeviceError, ModelError, OptionError, did_you_mean
from fststyle.serving.cpu_network import for_cpu
from fststyle.serving.half import half_precision
from fststyle.serving.network_file import INPUT, OUTPUT

Device = Literal["auto", "cpu", "cuda"]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_INSTALL_CUDA = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
_FATAL = 4
# How ONNX Runtime names the errors that a file is to blame for, whatever device it should run on.
_MODEL_ERRORS = {"InvalidProtobuf", "InvalidGraph", "NoModel", "NoSuchFile"}
CUDA_OPTIONS = {
    # Exhaustive search, the default, runs every algorithm once for every new size of picture: seconds for each.
    "cudnn_conv_algo_search": "HEURISTIC",
    # The default doubles the memory taken at each extension, and never gives any back.
    "arena_extend_strategy": "kSameAsRequested",
}


def open_session(model: Path | bytes, *, device: Device, threads: int) -> tuple[Any, str]:
    """A session of the style's network in the file ``model``, or of a file's bytes, and one line for the user on where
    it runs.

    ``auto`` takes the GPU if a network really runs on it, else the CPU, and the line says why. ONNX Runtime would take
    the CPU silently, or with pages of warnings; neither is passed on.

    :raises OptionError: no such device.
    :raises DeviceError: ``cuda`` and a picture cannot be stylised there; the message names what is missing.
    :raises ModelError: the file cannot be loaded.
    """
    if device not in get_args(Device):
        choices = get_args(Device)
        raise OptionError(f"no device {device!r}; devices: {', '.join(choices)}{did_you_mean(str(device), choices)}")
    if device == "cpu":
        return cpu_session(for_cpu(model), threads), "running on the CPU"
    try:
        return _cuda_session(model, threads)
    except DeviceError as error:
        if device == "cuda":
            raise
        return cpu_session(for_cpu(model), threads), f"running on the CPU: {error}"


def cpu_session(model: Path | bytes, threads: int) -> Any:
    """A session on the CPU of any network, as it is.

    :raises ModelError: it cannot be loaded.
    """
    return _session(model, [CPU], threads)


def default_threads() -> int:
    """As many as this process may use at once: its processor mask, and the quota of its container (cgroup v2).

    ONNX Runtime's own default counts the machine's cores: in a container that may use two of sixty-four, that is
    sixty-four threads which get in each other's way.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or "max": no quota
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        count = min(count, round(int(quota) / int(period)))
    return max(1, count)


def _cuda_session(model: Path | bytes, threads: int) -> tuple[Any, str]:
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        raise DeviceError('this ONNX Runtime is built without CUDA; with an NVIDIA GPU: pip install "onnxruntime-gpu"')
    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    if _load_failure(driver) is not None:
        raise DeviceError(f"no NVIDIA driver is installed ({driver} cannot be loaded)")
    said = io.StringIO()
    if hasattr(onnxruntime, "preload_dlls"):
        # Finds the CUDA libraries of NVIDIA's and PyTorch's wheels, and prints what it misses.
        with contextlib.redirect_stdout(said):
            onnxruntime.preload_dlls()
    onnxruntime.set_default_logger_severity(_FATAL)
    network, precision = _for_gpu(model)
    session = _session(network, [(CUDA, CUDA_OPTIONS), CPU], threads)
    if CUDA not in session.get_providers():
        reason = _cuda_library_failure() or said.getvalue().partition("\n")[0] or "it gives no reason"
        raise DeviceError(f"ONNX Runtime cannot use CUDA: {reason}; {_INSTALL_CUDA} brings NVIDIA's libraries")
    try:
        # A session may be made and its first convolution still fail: a cuDNN that does not fit, a GPU too old or full.
        session.run([OUTPUT], {value.name: _blank(value) for value in session.get_inputs()})
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise DeviceError(f"the GPU cannot run the network: {first_line(error)}") from error
    return session, f"running on the GPU (CUDA) in {precision}"


def _blank(value: Any) -> NDArray[Any]:
    """Something to feed to an input: a small black picture, or zeros."""
    if value.name == INPUT:
        return np.zeros((1, 16, 16, 3), np.uint8)
    return np.zeros(value.shape, np.float32)


def _for_gpu(model: Path | bytes) -> tuple[Path | bytes, str]:
    """The network to load, and a word on its precision; one that was already changed is left as it is."""
    if isinstance(model, bytes):
        return model, "float32"
    try:
        return half_precision(model), "float16"
    except DependencyError as error:
        return model, f"float32 ({error})"


def _session(model: Path | bytes, providers: list[Any], threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads
    # A plan of memory for every size ever seen is kept for good; pictures come in endless sizes.
    options.enable_mem_pattern = False
    # Threads that wait in a busy loop slow down whatever else runs, another session first of all.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # enable_fallback=0: no second try on the CPU, announced by print, when a provider raises.
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=0)
    except Exception as error:
        if CPU in providers[:1] or type(error).__name__ in _MODEL_ERRORS:
            named = "the network" if isinstance(model, bytes) else model
            raise ModelError(f"{named} is damaged or not a network that can be run: {first_line(error)}") from error
        raise DeviceError(f"ONNX Runtime cannot use CUDA: {first_line(error)}") from error


def _cuda_library_failure() -> str | None:
    """What the dynamic linker says of ONNX Runtime's CUDA library: it names the library that is missing."""
    import onnxruntime

    name = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"
    return _load_failure(str(Path(onnxruntime.__file__).parent / "capi" / name))


def _load_failure(library: str) -> str | None:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return None


def first_line(error: Exception) -> str:
    """ONNX Runtime's messages run over many lines; the first one has what happened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
