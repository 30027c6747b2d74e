"""Small networks with all that may stand after their last convolutions, run before and after."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from fststyle.serving.graph import read_graph
from fststyle.serving.pixel_exit import with_short_exit
from fststyle.serving.providers import CPU

FEATURES = np.random.default_rng(0).normal(size=(2, 5, 6, 7)).astype("f4")


def network(block: int = 2, *, convolutions: int = 2, cuts: int = 2, **other: object) -> bytes:
    """From features to bytes; ``other`` is what is different from a network of fststyle."""
    random = np.random.default_rng(1)
    channels = 3 * block**2
    tensors = {"w0": (channels, 5, 1, 1), "b0": (channels,), "w1": (channels, 5, 1, 1), "w2": (channels, 5, 1, 1)}
    constants = {name: random.normal(size=shape).astype("f4") / 2 for name, shape in tensors.items()}
    constants |= {"zero": np.float32(0), "one": np.float32(1), "white": np.float32(other.get("white", 255))}
    nodes = [
        helper.make_node("Conv", ["features", f"w{place}", *["b0"] * (place == 0)], [f"y{place}"])
        for place in range(convolutions)
    ]
    last = "y0"
    for place in range(1, convolutions):
        nodes.append(helper.make_node("Add", [last, f"y{place}"], [f"s{place}"]))
        last = f"s{place}"
    nodes.append(helper.make_node("DepthToSpace", [last], ["p0"], blocksize=block, mode=other.get("mode", "CRD")))
    for place, axis in enumerate((2, 3)[:cuts]):
        edges = {"starts": 1, "ends": 4 + 2 * place, "axes": other.get("axis", axis)}
        constants |= {f"{name}{place}": np.array([value]) for name, value in edges.items()}
        nodes.append(helper.make_node("Slice", [f"p{place}", *(f"{name}{place}" for name in edges)], [f"p{place + 1}"]))
    nodes += [
        helper.make_node("Clip", [f"p{cuts}", "zero", "one"], ["clipped"]),
        helper.make_node("Mul", ["clipped", "white"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["cast"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["cast"], ["stylized"], perm=other.get("perm", (0, 2, 3, 1))),
    ]
    also = other.get("also")
    return model([*nodes, also] if isinstance(also, NodeProto) else nodes, constants)


def model(nodes: list[NodeProto], constants: dict[str, np.ndarray]) -> bytes:
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 5, "h", "w"])
    stylized = helper.make_tensor_value_info("stylized", TensorProto.UINT8, ["n", None, None, None])
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "exit", [features], [stylized], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def run(network: bytes) -> np.ndarray:
    found: np.ndarray = onnxruntime.InferenceSession(network, providers=[CPU]).run(None, {"features": FEATURES})[0]
    return found.astype(int)


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("convolutions", [1, 2, 3])
@pytest.mark.parametrize("cuts", [0, 1, 2])
def test_pixels_are_where_they_were(block: int, convolutions: int, cuts: int) -> None:
    plain = network(block, convolutions=convolutions, cuts=cuts)
    shorter = with_short_exit(read_graph(plain))
    assert shorter is not None
    before, after = run(plain), run(shorter)
    assert before.shape == after.shape
    assert np.abs(before - after).max() <= 1
    assert (before == after).mean() > 0.99
    assert {0, 255} < set(np.unique(before))


def test_bytes_are_moved() -> None:
    shorter = with_short_exit(read_graph(network()))
    assert shorter is not None
    operators = [node.op_type for node in onnx.load_from_string(shorter).graph.node]
    rounding = operators.index("QuantizeLinear")
    assert operators[rounding + 1 :] == ["Reshape", "Split", "Concat", "Reshape", "Slice", "Slice", "Identity"]


@pytest.mark.parametrize(
    "plain",
    [
        network(white=1),
        network(mode="DCR"),
        network(axis=1),
        network(perm=(0, 3, 2, 1)),
        network(also=helper.make_node("Neg", ["p1"], ["elsewhere"])),
        network(also=helper.make_node("Neg", ["y0"], ["elsewhere"])),
    ],
    ids=["another range", "another shuffle", "channels cut", "turned", "cut elsewhere", "convolved elsewhere"],
)
def test_another_end_is_left_alone(plain: bytes) -> None:
    assert with_short_exit(read_graph(plain)) is None
