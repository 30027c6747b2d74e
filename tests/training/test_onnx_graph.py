"""The exported graph: its interface, its names, and that each layer stayed one operator."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper
from torch import nn

from fststyle.nn.johnson_net import Architecture
from fststyle.nn.layers import BlockConv2d, StyleNorm
from fststyle.nn.networks import PRESETS, initial_network
from fststyle.training.onnx_graph import on_cpu, to_onnx

if TYPE_CHECKING:
    from tests.training.conftest import TinyStyle


@pytest.fixture(scope="session")
def model(tiny_style: TinyStyle) -> ModelProto:
    return onnx.load(tiny_style.exported.path)


@pytest.fixture(scope="session")
def session(tiny_style: TinyStyle) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(tiny_style.exported.path, providers=["CPUExecutionProvider"])


def test_pictures_go_in_and_out_as_people_have_them(session: onnxruntime.InferenceSession) -> None:
    values = [*session.get_inputs(), *session.get_outputs()]
    assert [(value.name, value.type, value.shape) for value in values] == [
        ("image", "tensor(uint8)", ["batch", "height", "width", 3]),
        ("stylized", "tensor(uint8)", ["batch", "height", "width", 3]),
    ]


@given(batch=st.integers(1, 3), height=st.integers(16, 90), width=st.integers(16, 90), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_every_size_and_batch_gives_what_torch_gives(
    tiny_style: TinyStyle, session: onnxruntime.InferenceSession, batch: int, height: int, width: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    (got,) = session.run(None, {"image": images})
    photos = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = (tiny_style.network(photos).clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy()
    assert got.shape == images.shape
    assert np.abs(got - expected).max() < 0.51  # rounded to the nearest


def test_every_layer_is_one_operator(tiny_style: TinyStyle, model: ModelProto) -> None:
    """The exporter can also spell them out in dozens of small operators, which are many times slower."""
    operators = Counter(node.op_type for node in model.graph.node)
    layers = Counter(type(module) for module in tiny_style.network.modules())
    assert operators["Conv"] == layers[nn.Conv2d] + layers[BlockConv2d]
    assert operators["InstanceNormalization"] == layers[StyleNorm]
    assert operators["Resize"] == 2
    assert not set(operators) & {"Gather", "GatherND", "ReduceMean", "ReduceSum", "ConvTranspose", "BatchNormalization"}


def test_doubling_is_bilinear_and_half_a_pixel_off_nowhere(model: ModelProto) -> None:
    for node in (node for node in model.graph.node if node.op_type == "Resize"):
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        assert attributes["mode"] == b"linear"
        assert attributes["coordinate_transformation_mode"] in (b"half_pixel", b"pytorch_half_pixel")


def test_initialisers_are_the_networks_tensors(tiny_style: TinyStyle, model: ModelProto) -> None:
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, tensor in tiny_style.network.state_dict().items():
        np.testing.assert_array_equal(stored[name], tensor.numpy())


@pytest.mark.parametrize("downsampling", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_an_untrained_network_of_another_depth_is_exported_too(downsampling: int) -> None:
    """Every scale in it is 1, and tensors of equal content keep names of their own."""
    network = initial_network(Architecture(width=3, blocks=1, downsampling=downsampling, kernel=5), 0)
    pictures = on_cpu(network)
    model = to_onnx(pictures)
    assert set(network.state_dict()) <= {tensor.name for tensor in model.graph.initializer}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for height, width in ((16, 16), (37, 22)):
        images = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        (got,) = session.run(None, {"image": images})
        with torch.no_grad():
            expected = pictures(torch.from_numpy(images)).numpy()
        assert got.shape == expected.shape
        assert np.abs(got.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["balanced", pytest.param("realtime", marks=pytest.mark.slow)])
def test_in_fast_networks_every_layer_is_one_operator_too(name: str) -> None:
    pictures = on_cpu(initial_network(PRESETS[name], 0))
    model = to_onnx(pictures)
    operators = Counter(node.op_type for node in model.graph.node)
    kinds = [type(module) for module in pictures.modules()]
    assert operators["Conv"] == sum(issubclass(kind, nn.Conv2d) for kind in kinds)
    assert operators["InstanceNormalization"] == kinds.count(StyleNorm)
    assert operators["Resize"] == 2
    assert operators["DepthToSpace"] == 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in ((1, 16, 16, 3), (2, 37, 50, 3)):
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        (got,) = session.run(None, {"image": images})
        with torch.no_grad():
            expected = pictures(torch.from_numpy(images)).numpy()
        assert got.shape == shape
        assert np.abs(got.astype(int) - expected).max() <= 1


def test_nothing_tells_of_the_machine(model: ModelProto, tiny_style: TinyStyle) -> None:
    content = tiny_style.exported.path.read_bytes()
    for trace in (Path.cwd(), Path.home(), Path(sys.prefix), tiny_style.exported.path.parent, "site-packages", ".py"):
        assert str(trace).encode() not in content
    assert b"/home/painter" not in content
    assert b"pkg.torch" not in content
    graph = model.graph
    for thing in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        assert not thing.doc_string
        assert not thing.metadata_props


def test_everything_is_in_the_one_file(model: ModelProto) -> None:
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_onnx_runtime_has_nothing_to_complain_of(tiny_style: TinyStyle, capfd: pytest.CaptureFixture[str]) -> None:
    session = onnxruntime.InferenceSession(tiny_style.exported.path, providers=["CPUExecutionProvider"])
    for side in (16, 33):
        session.run(None, {"image": np.zeros((1, side, side, 3), np.uint8)})
    assert capfd.readouterr() == ("", "")
