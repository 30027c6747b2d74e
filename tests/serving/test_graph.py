"""Read and changed without onnx, and held against what onnx makes of the same files."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from fststyle.errors import ModelError
from fststyle.serving.graph import (
    altered,
    integers_message,
    node_message,
    read_graph,
    tensor_message,
    value_message,
)


def test_nodes_are_what_onnx_reads(tiny_style_file: Path) -> None:
    graph, expected = read_graph(tiny_style_file), onnx.load(tiny_style_file).graph
    assert [(node.operator, node.inputs, node.outputs) for node in graph.nodes] == [
        (node.op_type, tuple(node.input), tuple(node.output)) for node in expected.node
    ]
    assert graph.outputs == ["stylized"]


def test_attributes_are_what_onnx_reads(tiny_style_file: Path) -> None:
    compared = 0
    for node, expected in zip(read_graph(tiny_style_file).nodes, onnx.load(tiny_style_file).graph.node, strict=True):
        for attribute in expected.attribute:
            value = helper.get_attribute_value(attribute)
            if attribute.type == onnx.AttributeProto.INTS:
                assert node.integers(attribute.name) == tuple(value)
            elif attribute.type == onnx.AttributeProto.INT:
                assert node.integer(attribute.name, -9) == value
            elif attribute.type == onnx.AttributeProto.STRING:
                assert node.text(attribute.name, "") == value.decode()
            else:
                continue
            compared += 1
    assert compared > 50


def test_tensors_are_what_onnx_reads(tiny_style_file: Path) -> None:
    graph, expected = read_graph(tiny_style_file), onnx.load(tiny_style_file).graph.initializer
    assert graph.tensors.keys() == {tensor.name for tensor in expected}
    for tensor in expected:
        found, values = graph.tensors[tensor.name], numpy_helper.to_array(tensor)
        assert found.dims == values.shape
        if values.dtype == np.int64:
            assert found.integers == tuple(values.reshape(-1).tolist())
        else:
            assert found.integers is None
            assert found.floats == tuple(values.reshape(-1).tolist())


def test_typed_fields_are_read_as_raw_ones(tmp_path: Path) -> None:
    """ONNX may hold values in ``raw_data`` or in a list of their type, and constants in nodes."""
    tensors = [
        helper.make_tensor("integers", onnx.TensorProto.INT64, [3], [1, -2, 300]),
        helper.make_tensor("floats", onnx.TensorProto.FLOAT, [2], [0.5, -1.25]),
    ]
    constant = helper.make_node(
        "Constant", [], ["made"], value=helper.make_tensor("", onnx.TensorProto.INT64, [1], [7])
    )
    onnx.save(helper.make_model(helper.make_graph([constant], "g", [], [], tensors)), tmp_path / "a.onnx")
    found = read_graph(tmp_path / "a.onnx").tensors
    assert (found["integers"].integers, found["floats"].floats) == ((1, -2, 300), (0.5, -1.25))
    assert found["made"].integers == (7,)


def test_unchanged_it_is_the_same_network(tiny_style_file: Path) -> None:
    graph, original = read_graph(tiny_style_file), onnx.load(tiny_style_file)
    assert onnx.load_from_string(graph.changed(lambda node: [bytes(node.message)])) == original


def test_changes_are_what_onnx_would_make(tiny_style_file: Path) -> None:
    graph, expected = read_graph(tiny_style_file), onnx.load(tiny_style_file)
    values = np.arange(4, dtype="<f4")
    changed = graph.changed(
        lambda node: (
            [altered(node, operator="Abs", inputs=[node.inputs[0]]), node_message("Neg", ["a"], ["b"])]
            if node.operator == "Relu"
            else [altered(node, inputs=node.inputs, integers={"strides": (3, 3)})]
            if node.operator == "Conv"
            else [bytes(node.message)]
        ),
        tensors=[tensor_message("values", values.tobytes(), [2, 2])],
        outputs=[value_message("b")],
    )
    found = onnx.load_from_string(changed).graph
    before = [node.op_type for node in expected.graph.node]
    after = [name for kind in before for name in (["Abs", "Neg"] if kind == "Relu" else [kind])]
    assert [node.op_type for node in found.node] == after
    strides = {tuple(helper.get_node_attr_value(node, "strides")) for node in found.node if node.op_type == "Conv"}
    assert strides == {(3, 3)}
    np.testing.assert_array_equal(numpy_helper.to_array(found.initializer[-1]), values.reshape(2, 2))
    assert found.output[-1].name == "b"
    assert found.output[-1].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_nodes_are_replaced_by_their_results(tiny_style_file: Path) -> None:
    graph, expected = read_graph(tiny_style_file), onnx.load(tiny_style_file).graph.node
    (cast,) = (node for node in graph.takers("permute") if node.operator == "Cast")
    split = node_message("Split", ["a", "sizes"], ["b", "c"], {"axis": 1})
    turned = node_message("Transpose", ["b"], ["d"], {"perm": (1, 0)})
    changed = graph.replaced({cast.outputs[0]: (split, turned)}, tensors=[integers_message("sizes", (-1, 2**40))])
    found = onnx.load_from_string(changed).graph
    place = [node.output[0] for node in expected].index(cast.outputs[0])
    assert list(found.node[place : place + 2]) == [
        helper.make_node("Split", ["a", "sizes"], ["b", "c"], axis=1),
        helper.make_node("Transpose", ["b"], ["d"], perm=(1, 0)),
    ]
    assert [*found.node[:place], *found.node[place + 2 :]] == [*expected[:place], *expected[place + 1 :]]
    assert numpy_helper.to_array(found.initializer[-1]).tolist() == [-1, 2**40]


def test_makers_and_takers_are_those_of_the_graph(tiny_style_file: Path) -> None:
    graph = read_graph(tiny_style_file)
    for node in graph.nodes:
        assert [graph.maker(name) for name in node.outputs] == [node] * len(node.outputs)
        assert all(node in graph.takers(name) for name in node.inputs)
    assert graph.maker("image") is None
    assert graph.takers("stylized") == []


def test_the_opset_is_that_of_onnx_itself(tiny_style_file: Path) -> None:
    network = onnx.load(tiny_style_file)
    assert read_graph(network.SerializeToString()).opset == network.opset_import[0].version == 20
    network.opset_import.insert(0, helper.make_opsetid("com.microsoft", 1))
    network.opset_import[1].version = 17
    assert read_graph(network.SerializeToString()).opset == 17


@pytest.mark.parametrize("content", [b"no network", b"", b"\x3a\x02\x0a\x09"])
def test_a_damaged_file_is_the_models_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        read_graph(tmp_path / "a.onnx")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        read_graph(tmp_path / "a.onnx")
