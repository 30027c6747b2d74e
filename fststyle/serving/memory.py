"""Whether a picture fits into memory at once, before it is tried."""

from __future__ import annotations

from pathlib import Path

from fststyle.errors import ModelError
from fststyle.memory import available_memory

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
