"""Whether a picture fits into memory at once, before it is tried."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fststyle.errors import ModelError

LARGEST_UNTILED = 16_000_000
"""Pixels. Larger pictures are run in tiles wherever it may be decided, so that equal machines give equal results and
nobody's last gigabytes go into one picture.
"""

OVERHEAD = 1.8
"""What ONNX Runtime was measured to take on the processor, as a multiple of the tensors alone."""

_SURELY_ENOUGH = 2500
"""Bytes for each pixel; the graphs of the presets take less than half. With so much at hand no graph is read."""
_BESIDES = 40
"""Bytes for each pixel that the picture, its result and what is computed with colours take."""


def available_memory() -> int | None:
    """Bytes that this process could still take without swapping, in its container; None where the system does not tell.

    Linux alone tells; elsewhere a picture's size decides.
    """
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found.append(int(text.partition("MemAvailable:")[2].split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or "max": no limit
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        found.append(max(0, limit - used))
    return min(found, default=None)


def fits(model: Path, pixels: int, *, held_pixels: int = 0) -> bool:
    """Whether the network in ``model`` has room for a picture of so many pixels, by the sizes of its tensors.

    ``held_pixels`` is the size of a picture for which the engine still holds the memory. Where nothing can be told,
    the answer is yes.
    """
    available = available_memory()
    if available is None or available > pixels * _SURELY_ENOUGH:
        return True
    from fststyle.serving.graph import read_graph
    from fststyle.serving.receptive_field import receptive_field

    try:
        each = receptive_field(read_graph(model)).bytes_per_pixel * OVERHEAD
    except ModelError:
        return True
    return pixels * (each + _BESIDES) <= available + held_pixels * each
