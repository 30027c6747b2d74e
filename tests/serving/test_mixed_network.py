"""A palette's network: weights with each picture, weights built in, and what else changes networks when they load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from fststyle.colour import blend
from fststyle.errors import ModelError, OptionError, StyleNotFoundError
from fststyle.mixes import Mix
from fststyle.serving.engine import Engine
from fststyle.serving.half import half_precision
from fststyle.serving.memory import fits
from fststyle.serving.mixed_network import mixed_network
from fststyle.serving.network_file import STYLES
from fststyle.serving.steady import SteadyEngine
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.tiles import stylise_tiled
from fststyle.styles import read_style
from fststyle.training.checkpoint import exported_network
from fststyle.training.onnx_graph import PictureNet

WEIGHTS = (0.2, 0.5, 0.3)


def noise(height: int = 60, width: int = 90) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)


def engine(palette_file: Path, weights: tuple[float, ...] = WEIGHTS) -> Engine:
    return Engine(palette_file, device="cpu", threads=1, weights=weights)


def largest(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("weights", [WEIGHTS, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)])
def test_a_mix_is_what_torch_computes(palette_file: Path, weights: tuple[float, ...]) -> None:
    pictures = PictureNet(exported_network(read_style(palette_file))).eval()
    with torch.no_grad():
        expected = pictures(torch.from_numpy(noise()), torch.tensor(weights)).numpy()
    assert largest(engine(palette_file, weights)(noise()), expected) <= 1


def test_without_weights_it_paints_the_first_style(palette_file: Path) -> None:
    assert np.array_equal(engine(palette_file, ())(noise()), engine(palette_file, (0, 1, 0))(noise()))


def test_other_weights_take_no_new_session(palette_file: Path) -> None:
    first = engine(palette_file)
    other = first.mixed((0, 0, 1))
    assert other._session is first._session
    assert np.array_equal(other(noise()), engine(palette_file, (0, 0, 1))(noise()))
    assert np.array_equal(first(noise()), engine(palette_file)(noise()))
    assert largest(first(noise()), other(noise())) > 1


def test_weights_must_be_as_many_as_styles(palette_file: Path, tiny_style_file: Path) -> None:
    with pytest.raises(OptionError, match="3 styles to mix, got 2 weights"):
        engine(palette_file, (0.5, 0.5))
    with pytest.raises(OptionError, match="0 styles to mix, got 1 weights"):
        Engine(tiny_style_file, device="cpu", weights=(1.0,))


def test_with_the_weights_built_in_it_is_a_network_of_one_style(palette_file: Path) -> None:
    content = mixed_network(palette_file, WEIGHTS)
    assert isinstance(content, bytes)
    graph = onnx.load_from_string(content).graph
    assert [value.name for value in graph.input] == ["image"]
    assert not any(STYLES in node.input for node in graph.node)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert largest(session.run(None, {"image": noise()})[0], engine(palette_file)(noise())) <= 1


def test_a_network_of_one_style_stays_as_it_is(tiny_style_file: Path) -> None:
    assert mixed_network(tiny_style_file, ()) == tiny_style_file


def test_a_network_that_mixes_otherwise_is_refused(palette_file: Path, tmp_path: Path) -> None:
    model = onnx.load(palette_file)
    next(node for node in model.graph.node if STYLES in node.input).op_type = "Gemm"
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match="does not mix its styles as a palette does: Gemm"):
        mixed_network(tmp_path / "odd.onnx", WEIGHTS)


def test_tiles_and_steady_video_are_of_the_mix(palette_file: Path) -> None:
    whole = engine(palette_file)(noise(200, 330))
    assert largest(stylise_tiled(engine(palette_file), palette_file, noise(200, 330)[0], 128), whole[0]) <= 1
    steady = SteadyEngine(palette_file, device="cpu", threads=1, weights=WEIGHTS)
    assert largest(steady(noise(200, 330)), whole) <= 1


def test_room_is_told_for_a_palette_too(palette_file: Path) -> None:
    assert fits(palette_file, 100_000)
    assert not fits(palette_file, 10**12)


def test_in_float16_scales_and_shifts_are_mixed_in_float32(palette_file: Path) -> None:
    session = onnxruntime.InferenceSession(half_precision(palette_file), providers=["CPUExecutionProvider"])
    weights = np.array(WEIGHTS, np.float32)
    assert largest(session.run(None, {"image": noise(), STYLES: weights})[0], engine(palette_file)(noise())) <= 3


def test_the_stylizer_mixes_by_name(palette_file: Path) -> None:
    photo = noise()[0]
    asked = Stylizer(f"dawn:1,dusk:3@{palette_file}", device="cpu")
    assert (asked.style.name, asked.style.label) == ("dawn:1,dusk:3", "dawn-1+dusk-3")
    assert asked.style.weights == (0.0, 0.25, 0.75)
    alone = Stylizer(palette_file, device="cpu")
    assert np.array_equal(alone.mixed(Mix({"dawn": 1, "dusk": 3}))(photo), asked(photo))
    assert np.array_equal(asked(photo), engine(palette_file, (0, 0.25, 0.75))(photo[None])[0])
    with pytest.raises(StyleNotFoundError, match="no palette holds a style named 'noon'"):
        alone.mixed(Mix({"noon": 1}))


def test_a_mix_comes_as_near_to_the_photo_as_the_photo_has_weight_in_it(palette_file: Path) -> None:
    photo = noise()[0]

    def distance(weight: float) -> float:
        mixed = Stylizer(f"dusk:{1 - weight},photo:{weight}@{palette_file}", device="cpu")(photo)
        return float(np.abs(mixed.astype(int) - photo).mean())

    assert np.array_equal(Stylizer(f"photo@{palette_file}", device="cpu")(photo), photo)
    near = [distance(weight) for weight in (0.9, 0.97, 0.99)]
    assert near == sorted(near, reverse=True)
    assert near[-1] < 3


def test_strength_can_be_inside_the_network(palette_file: Path, tiny_style_file: Path) -> None:
    photo, stylizer = noise()[0], Stylizer(f"dusk@{palette_file}", device="cpu")
    assert np.array_equal(stylizer(photo, strength=1, blend="network"), stylizer(photo))
    assert np.array_equal(stylizer(photo, strength=0, blend="network"), photo)
    mixed = engine(palette_file, (0.4, 0.0, 0.6))(photo[None])[0]
    expected = blend(photo, mixed, 1 - 0.4**2)
    assert largest(stylizer(photo, strength=0.6, blend="network"), expected) <= 1
    with pytest.raises(OptionError, match="network of one style, so that blend must be pixels"):
        Stylizer(tiny_style_file, device="cpu")(photo, strength=0.5, blend="network")
    with pytest.raises(OptionError, match="blend must be pixels or network, got 'netwrok'"):
        stylizer(photo, blend="netwrok")  # type: ignore[call-overload]
