"""A palette's network with one mix of its styles built in: what is left is a network of one style.

Whatever changes a network's norms when it is loaded then finds their scales and shifts as it finds those of any style.
The file on the disk stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import ModelError
from fststyle.serving.graph import Graph, Node, read_graph, tensor_message
from fststyle.serving.network_file import STYLES


def mixed_network(model: Path, weights: Sequence[float] | NDArray[np.float32]) -> Path | bytes:
    """``model`` itself if there are no weights, else the bytes of its network with them built in.

    :raises ModelError: the file cannot be read, or does not mix its styles as a palette does.
    """
    if not len(weights):
        return model
    graph = read_graph(model)
    mixed = {node.outputs[0]: _mixed(node, graph, weights) for node in graph.takers(STYLES)}
    tables = {name for node in graph.takers(STYLES) for name in node.inputs}
    return graph.replaced(
        dict.fromkeys(mixed, ()),
        tensors=[tensor_message(name, values.tobytes(), values.shape) for name, values in mixed.items()],
        without=tables,
    )


def _mixed(node: Node, graph: Graph, weights: Sequence[float] | NDArray[np.float32]) -> NDArray[np.float32]:
    """What a node makes of the weights and of a table, float32 [styles, channels]."""
    table = graph.tensors.get(node.inputs[-1])
    if node.operator != "MatMul" or node.inputs[0] != STYLES or table is None or table.dims[:1] != (len(weights),):
        raise ModelError(f"the network does not mix its styles as a palette does: {node.operator} takes the weights")
    rows = np.array(table.floats, "<f4").reshape(table.dims)
    mixed: NDArray[np.float32] = np.asarray(weights, "<f4") @ rows
    return mixed
