"""Instance norms that remember: the graph with its statistics outside, and the engine that carries them along."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from fststyle import Stylizer
from fststyle.errors import DependencyError, InputError, ModelError, OptionError
from fststyle.serving.engine import Engine
from fststyle.serving.norm_statistics import GIVEN, MEMORY, USED, with_norm_statistics
from fststyle.serving.providers import CPU
from fststyle.serving.steady import SteadyEngine

Floats = NDArray[np.float32]


class Network:
    """A network with its statistics outside."""

    def __init__(self, file: Path) -> None:
        network, self.channels = with_norm_statistics(file)
        onnx.checker.check_model(onnx.load_from_string(network), full_check=True)
        self._session = onnxruntime.InferenceSession(network, providers=[CPU])

    def __call__(self, picture: NDArray[np.uint8], given: Floats, memory: float) -> tuple[NDArray[np.int_], Floats]:
        inputs = {"image": picture, GIVEN: given, MEMORY: np.array(memory, np.float32)}
        stylized, used = self._session.run(["stylized", USED], inputs)
        return stylized.astype(int), used

    @property
    def nothing(self) -> Floats:
        return np.zeros((2, self.channels), np.float32)


@pytest.fixture(scope="module")
def network(tiny_style_file: Path) -> Network:
    return Network(tiny_style_file)


def noise(seed: int, height: int = 40, width: int = 53) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), np.uint8)


def test_without_memory_it_is_the_plain_network(tiny_style_file: Path, network: Network) -> None:
    plain = Engine(tiny_style_file, device="cpu", threads=1)
    stylized, _ = network(noise(0), network.nothing, 0)
    assert np.abs(stylized - plain(noise(0))).max() <= 1


def test_measured_statistics_are_those_of_the_first_convolution(tiny_style_file: Path, network: Network) -> None:
    """Checked by hand for the first norm: reflection padding, convolution, mean and variance over space."""
    initializers = {tensor.name: tensor for tensor in onnx.load(tiny_style_file).graph.initializer}
    kernels = numpy_helper.to_array(initializers["stem.1.weight"]).astype(float)  # [C, 3, 9, 9]
    photo = noise(1, 16, 20)[0].astype(float).transpose(2, 0, 1) / 255
    padded = np.pad((photo - 0.5) * 4, ((0, 0), (4, 4), (4, 4)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (9, 9), (1, 2))
    found = np.einsum("chwij,ocij->ohw", windows, kernels)
    _, used = network(noise(1, 16, 20), network.nothing, 0)
    np.testing.assert_allclose(used[0, : len(found)], found.mean(axis=(1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(used[1, : len(found)], found.var(axis=(1, 2)), rtol=1e-3, atol=1e-4)


def test_its_own_statistics_change_nothing_and_are_kept(network: Network) -> None:
    first, used = network(noise(0), network.nothing, 0)
    again, kept = network(noise(0), used, 1)
    assert np.abs(first - again).max() <= 1
    np.testing.assert_array_equal(kept, used)


def test_memory_mixes_given_and_measured(network: Network) -> None:
    """At the first norm, which nothing stands before: at later ones, what is measured depends on the mixture."""
    _, one = network(noise(0), network.nothing, 0)
    _, other = network(255 - noise(0), network.nothing, 0)
    _, mixed = network(noise(0), other, 0.25)
    first = slice(0, 4)
    np.testing.assert_allclose(mixed[:, first], (0.25 * other + 0.75 * one)[:, first], rtol=1e-4, atol=1e-5)


def test_given_statistics_tie_a_part_to_the_whole(network: Network) -> None:
    """The middle of a part, run with the whole picture's statistics, is the middle of the whole: no border, no seam."""
    whole, used = network(noise(2, 128, 160), network.nothing, 0)
    part, _ = network(noise(2, 128, 160)[:, :, :128], used, 1)
    assert np.abs(part[:, 56:72, 56:72] - whole[:, 56:72, 56:72]).max() <= 1


def test_an_engine_carries_them_from_frame_to_frame(tiny_style_file: Path, network: Network) -> None:
    engine = SteadyEngine(tiny_style_file, memory=0.5, device="cpu", threads=1)
    frames = [noise(0), (noise(0) * 0.9).astype(np.uint8), (noise(0) * 0.8).astype(np.uint8)]
    statistics, memory = network.nothing, 0.0
    for frame in frames:
        expected, statistics = network(frame, statistics, memory)
        assert np.abs(engine(frame) - expected).max() <= 1
        memory = 0.5


def test_a_cut_begins_anew(tiny_style_file: Path) -> None:
    dark, bright = (np.full((1, 32, 32, 3), level, np.uint8) for level in (10, 240))
    dark[:, 8:20, 8:20], bright[:, 4:9] = 60, 180
    steady, plain = (kind(tiny_style_file, device="cpu", threads=1) for kind in (SteadyEngine, Engine))
    for frame in (dark, bright):
        assert np.abs(steady(frame).astype(int) - plain(frame)).max() <= 1


def test_pictures_smaller_than_the_network_takes_are_continued(tiny_style_file: Path) -> None:
    engine = SteadyEngine(tiny_style_file, device="cpu", threads=1)
    assert engine(noise(0, 5, 7)).shape == (1, 5, 7, 3)


def test_a_stylizer_gives_one_for_frames_and_stays_as_it_is(tiny_style_file: Path) -> None:
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    steady = stylizer.steady()
    assert isinstance(steady.engine, SteadyEngine)
    assert not isinstance(stylizer.engine, SteadyEngine)
    assert np.abs(steady(noise(0)[0]).astype(int) - stylizer(noise(0)[0])).max() <= 1


@pytest.mark.parametrize("memory", [-0.1, 1.0, float("nan")])
def test_a_memory_that_never_forgets_is_refused(tiny_style_file: Path, memory: float) -> None:
    with pytest.raises(OptionError, match="memory must be 0 to below 1"):
        SteadyEngine(tiny_style_file, memory=memory)


def test_frames_come_one_at_a_time(tiny_style_file: Path) -> None:
    engine = SteadyEngine(tiny_style_file, device="cpu", threads=1)
    with pytest.raises(InputError, match="one frame at a time, got 2"):
        engine(np.zeros((2, 16, 16, 3), np.uint8))


def test_without_onnx_the_error_names_the_extra(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DependencyError, match=r"fststyle\[video\]"):
        with_norm_statistics(tiny_style_file)


def test_a_damaged_file_is_the_models_fault(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="damaged"):
        with_norm_statistics(tmp_path / "a.onnx")


def test_the_mix_may_change_between_frames_and_the_memory_stays(palette_file: Path) -> None:
    steady, plain = (kind(palette_file, device="cpu", threads=1) for kind in (SteadyEngine, Engine))
    dusk, frame = (0.0, 0.0, 1.0), noise(0)
    assert np.abs(steady(frame).astype(int) - plain(frame)).max() <= 1
    remembered = steady.mixed(dusk)((frame * 0.9).astype(np.uint8)).astype(int)
    alone = SteadyEngine(palette_file, device="cpu", threads=1, weights=dusk)
    assert np.abs(remembered - alone((frame * 0.9).astype(np.uint8))).max() > 1
    lasting = SteadyEngine(palette_file, device="cpu", threads=1)
    lasting(frame)
    assert np.abs(lasting.mixed(dusk)((frame * 0.9).astype(np.uint8)) - remembered).max() <= 1
