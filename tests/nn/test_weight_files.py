"""A file of weights holds what it says, or is refused in one line."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from fststyle.errors import OptionError, OutputError, WeightsError
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

if TYPE_CHECKING:
    pass

TINY = VGGArchitecture("tiny", ((4,), (5, 6)))


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
    damage: Callable[[dict[str, Tensor]], None],
    message: str,
    tensors: dict[str, Tensor],
    state_dict: Callable[[dict[str, Tensor]], bytes],
    tmp_path: Path,
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


def test_pickled_code_in_a_state_dict_is_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    # protocol 0: os.mkdir(marker)
    path.write_bytes(f"cposix\nmkdir\n(V{marker}\ntR.".encode())
    with pytest.raises(WeightsError, match="cannot be read as a state dict"):
        read_state_dict(path, TINY)
    assert not marker.exists()


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


def test_a_file_that_cannot_be_written_is_an_output_error(weights: VGGWeights, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*No such file"):
        write_safetensors(weights, tmp_path / "missing" / "a.safetensors")


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


def test_a_normalization_cannot_divide_by_zero_or_by_nan() -> None:
    with pytest.raises(OptionError, match="greater than 0"):
        Normalization((0.5, 0.5, 0.5), (1.0, 0.0, 1.0))
    with pytest.raises(OptionError, match="finite"):
        Normalization((0.5, float("nan"), 0.5), (1.0, 1.0, 1.0))
