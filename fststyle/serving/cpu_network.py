"""A style's network put so that ONNX Runtime's CPU provider needs fewer passes over all pixels for the same picture.

At both ends of a small network, passes that only bring pixels into shape take a third of the time. A network that does
not begin or end as it is known here is left as it is, as is the file on the disk.
"""

from __future__ import annotations

from pathlib import Path

from fststyle.serving.graph import read_graph
from fststyle.serving.pixel_entry import with_short_entry
from fststyle.serving.pixel_exit import with_short_exit

_OLDEST = 13
"""Opset from which the operators used here are what they are now."""


def for_cpu(model: Path | bytes) -> Path | bytes:
    """``model`` itself, a file or the bytes of one, if there is nothing to gain, else the bytes of its network.

    :raises ModelError: it cannot be read.
    """
    graph = read_graph(model)
    if graph.opset < _OLDEST:
        return model
    entered = with_short_entry(graph)
    left = with_short_exit(read_graph(entered) if entered else graph)
    return left or entered or model
