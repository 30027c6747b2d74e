"""The network as it is run on the CPU against the file as it is: the same pictures, to rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper

from fststyle.serving.cpu_network import for_cpu
from fststyle.serving.engine import Engine
from fststyle.serving.providers import CPU
from fststyle.styles import find_style

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def session(model: Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=[CPU])


def noise(count: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(width).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.mark.parametrize(("count", "height", "width"), [(1, 16, 16), (1, 37, 70), (2, 45, 32)])
@pytest.mark.parametrize("style", ["udnie_realtime", "starry_night_balanced", "great_wave"])
def test_the_picture_is_the_same(style: str, count: int, height: int, width: int) -> None:
    model, images = find_style(CHECKPOINTS / f"{style}.onnx").path, noise(count, height, width)
    (plain,), (shorter,) = (session(network).run(None, {"image": images}) for network in (model, for_cpu(model)))
    assert shorter.shape == plain.shape == images.shape
    apart = np.abs(shorter.astype(int) - plain)
    assert apart.max() <= 1
    assert apart.mean() < 0.001


def test_a_palettes_mix_is_the_same(palette_file: Path) -> None:
    feeds = {"image": noise(1, 40, 50), "styles": np.array([0.3, 0.2, 0.5], np.float32)}
    (plain,), (shorter,) = (session(network).run(None, feeds) for network in (palette_file, for_cpu(palette_file)))
    assert np.abs(shorter.astype(int) - plain).max() <= 1


def test_engines_on_the_cpu_run_it(palette_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    real = onnxruntime.InferenceSession

    def recorded(model: object, *rest: object, **others: object) -> object:
        made.append(model)
        return real(model, *rest, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
    Engine(palette_file, device="cpu", threads=1)
    assert made == [for_cpu(palette_file)]


@pytest.mark.parametrize("style", ["udnie_realtime", "starry_night_balanced", "palette"])
def test_no_pass_over_all_pixels_of_float32_is_left_at_the_ends(style: str) -> None:
    changed = for_cpu(CHECKPOINTS / f"{style}.onnx")
    assert isinstance(changed, bytes)
    network = onnx.load_from_string(changed)
    onnx.checker.check_model(network, full_check=True)
    operators = [node.op_type for node in network.graph.node]
    assert not {"Div", "Sub", "Clip", "Round", "DepthToSpace"} & set(operators)
    assert operators.count("QuantizeLinear") == 1


def test_the_file_stays_as_it_is(palette_file: Path) -> None:
    before = palette_file.read_bytes()
    for_cpu(palette_file)
    assert palette_file.read_bytes() == before


@pytest.mark.parametrize("opset", [12, 20])
def test_what_is_not_known_is_left_as_it_is(palette_file: Path, tmp_path: Path, opset: int) -> None:
    foreign = helper.make_node("Identity", ["image"], ["stylized"])
    network = onnx.load(palette_file)
    if opset == 20:
        del network.graph.node[:]
        network.graph.node.append(foreign)
    network.opset_import[0].version = opset
    onnx.save(network, tmp_path / "other.onnx")
    assert for_cpu(tmp_path / "other.onnx") == tmp_path / "other.onnx"
