"""The network of the small presets in tiles: its skips past the neck, its margin, its zeros."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fststyle.serving.fixed_norms import FixedEngine, Runtime
from fststyle.serving.graph import read_graph
from fststyle.serving.receptive_field import ReceptiveField, receptive_field
from fststyle.serving.tiles import measure, run_tiles


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    from fststyle.nn.networks import FastArchitecture, initial_network
    from fststyle.styles import Painting
    from fststyle.training.export import export_network
    from fststyle.training.recipe import Recipe

    path = tmp_path_factory.mktemp("fast_style") / "fast.onnx"
    painting = Painting(title="Stripes", artist="Nobody", year="2024", licence="CC0-1.0")
    network = initial_network(FastArchitecture(half=4, quarter=5, trunk=6, blocks=1, fine=1), seed=0)
    export_network(network, Recipe(name="fast", file="stripes.png", painting=painting), output=path)
    return Runtime(path, read_graph(path), "cpu", 1)


@pytest.fixture(scope="module")
def field(runtime: Runtime) -> ReceptiveField:
    return receptive_field(runtime.graph)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(height * 10_000 + width)
    clouds = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8)).resize((width, height))
    return np.clip(np.asarray(clouds) + random.integers(-30, 31, (height, width, 3)), 0, 255).astype(np.uint8)


def test_the_reach_is_that_of_the_layers(field: ReceptiveField) -> None:
    """From a pixel: the last convolutions, the doubled features at half and at a quarter, two residual convolutions
    and the strided ones; what a pixel depends on is also found by changing one.
    """
    assert field.multiple == 8
    assert field.neck is None
    assert 30 < field.radius < 60


@pytest.mark.parametrize("place", [(120, 120), (123, 125), (127, 126)])
def test_no_pixel_depends_on_one_beyond_the_reach(
    runtime: Runtime, field: ReceptiveField, place: tuple[int, int]
) -> None:
    picture = noise(256, 264)
    engine = FixedEngine(runtime, measure(runtime, picture))
    changed = picture.copy()
    changed[place] ^= 255
    rows, columns = np.nonzero((engine(picture[None]) != engine(changed[None]))[0].any(axis=2))
    farthest = max(np.abs(rows - place[0]).max(), np.abs(columns - place[1]).max())
    assert 4 < farthest <= field.radius


@pytest.mark.parametrize("size", [(300, 420), (301, 419), (203, 64), (67, 331), (16, 400), (7, 350), (1, 1)])
@pytest.mark.parametrize("side", [64, 101, 5000])
def test_tiles_give_what_the_whole_picture_gives_with_the_same_statistics(
    runtime: Runtime, field: ReceptiveField, size: tuple[int, int], side: int
) -> None:
    picture = noise(*size)
    statistics = measure(runtime, picture)
    whole = FixedEngine(runtime, statistics)(picture[None])[0].astype(int)
    assert np.abs(run_tiles(runtime, statistics, picture, field, side) - whole).max() <= 1
