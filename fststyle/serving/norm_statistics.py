"""A style's network whose instance norms take their means and variances from outside, and give them out.

The plain network measures both anew on every picture, and the tone of a whole video frame changes with what walks in
at its edge. Here each norm uses a mixture of what it was given and what it measures::

    mean     = memory * given mean     + (1 - memory) * measured mean
    variance = memory * given variance + (1 - memory) * measured variance
    y        = scale * (x - mean) / sqrt(variance + epsilon) + bias

``memory`` 0 is the plain network, 1 takes what is given alone. The file on the disk stays as it is: the graph is
changed when it is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fststyle.serving.network_file import NORM, STYLES, read_network

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

GIVEN, MEMORY, USED = "statistics_given", "statistics_memory", "statistics_used"
"""Names of the additional inputs (float32 [2, C] with means above variances of all norms, in order; float32 scalar) and
of the additional output (as the first)."""
_DEFAULT_EPSILON = 1e-5


def with_norm_statistics(model: Path | bytes) -> tuple[bytes, int]:
    """The network in ``model`` with the inputs and the output above, for one picture at a time; and C.

    :raises DependencyError: the package onnx, which can change networks, is not installed.
    :raises ModelError: the file cannot be read.
    """
    network = read_network(model, purpose="steady video", extra="video")
    channels = _expose(network.graph)
    return network.SerializeToString(), sum(channels)


def _expose(graph: GraphProto) -> list[int]:
    from onnx import TensorProto, helper

    sizes = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    # A palette's scales and shifts are what the styles' weights make of tables, [styles, channels].
    tables = {tensor.name: tensor.dims[-1] for tensor in graph.initializer if tensor.dims}
    sizes |= {node.output[0]: tables[node.input[1]] for node in graph.node if STYLES in node.input}
    norms = [node for node in graph.node if node.op_type == NORM]
    channels = [sizes[norm.input[1]] for norm in norms]
    nodes: list[NodeProto] = _given(graph, channels)
    for node in graph.node:
        nodes += _steady(node, norms.index(node)) if node.op_type == NORM else [node]
    nodes += _used(len(norms))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    shape = [2, sum(channels)]
    graph.input.append(helper.make_tensor_value_info(GIVEN, TensorProto.FLOAT, shape))
    graph.input.append(helper.make_tensor_value_info(MEMORY, TensorProto.FLOAT, []))
    graph.output.append(helper.make_tensor_value_info(USED, TensorProto.FLOAT, shape))
    return channels


def _given(graph: GraphProto, channels: Sequence[int]) -> list[NodeProto]:
    """What comes in, cut up into [1, C, 1, 1] for each norm, already weighted."""
    from onnx import helper

    graph.initializer.extend(
        [
            _integers("statistics_widths", channels),
            _integers("statistics_rows", (1, 1)),
            _integers("statistics_space", (2, 3)),
            _integers("statistics_column", (1, 2)),
            helper.make_tensor("statistics_one", 1, [], [1.0]),  # 1 is float32
        ]
    )
    nodes = [
        helper.make_node("Sub", ["statistics_one", MEMORY], ["statistics_fresh"]),
        helper.make_node("Mul", [GIVEN, MEMORY], ["statistics_weighted"]),
        helper.make_node(
            "Split",
            ["statistics_weighted", "statistics_widths"],
            [f"statistics_{index}" for index in range(len(channels))],
            axis=1,
        ),
    ]
    for index in range(len(channels)):
        rows = [f"given_mean_{index}", f"given_variance_{index}"]
        nodes.append(
            helper.make_node("Split", [f"statistics_{index}", "statistics_rows"], [f"{r}_row" for r in rows], axis=0)
        )
        nodes += [helper.make_node("Unsqueeze", [f"{row}_row", "statistics_space"], [row]) for row in rows]
    return nodes


def _steady(norm: NodeProto, index: int) -> list[NodeProto]:
    """One norm, spelled out. Deviations from the measured mean serve the variance and the result."""
    from onnx import TensorProto, helper

    x, scale, bias = norm.input
    epsilon = next((entry.f for entry in norm.attribute if entry.name == "epsilon"), _DEFAULT_EPSILON)

    def name(what: str) -> str:
        return f"{what}_{index}"

    def node(operator: str, inputs: list[str], result: str) -> NodeProto:
        return helper.make_node(operator, inputs, [result])

    def mixed(what: str) -> list[NodeProto]:
        return [
            node("Mul", [name(f"measured_{what}"), "statistics_fresh"], name(f"fresh_{what}")),
            node("Add", [name(f"given_{what}"), name(f"fresh_{what}")], name(f"used_{what}")),
        ]

    space = "statistics_space"
    return [
        node("ReduceMean", [x, space], name("measured_mean")),
        node("Sub", [x, name("measured_mean")], name("deviation")),
        node("Mul", [name("deviation"), name("deviation")], name("square")),
        node("ReduceMean", [name("square"), space], name("measured_variance")),
        *mixed("mean"),
        *mixed("variance"),
        helper.make_node(
            "Constant", [], [name("epsilon")], value=helper.make_tensor("epsilon", TensorProto.FLOAT, [], [epsilon])
        ),
        node("Add", [name("used_variance"), name("epsilon")], name("positive")),
        node("Sqrt", [name("positive")], name("spread")),
        node("Unsqueeze", [scale, "statistics_column"], name("scale_column")),
        node("Unsqueeze", [bias, "statistics_column"], name("bias_column")),
        node("Div", [name("scale_column"), name("spread")], name("gain")),
        node("Sub", [name("measured_mean"), name("used_mean")], name("shift")),
        node("Mul", [name("shift"), name("gain")], name("shift_gained")),
        node("Add", [name("shift_gained"), name("bias_column")], name("offset")),
        node("Mul", [name("deviation"), name("gain")], name("gained")),
        node("Add", [name("gained"), name("offset")], norm.output[0]),
    ]


def _used(count: int) -> list[NodeProto]:
    from onnx import helper

    nodes: list[NodeProto] = []
    for what in ("mean", "variance"):
        rows = [f"used_{what}_{index}_row" for index in range(count)]
        for index, row in enumerate(rows):
            nodes.append(helper.make_node("Squeeze", [f"used_{what}_{index}", "statistics_space"], [row]))
        nodes.append(helper.make_node("Concat", rows, [f"used_{what}"], axis=1))
    nodes.append(helper.make_node("Concat", ["used_mean", "used_variance"], [USED], axis=0))
    return nodes


def _integers(name: str, values: Sequence[int]) -> TensorProto:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))
