"""A style's network in float16, for GPUs, but for its instance norms.

Their statistics are sums over all pixels, which float16 overflows or rounds away: norms, and nothing else, stay in
float32 between two casts. The picture's side of the graph stays what it is: uint8 in, uint8 out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fststyle.serving.network_file import NORM, STYLES, read_network

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

# Inputs, by place, that ONNX defines as float32 whatever the picture's type is.
_ALWAYS_FLOAT32 = {"Resize": (1, 2)}


def half_precision(model: Path) -> bytes:
    """The network in ``model`` as the bytes of an ONNX file that computes in float16.

    :raises DependencyError: the package onnx, which can change networks, is not installed.
    :raises ModelError: the file cannot be read.
    """
    network = read_network(model, purpose="float16 on the GPU", extra="gpu")
    _convert(network.graph)
    converted: bytes = network.SerializeToString()
    return converted


def _convert(graph: GraphProto) -> None:
    from onnx import TensorProto, numpy_helper

    kept = _kept_in_float32(graph)
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), tensor.name))
    nodes: list[NodeProto] = []
    for node in graph.node:
        nodes += _norm_between_casts(node) if node.op_type == NORM else [_casting_to_half(node)]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]


def _kept_in_float32(graph: GraphProto) -> set[str]:
    names: set[str] = set()
    for node in graph.node:
        if STYLES in node.input:  # what makes the scales and shifts of a palette's norms
            names.update(node.input)
        places = range(1, 3) if node.op_type == NORM else _ALWAYS_FLOAT32.get(node.op_type, ())
        names.update(node.input[place] for place in places if place < len(node.input))
    return names


def _norm_between_casts(node: NodeProto) -> list[NodeProto]:
    from onnx import TensorProto, helper

    source, result = node.input[0], node.output[0]
    node.input[0], node.output[0] = f"{source}_float32_for_{result}", f"{result}_float32"
    return [
        helper.make_node("Cast", [source], [node.input[0]], to=TensorProto.FLOAT),
        node,
        helper.make_node("Cast", [node.output[0]], [result], to=TensorProto.FLOAT16),
    ]


def _casting_to_half(node: NodeProto) -> NodeProto:
    from onnx import TensorProto

    if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
        node.attribute[0].i = TensorProto.FLOAT16
    return node
