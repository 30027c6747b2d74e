"""The way from a network's last convolutions to the result, with fewer passes over all pixels.

It is shuffled to pixels, cut, clipped, scaled, rounded and put channels last. Put channels last first, which ONNX
Runtime does while it unpacks what convolutions give, and rounded next, bytes are moved instead of float32, and the
shuffle is a split and a concatenation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fststyle.serving.graph import UINT8, Graph, Node, altered, integers_message, node_message, tensor_message
from fststyle.serving.network_file import OUTPUT

_TO_CHANNELS_LAST = (0, 2, 3, 1)
_WHITE = 255.0
_ORDER, _ROWS, _JOINED = "shuffle_order", "shuffle_rows", "shuffle_joined"
_STEP, _BLACK = "pixel_step", "pixel_black"


@dataclass
class _Exit:
    """``convolutions`` whose sum is shuffled to pixels, ``cuts`` of these, and the ``rest`` up to the result."""

    convolutions: list[Node]
    shuffle: Node
    cuts: list[Node]
    rest: list[Node]


def with_short_exit(graph: Graph) -> bytes | None:
    """The network with its rounding before its shuffle; None if it does not end as is known here."""
    way = _exit(graph)
    if way is None:
        return None
    replaced = {node.outputs[0]: _ordered(node) for node in way.convolutions}
    replaced[way.shuffle.outputs[0]] = _shuffled(way.shuffle)
    for cut in way.cuts:
        source, starts, ends, _, *steps = cut.inputs
        replaced[cut.outputs[0]] = [altered(cut, inputs=[source, starts, ends, _axes_of(cut), *steps])]
    replaced |= {node.outputs[0]: [] for node in way.rest}
    replaced[OUTPUT] = [node_message("Identity", way.rest[-1].inputs[:1], [OUTPUT])]
    return graph.replaced(replaced, tensors=_tensors(graph, way))


def _exit(graph: Graph) -> _Exit | None:
    rest: list[Node] = []
    node = graph.maker(OUTPUT)
    for is_next in _LAST:
        if node is None or not is_next(graph, node):
            return None
        rest.append(node)
        node = graph.maker(node.inputs[0])
    cuts: list[Node] = []
    while node is not None and _axes_channels_last(graph, node):
        cuts.append(node)
        node = graph.maker(node.inputs[0])
    if node is None or node.operator != "DepthToSpace" or node.text("mode", "DCR") != "CRD":
        return None
    convolutions = _summed(graph, node.inputs[0])
    inner = [each.outputs[0] for each in (*rest[1:], *cuts, node)]
    taken_once = all(len(graph.takers(name)) == 1 for name in inner)
    return _Exit(convolutions, node, cuts, rest) if convolutions and taken_once else None


_LAST: tuple[Callable[[Graph, Node], bool], ...] = (
    lambda _, node: node.operator == "Transpose" and node.integers("perm") == _TO_CHANNELS_LAST,
    lambda _, node: node.operator == "Cast" and node.integer("to", 0) == UINT8,
    lambda _, node: node.operator == "Round",
    lambda graph, node: node.operator == "Mul" and _constants(graph, node) == [(_WHITE,)],
    lambda graph, node: node.operator == "Clip" and _constants(graph, node) == [(0.0,), (1.0,)],
)
"""What a result goes through at last, from the end."""


def _constants(graph: Graph, node: Node) -> list[tuple[float, ...]]:
    return [graph.tensors[name].floats for name in node.inputs[1:] if name in graph.tensors]


def _summed(graph: Graph, name: str) -> list[Node]:
    """The convolutions whose sum it is; empty if it is anything else, or used elsewhere too."""
    node = graph.maker(name)
    if node is None or len(graph.takers(name)) != 1:
        return []
    if node.operator == "Conv":
        return [node] if node.integer("group", 1) == 1 else []
    parts = [_summed(graph, part) for part in node.inputs] if node.operator == "Add" else []
    return [found for part in parts for found in part] if all(parts) else []


def _axes_channels_last(graph: Graph, cut: Node) -> list[int]:
    """Which axes are cut, by their places once channels are last; empty unless it is rows or columns that are cut."""
    tensor = graph.tensors.get(cut.inputs[3]) if cut.operator == "Slice" and len(cut.inputs) > 3 else None
    axes = (tensor.integers if tensor else None) or ()
    return [axis - 1 for axis in axes] if set(axes) <= {2, 3} else []


def _axes_of(cut: Node) -> str:
    return f"{cut.outputs[0]}_axes"


def _ordered(convolution: Node) -> list[bytes]:
    """With its channels in the order in which they are pixels: by row, column and colour."""
    first, *parameters = convolution.inputs
    names = [f"{convolution.outputs[0]}_ordered_{place}" for place in range(len(parameters))]
    messages = [node_message("Gather", [old, _ORDER], [new]) for old, new in zip(parameters, names, strict=True)]
    return [*messages, altered(convolution, inputs=[first, *names])]


def _shuffled(shuffle: Node) -> list[bytes]:
    """Of float32 [N, block * block * 3, H, W], 0..1, uint8 [N, block * H, block * W, 3]: each row of the blocks is
    split off, and the rows put one below another.
    """
    (source,), (result,) = shuffle.inputs, shuffle.outputs
    last, shape, flat, rounded, pixels, joined = (
        f"{result}_{what}" for what in ("channels_last", "shape", "flat", "rounded", "pixels", "joined")
    )
    rows = [f"{result}_row_{row}" for row in range(shuffle.integer("blocksize", 1))]
    return [
        node_message("Transpose", [source], [last], {"perm": _TO_CHANNELS_LAST}),
        # Flat, or ONNX Runtime moves the rounding before the transposition, which then is a pass of its own.
        node_message("Shape", [last], [shape]),
        node_message("Flatten", [last], [flat], {"axis": 3}),
        node_message("QuantizeLinear", [flat, _STEP, _BLACK], [rounded]),
        node_message("Reshape", [rounded, shape], [pixels]),
        node_message("Split", [pixels, _ROWS], rows, {"axis": 3}),
        node_message("Concat", rows, [joined], {"axis": 2}),
        node_message("Reshape", [joined, _JOINED], [result]),
    ]


def _tensors(graph: Graph, way: _Exit) -> list[bytes]:
    block = way.shuffle.integer("blocksize", 1)
    return [
        integers_message(_ORDER, np.arange(3 * block**2).reshape(3, -1).T.ravel().tolist()),
        integers_message(_ROWS, [3 * block] * block),
        integers_message(_JOINED, [0, -1, 0, 3]),  # 0: as it is
        tensor_message(_STEP, np.array(1 / _WHITE, "<f4").tobytes(), []),
        tensor_message(_BLACK, bytes(1), [], UINT8),
        *(integers_message(_axes_of(cut), _axes_channels_last(graph, cut)) for cut in way.cuts),
    ]
