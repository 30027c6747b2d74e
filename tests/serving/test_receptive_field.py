"""What the graph says of a network's reach, held against what the network does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from fststyle.errors import ModelError
from fststyle.serving.fixed_norms import FixedEngine, MeasuringEngine, Runtime
from fststyle.serving.graph import read_graph
from fststyle.serving.receptive_field import ReceptiveField, receptive_field

Floats = NDArray[np.float32]


def network(path: Path, nodes: list[onnx.NodeProto], channels: int, tensors: dict[str, NDArray[np.generic]]) -> Path:
    """A graph that takes and gives pictures like a style's, with ``nodes`` from ``x`` to ``y`` between, in float32."""
    around = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["x"], perm=[0, 3, 1, 2]),
        *nodes,
        helper.make_node("Transpose", ["y"], ["stylized"], perm=[0, 2, 3, 1]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
    stylized = helper.make_tensor_value_info("stylized", TensorProto.FLOAT, ["n", "h", "w", channels])
    stored = [onnx.numpy_helper.from_array(values, name) for name, values in tensors.items()]
    graph = helper.make_graph(around, "g", [image], [stylized], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def ones(*shape: int) -> Floats:
    return np.ones(shape, np.float32)


def integers(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


CASES: dict[str, tuple[list[onnx.NodeProto], dict[str, NDArray[np.generic]]]] = {
    "convolution": ([helper.make_node("Conv", ["x", "k"], ["y"], pads=[2, 2, 2, 2])], {"k": ones(3, 3, 5, 5)}),
    "dilated": (
        [helper.make_node("Conv", ["x", "k"], ["y"], pads=[6, 6, 6, 6], dilations=[3, 3])],
        {"k": ones(3, 3, 5, 5)},
    ),
    "down and up": (
        [
            helper.make_node("Conv", ["x", "k"], ["low"], pads=[1, 1, 1, 1], strides=[2, 2]),
            helper.make_node("Resize", ["low", "", "scales"], ["y"], mode="linear"),
        ],
        {"k": ones(3, 3, 3, 3), "scales": np.array([1, 1, 2, 2], np.float32)},
    ),
    "nearest by four": (
        [
            helper.make_node("Conv", ["x", "k"], ["low"], strides=[4, 4]),
            helper.make_node(
                "Resize",
                ["low", "", "scales"],
                ["y"],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            ),
        ],
        {"k": ones(3, 3, 4, 4), "scales": np.array([1, 1, 4, 4], np.float32)},
    ),
    "transposed": (
        [
            helper.make_node("Conv", ["x", "k"], ["low"], pads=[1, 1, 1, 1], strides=[2, 2]),
            helper.make_node(
                "ConvTranspose", ["low", "t"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[4, 4]
            ),
        ],
        {"k": ones(3, 3, 4, 4), "t": ones(3, 3, 4, 4)},
    ),
    "space to depth and back": (
        [
            helper.make_node("SpaceToDepth", ["x"], ["deep"], blocksize=4),
            helper.make_node("Conv", ["deep", "k"], ["mixed"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["mixed"], ["y"], blocksize=4, mode="CRD"),
        ],
        {"k": ones(48, 48, 3, 3)},
    ),
    "padded once and cropped": (
        [
            helper.make_node("Pad", ["x", "before"], ["wide"], mode="reflect"),
            helper.make_node("Conv", ["wide", "k"], ["seen"], pads=[1, 1, 1, 1]),
            helper.make_node("Slice", ["seen", "starts", "ends", "axes"], ["y"]),
        ],
        {
            "before": integers(0, 0, 8, 8, 0, 0, 8, 8),
            "k": ones(3, 3, 3, 3),
            "starts": integers(8, 8),
            "ends": integers(-8, -8),
            "axes": integers(-2, 3),
        },
    ),
    "two branches": (
        [
            helper.make_node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1]),
            helper.make_node("MaxPool", ["x"], ["b"], kernel_shape=[7, 7], pads=[3, 3, 3, 3]),
            helper.make_node("Concat", ["a", "b"], ["both"], axis=1),
            helper.make_node("Relu", ["both"], ["y"]),
        ],
        {"k": ones(3, 3, 3, 3)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pixel_reaches_as_far_as_is_said_and_no_further(tmp_path: Path, case: str) -> None:
    """One pixel that changes, wherever it stands in the network's grid: how far off does the result change?"""
    nodes, tensors = CASES[case]
    path = network(tmp_path / "a.onnx", nodes, 6 if case == "two branches" else 3, tensors)
    field = receptive_field(read_graph(path))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    black = np.zeros((1, 64, 64, 3), np.uint8)
    before, furthest = session.run(None, {"image": black})[0], 0
    for place in range(30, 38):
        changed = black.copy()
        changed[0, place, 32] = 255
        rows = np.flatnonzero((session.run(None, {"image": changed})[0] != before).any(axis=(0, 2, 3)))
        furthest = max(furthest, *np.abs(rows - place))
    # Of two neighbours, nearest takes one that the reading does not tell.
    assert furthest <= field.radius <= furthest + (4 if "nearest" in case else 1)
    assert (field.multiple == 1) == (case in ("convolution", "dilated", "padded once and cropped", "two branches"))


@pytest.fixture(scope="module")
def tiny(tiny_style_file: Path) -> tuple[FixedEngine, ReceptiveField]:
    runtime = Runtime(tiny_style_file, read_graph(tiny_style_file), "cpu", 1)
    noise = np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8)
    return FixedEngine(runtime, MeasuringEngine(runtime).measure(noise)), receptive_field(runtime.graph)


def test_beyond_the_field_of_a_style_nothing_changes(tiny: tuple[FixedEngine, ReceptiveField]) -> None:
    engine, field = tiny
    assert field.multiple == 4
    picture = np.random.default_rng(1).integers(0, 256, (1, 192, 160, 3), np.uint8)
    changed = picture.copy()
    changed[0, 90:, :] = 255 - picture[0, 90:, :]
    differing = np.flatnonzero((engine(picture) != engine(changed)).any(axis=(0, 2, 3)))
    assert 90 - field.radius <= differing[0] < 90
    assert differing[0] <= 90 - field.radius // 2


def test_memory_grows_with_the_networks_channels(tiny: tuple[FixedEngine, ReceptiveField]) -> None:
    """Four channels at full resolution, eight when the last enlargement is padded: input and result of that."""
    assert tiny[1].bytes_per_pixel == pytest.approx(2 * 8 * 4, rel=0.3)


def test_a_network_with_a_neck_needs_less_around_it_from_there(tiny: tuple[FixedEngine, ReceptiveField]) -> None:
    field = tiny[1]
    assert field.neck is not None
    assert field.neck.stride == 4
    assert field.neck.reach * 4 < field.radius
    assert max(field.neck.bytes_before, field.neck.bytes_after) == field.bytes_per_pixel


@pytest.mark.parametrize("skip", [True, False])
def test_what_goes_past_it_is_no_neck(tmp_path: Path, skip: bool) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["low"], strides=[2, 2]),
        helper.make_node("Resize", ["low", "", "s"], ["high"], mode="linear"),
        helper.make_node("Add", ["high", "x"], ["y"]) if skip else helper.make_node("Relu", ["high"], ["y"]),
    ]
    tensors = {"k": ones(3, 3, 2, 2), "s": np.array([1, 1, 2, 2], np.float32)}
    found = receptive_field(read_graph(network(tmp_path / "a.onnx", nodes, 3, tensors))).neck
    assert (found is None) == skip
    if found is not None:
        assert (found.tensor, found.stride, found.reach) == ("low", 2, 1)


UNKNOWN: dict[str, tuple[list[onnx.NodeProto], dict[str, NDArray[np.generic]]]] = {
    "ReduceMean": (
        [helper.make_node("ReduceMean", ["x", "axes"], ["m"]), helper.make_node("Sub", ["x", "m"], ["y"])],
        {"axes": integers(2, 3)},
    ),
    "Conv": ([helper.make_node("Conv", ["x", "k"], ["y"], auto_pad="SAME_UPPER")], {"k": ones(3, 3, 3, 3)}),
    "Resize": (
        [helper.make_node("Resize", ["x", "", "s"], ["y"], coordinate_transformation_mode="align_corners")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Slice": (
        [helper.make_node("Slice", ["x", "starts", "ends", "axes"], ["y"])],
        {"starts": integers(-8), "ends": integers(-1), "axes": integers(2)},
    ),
    "Pad": ([helper.make_node("Pad", ["x", "p"], ["y"], mode="wrap")], {"p": integers(0, 0, 1, 1, 0, 0, 1, 1)}),
    "Add": (
        [helper.make_node("Conv", ["x", "k"], ["l"], strides=[2, 2]), helper.make_node("Add", ["x", "l"], ["y"])],
        {"k": ones(3, 3, 2, 2)},
    ),
}


@pytest.mark.parametrize("operator", UNKNOWN)
def test_what_cannot_be_followed_is_named(tmp_path: Path, operator: str) -> None:
    nodes, tensors = UNKNOWN[operator]
    path = network(tmp_path / "a.onnx", nodes, 3, tensors)
    with pytest.raises(ModelError, match=f"operator {operator} cannot be followed"):
        receptive_field(read_graph(path))


def test_a_result_of_another_size_does_not_work_in_tiles(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "k"], ["y"], strides=[2, 2])]
    path = network(tmp_path / "a.onnx", nodes, 3, {"k": ones(3, 3, 2, 2)})
    with pytest.raises(ModelError, match="has not the picture's size"):
        receptive_field(read_graph(path))
