"""The network for the GPU, run on the CPU: what differs is the provider, not the arithmetic asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from fststyle.errors import DependencyError, ModelError
from fststyle.serving.engine import run_bound
from fststyle.serving.half import half_precision
from fststyle.serving.providers import CPU


@pytest.fixture(scope="module")
def half(tiny_style_file: Path) -> bytes:
    return half_precision(tiny_style_file)


def session(model: str | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=[CPU])


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (2, 37, 50, 3)])
def test_it_gives_the_picture_of_the_float32_network(
    tiny_style_file: Path, half: bytes, shape: tuple[int, ...]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    models = (str(tiny_style_file), half)
    whole, halved = (session(model).run(None, {"image": images})[0].astype(int) for model in models)
    assert whole.shape == shape
    difference = np.abs(whole - halved)
    assert difference.max() <= 3
    assert (difference <= 1).mean() > 0.99


def test_only_norms_stay_in_float32(half: bytes) -> None:
    graph = onnx.load_from_string(half).graph
    onnx.checker.check_model(onnx.load_from_string(half), full_check=True)
    precise = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    used = {node.op_type for node in graph.node if precise & set(node.input)}
    assert used <= {"InstanceNormalization", "Resize"}
    assert any(tensor.data_type == TensorProto.FLOAT16 for tensor in graph.initializer)


def test_the_file_itself_is_not_touched(tiny_style_file: Path) -> None:
    before = tiny_style_file.read_bytes()
    half_precision(tiny_style_file)
    assert tiny_style_file.read_bytes() == before


def test_without_onnx_the_error_names_the_extra(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DependencyError, match=r"fststyle\[gpu\]"):
        half_precision(tiny_style_file)


def test_a_damaged_file_is_the_models_fault(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="damaged"):
        half_precision(tmp_path / "a.onnx")


def test_binding_both_ends_changes_nothing(tiny_style_file: Path) -> None:
    network = session(str(tiny_style_file))
    images = np.random.default_rng(1).integers(0, 256, (1, 20, 33, 3), np.uint8)
    (bound,) = run_bound(network, {"image": images}, ["stylized"])
    np.testing.assert_array_equal(bound, network.run(["stylized"], {"image": images})[0])
