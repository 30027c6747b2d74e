from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from fststyle.serving.engine import Engine
from fststyle.serving.fixed_norms import FixedEngine, MeasuringEngine, Runtime, Statistics
from fststyle.serving.graph import read_graph
from fststyle.serving.norm_statistics import GIVEN, MEMORY, USED, with_norm_statistics
from fststyle.serving.providers import CPU


@pytest.fixture(scope="module")
def runtime(tiny_style_file: Path) -> Runtime:
    return Runtime(tiny_style_file, read_graph(tiny_style_file), "cpu", 1)


def noise(seed: int, height: int = 45, width: int = 54) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def statistics(runtime: Runtime) -> list[Statistics]:
    return MeasuringEngine(runtime).measure(noise(0))


def test_measuring_leaves_the_result_as_it_is(runtime: Runtime) -> None:
    plain = Engine(runtime.model, device="cpu", threads=1)(noise(0)[None]).astype(int)
    assert np.abs(MeasuringEngine(runtime)(noise(0)[None]) - plain).max() <= 1


def test_statistics_are_those_that_the_norms_use(runtime: Runtime, statistics: list[Statistics]) -> None:
    """The graph that spells its norms out tells what they used."""
    import onnxruntime

    network, channels = with_norm_statistics(runtime.model)
    inputs = {
        "image": noise(0)[None],
        GIVEN: np.zeros((2, channels), np.float32),
        MEMORY: np.array(0, np.float32),
    }
    (used,) = onnxruntime.InferenceSession(network, providers=[CPU]).run([USED], inputs)
    for row, values in enumerate(zip(*statistics, strict=True)):
        np.testing.assert_allclose(np.concatenate(values), used[row], rtol=1e-3, atol=1e-3)


def test_a_pictures_own_statistics_change_nothing(runtime: Runtime, statistics: list[Statistics]) -> None:
    plain = Engine(runtime.model, device="cpu", threads=1)(noise(0)[None]).astype(int)
    assert np.abs(FixedEngine(runtime, statistics)(noise(0)[None]) - plain).max() <= 1


def test_given_statistics_are_used(runtime: Runtime, statistics: list[Statistics]) -> None:
    """Of another picture, the result is no longer that of the plain network."""
    plain = Engine(runtime.model, device="cpu", threads=1)(255 - noise(0)[None] // 2).astype(int)
    assert np.abs(FixedEngine(runtime, statistics)(255 - noise(0)[None] // 2) - plain).max() > 3


def test_no_norm_is_left_and_the_file_stays(runtime: Runtime, statistics: list[Statistics]) -> None:
    before = runtime.model.read_bytes()
    engine = FixedEngine(runtime, statistics, borders=False)
    changed = onnx.load_from_string(engine._network(runtime.model))
    onnx.checker.check_model(changed, full_check=True)
    operators = [node.op_type for node in changed.graph.node]
    assert "InstanceNormalization" not in operators
    assert operators.count("BatchNormalization") == len(statistics)
    assert runtime.model.read_bytes() == before


def test_without_borders_the_middle_is_the_same(runtime: Runtime, statistics: list[Statistics]) -> None:
    picture = noise(1, 160, 160)[None]
    whole, inner = (FixedEngine(runtime, statistics, borders=borders)(picture).astype(int) for borders in (True, False))
    assert np.abs(whole - inner)[:, 72:-72, 72:-72].max() <= 1
    assert np.abs(whole - inner)[:, :8].max() > 1
