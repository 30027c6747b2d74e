"""Small networks with all that may stand before their first convolutions, run before and after."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper, numpy_helper

from fststyle.serving.graph import read_graph
from fststyle.serving.pixel_entry import with_short_entry
from fststyle.serving.providers import CPU

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 9, 11, 3), np.uint8)
Step = tuple[str, object]


def network(steps: list[Step], *, bias: bool = False, pads: int = 0, also: tuple[NodeProto, ...] = ()) -> bytes:
    """From bytes to two convolutions; each step is an operator with its constant, or with the mode of a pad."""
    random = np.random.default_rng(1)
    weights = {"w": (4, 3, 3, 3), "v": (2, 3, 1, 1), "b": (4,)}
    tensors = [numpy_helper.from_array(random.normal(size=shape).astype("f4"), k) for k, shape in weights.items()]
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=(0, 3, 1, 2)),
        helper.make_node("Cast", ["first"], ["x0"], to=TensorProto.FLOAT),
    ]
    for place, (operator, value) in enumerate(steps):
        mode = {"mode": value} if operator == "Pad" else {}
        constant = np.array((0, 0, 1, 2, 0, 0, 2, 1)) if mode else np.array(value, "f4")
        tensors.append(numpy_helper.from_array(constant, f"c{place}"))
        nodes.append(helper.make_node(operator, [f"x{place}", f"c{place}"], [f"x{place + 1}"], **mode))
    last = f"x{len(steps)}"
    nodes.append(helper.make_node("Conv", [last, "w", *["b"] * bias], ["y"], pads=[pads] * 4))
    nodes.append(helper.make_node("Conv", [last, "v"], ["z"], strides=[2, 2]))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, None, None]) for name in ("y", "z")]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
    graph = helper.make_graph([*nodes, *also], "entry", [image], outputs, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def run(model: bytes) -> list[np.ndarray]:
    found: list[np.ndarray] = onnxruntime.InferenceSession(model, providers=[CPU]).run(["y", "z"], {"image": IMAGES})
    return found


numbers = st.floats(0.1, 4)
columns = st.lists(numbers, min_size=3, max_size=3).map(lambda values: np.reshape(values, (1, 3, 1, 1)))
steps = st.one_of(
    st.tuples(st.sampled_from(["Add", "Sub", "Mul", "Div"]), numbers | columns),
    st.tuples(st.just("Pad"), st.sampled_from(["reflect", "edge"])),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, max_size=5), st.booleans())
def test_any_scaling_and_padding_comes_to_the_same(steps: list[Step], bias: bool) -> None:
    plain = network(steps, bias=bias)
    shorter = with_short_entry(read_graph(plain))
    assert shorter is not None
    for before, after in zip(run(plain), run(shorter), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * np.abs(before).max())


def test_bytes_are_padded_and_nothing_else_is_left_before_the_cast() -> None:
    shorter = with_short_entry(read_graph(network([("Div", 255.0), ("Pad", "reflect"), ("Sub", 0.5), ("Mul", 4.0)])))
    assert shorter is not None
    nodes = onnx.load_from_string(shorter).graph.node
    assert [node.op_type for node in nodes][:3] == ["Transpose", "Pad", "Cast"]
    assert {node.input[0] for node in nodes if node.op_type == "Conv"} == {nodes[2].output[0]}


@pytest.mark.parametrize(
    "plain",
    [
        network([("Sub", 0.5)], pads=1),
        network([("Sub", 0.5), ("Pad", "constant")]),
        network([("Mul", np.arange(1, 12))]),
        network([("Div", 255.0)], also=(helper.make_node("Neg", ["x0"], ["elsewhere"]),)),
        network([("Pow", 2.0)]),
    ],
    ids=["zeros around it", "a value around it", "another number for each column", "used elsewhere", "no line"],
)
def test_what_weights_cannot_do_is_left_alone(plain: bytes) -> None:
    assert with_short_entry(read_graph(plain)) is None
