"""What a descent needs in memory, linear in pixels, and the size that would fit where it does not."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import torch

from fststyle.errors import DeviceError
from fststyle.memory import available_memory
from fststyle.nn.vgg import VGGFeatures

PICTURE = 3 * 4
"""Bytes of one pixel of a float32 picture."""

FIXED = 400_000_000
"""Bytes that do not grow with the picture: the VGG's weights in both precisions, Gram matrices, torch's own."""

_ALLOCATION = re.compile(r"(allocate memory|not enough memory|out of memory|alloc_cpu)", re.IGNORECASE)


def bytes_per_pixel(vgg: VGGFeatures, *, history: int, bfloat16: bool) -> float:
    """An estimate for one iteration of L-BFGS: ``history`` pairs of pictures, every activation kept for the gradient,
    and the widest of them several times over, as convolution and Gram matrix work on them (measured with
    benchmarks/optimize_speed.py).
    """
    element = 2 if bfloat16 else 4
    kept = widest = 0.0
    for name in vgg.names:
        halvings = int(name[4]) - 1
        channels = vgg.get_buffer(f"{name}_weight").shape[0] / 4**halvings
        kept += channels * element * (1.25 if name.endswith("_1") and halvings else 1)  # with what was pooled for it
        widest = max(widest, channels)
    return kept + 22 * widest + PICTURE * (2 * history + 8)


def available_bytes(device: torch.device) -> int | None:
    """What is free now, within the limits of a container too; None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return available_memory()


def check_memory(size: tuple[int, int], per_pixel: float, device: torch.device) -> None:
    """:raises DeviceError: a picture of ``size`` (width, height) needs more than there is; without this check Linux
    would grant the memory and end the program when it is used.
    """
    free = available_bytes(device)
    if free is not None and size[0] * size[1] * per_pixel + FIXED > free:
        raise _not_enough(size, per_pixel, free)


@contextlib.contextmanager
def out_of_memory_reported(size: tuple[int, int], per_pixel: float, device: torch.device) -> Iterator[None]:
    """An allocation that fails in the block becomes a :class:`~fststyle.errors.DeviceError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch raises RuntimeError, and a subclass of it on a GPU
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not _ALLOCATION.search(str(error)):
            raise
        # At most three quarters of what just failed, whatever the system claims to have.
        most, free = int(size[0] * size[1] * per_pixel + FIXED) * 3 // 4, available_bytes(device)
        raise _not_enough(size, per_pixel, most if free is None else min(free, most)) from error


def _not_enough(size: tuple[int, int], per_pixel: float, free: int) -> DeviceError:
    pixels = max(0.0, free - FIXED) / per_pixel
    longer = int(max(size) * (pixels / (size[0] * size[1])) ** 0.5) // 16 * 16
    needed = (size[0] * size[1] * per_pixel + FIXED) / 1e9
    advice = f"--size {longer} would fit" if longer >= 32 else "no size would fit"
    return DeviceError(
        f"not enough memory for {size[0]} x {size[1]} pixels: about {needed:.1f} GB of {free / 1e9:.1f} GB; {advice}"
    )
