"""Pictures in tiles: no seams, no more memory, and the edges as they are."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fststyle import Stylizer
from fststyle.errors import DeviceError, ModelError, OptionError
from fststyle.serving import tiles as tiles_module
from fststyle.serving.engine import Engine
from fststyle.serving.fixed_norms import FixedEngine, Runtime, Trim
from fststyle.serving.graph import read_graph
from fststyle.serving.look import Look
from fststyle.serving.memory import OVERHEAD
from fststyle.serving.receptive_field import Neck, ReceptiveField, receptive_field
from fststyle.serving.tile_choice import Tiling, parse_tile, wants_tiles
from fststyle.serving.tiles import measure, run_tiles, side_for, stylise_tiled, tiles


@pytest.fixture(scope="module")
def runtime(tiny_style_file: Path) -> Runtime:
    return Runtime(tiny_style_file, read_graph(tiny_style_file), "cpu", 1)


@pytest.fixture(scope="module")
def field(runtime: Runtime) -> ReceptiveField:
    return receptive_field(runtime.graph)


@pytest.fixture(scope="module")
def stylizer(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=1)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """Clouds with grain: neither flat nor without any structure."""
    random = np.random.default_rng(height * 10_000 + width)
    clouds = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8)).resize((width, height))
    return np.clip(np.asarray(clouds) + random.integers(-30, 31, (height, width, 3)), 0, 255).astype(np.uint8)


SIZES = [(300, 420), (301, 419), (203, 64), (67, 331), (16, 400), (7, 350), (1, 1), (258, 130)]


@pytest.mark.parametrize("neck", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [64, 101, 5000])
def test_tiles_give_what_the_whole_picture_gives_with_the_same_statistics(
    runtime: Runtime, field: ReceptiveField, size: tuple[int, int], side: int, neck: bool
) -> None:
    """Sizes that are no multiples of four, edges, a strip below the smallest picture, tiles larger than the picture;
    with the surroundings cut off within the network and at its end.
    """
    picture = noise(*size)
    statistics = measure(runtime, picture)
    whole = FixedEngine(runtime, statistics)(picture[None])[0].astype(int)
    field = field if neck else replace(field, neck=None)
    assert np.abs(run_tiles(runtime, statistics, picture, field, side) - whole).max() <= 1


def test_a_picture_below_the_thumbnails_size_is_what_it_is_untiled(stylizer: Stylizer) -> None:
    picture = noise(333, 250)
    assert np.abs(stylizer(picture, tile=64).astype(int) - stylizer(picture, tile="off")).max() <= 1


def test_statistics_are_those_of_the_whole_pictures_thumbnail(runtime: Runtime) -> None:
    """Of a larger picture: what is measured is what its thumbnail has."""
    picture = noise(60, 1500)
    small = np.asarray(Image.fromarray(picture).resize((1024, 41), Image.Resampling.LANCZOS))
    for found, expected in zip(measure(runtime, picture), measure(runtime, small), strict=True):
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("size", [(1000, 700), (999, 701), (64, 64), (65, 3), (1, 1), (4096, 20)])
@pytest.mark.parametrize("side", [64, 97, 300, 10_000])
def test_every_pixel_is_in_one_tile_and_sees_its_surroundings(
    field: ReceptiveField, size: tuple[int, int], side: int
) -> None:
    width, height = size
    covered = np.zeros((height, width), int)
    for tile in tiles(width, height, side, field):
        covered[tile.rows, tile.columns] += 1
        for own, seen, length in ((tile.rows, tile.seen[0], height), (tile.columns, tile.seen[1], width)):
            assert own.stop - own.start <= side
            assert seen.start == 0 or (seen.start <= own.start - field.radius and seen.start % field.multiple == 0)
            assert seen.stop == length or (seen.stop >= own.stop + field.radius and seen.stop % field.multiple == 0)
            assert tile.trim == Trim() or tile.stride == field.neck.stride  # type: ignore[union-attr]
            if tile.inner:
                assert own.start - field.radius >= 0
                assert own.stop + field.radius <= length
    assert (covered == 1).all()


def test_inner_tiles_come_first(field: ReceptiveField) -> None:
    inner = [tile.inner for tile in tiles(500, 500, 64, field)]
    assert inner == sorted(inner, reverse=True)
    assert True in inner
    assert False in inner


@pytest.mark.parametrize("neck", [None, Neck("a", 4, 4, 1, 60.0, 100.0), Neck("a", 4, 4, 1, 100.0, 20.0)])
def test_tiles_are_as_large_as_the_workspace_allows(neck: Neck | None) -> None:
    field = ReceptiveField(60, 4, 100.0, neck)
    side = side_for(field)
    assert side % 4 == 0
    before, after = (neck.bytes_before, neck.bytes_after) if neck else (100.0, 0.0)
    for larger, allowed in ((0, True), (8, False)):
        taken = max((side + larger + 120) ** 2 * before, (side + larger + 32) ** 2 * after) * OVERHEAD
        assert (taken <= tiles_module.WORKSPACE) == allowed


def test_strength_colour_and_transparency_are_as_without_tiles(stylizer: Stylizer) -> None:
    picture = np.dstack((noise(200, 150), noise(200, 150)[..., 0]))
    whole, tiled = (stylizer(picture, tile=tile, strength=0.7, keep_color=True).astype(int) for tile in ("off", 64))
    assert np.abs(whole - tiled).max() <= 1
    np.testing.assert_array_equal(tiled[..., 3], picture[..., 3])


def test_progress_is_told(tiny_style_file: Path) -> None:
    told: list[tuple[Tiling, int]] = []
    stylizer = Stylizer(
        tiny_style_file, device="cpu", threads=1, progress=lambda tiling, done: told.append((tiling, done))
    )
    stylizer(noise(100, 120), tile=64)
    stylizer(noise(100, 120))
    assert {tiling for tiling, _ in told} == {Tiling(120, 100, 64, 4)}
    assert [done for _, done in told] == [0, 1, 2, 3, 4]


def test_auto_leaves_small_pictures_whole(tiny_style_file: Path) -> None:
    assert not wants_tiles("auto", 2_000_000, tiny_style_file)
    assert wants_tiles("auto", 16_000_001, tiny_style_file)
    assert wants_tiles(64, 10, tiny_style_file)
    assert not wants_tiles("off", 10**9, tiny_style_file)


def test_auto_takes_tiles_for_what_does_not_fit(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fststyle.serving.memory.available_memory", lambda: 100_000_000)
    assert wants_tiles("auto", 2_000_000, tiny_style_file)
    assert not wants_tiles("auto", 100_000, tiny_style_file)
    # What the engine still holds of the picture before serves again.
    assert not wants_tiles("auto", 2_000_000, tiny_style_file, held_pixels=2_000_000)


def test_auto_tries_tiles_when_memory_runs_out(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    expected = stylizer(noise(90, 80)).astype(int)

    def full(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(stylizer.engine, "_compute", full)
    assert np.abs(stylizer(noise(90, 80)) - expected).max() <= 1
    with pytest.raises(DeviceError, match="a picture of 80 x 90; set --max-size or --tile"):
        stylizer(noise(90, 80), tile="off")


def test_too_little_memory_for_a_tile_says_so(stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_bound(*arguments: object) -> None:
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr("fststyle.serving.fixed_norms.run_bound", run_bound)
    with pytest.raises(DeviceError, match="tiles of 80 x 80 pixels; set a smaller --tile"):
        stylizer(noise(90, 80), tile=80)


def test_a_network_that_cannot_be_followed_is_run_whole_by_auto(
    stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(graph: object) -> None:
        raise ModelError("its operator X cannot be followed")

    monkeypatch.setattr("fststyle.serving.receptive_field.receptive_field", unknown)
    monkeypatch.setattr("fststyle.serving.tiles.receptive_field", unknown)
    monkeypatch.setattr("fststyle.serving.memory.available_memory", lambda: 1000)
    monkeypatch.setattr("fststyle.serving.tile_choice.LARGEST_UNTILED", 1000)
    assert stylizer(noise(90, 80)).shape == (90, 80, 3)
    with pytest.raises(ModelError, match="operator X"):
        stylizer(noise(90, 80), tile=64)


@pytest.mark.parametrize("text", ["atuo", "", "1.5", "63", "0", "-4"])
def test_other_sizes_of_tiles_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="tile"):
        parse_tile(text)


@pytest.mark.parametrize("tile", ["atuo", 63, -1])
def test_a_look_refuses_them_too(tile: object) -> None:
    with pytest.raises(OptionError, match="tile"):
        Look(tile=tile)  # type: ignore[arg-type]


def test_sizes_of_tiles_are_read() -> None:
    assert [parse_tile(text) for text in ("auto", "off", "512")] == ["auto", "off", 512]


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
import fststyle.serving.tiles as tiles
from fststyle.serving.engine import Engine

def mebibytes(field):
    return int(re.search(field + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

tiles.THUMBNAIL_SIDE = 256
engine = Engine(Path(sys.argv[1]), device="cpu", threads=1)
picture = np.zeros((1600, 1600, 3), np.uint8)
before = mebibytes("VmRSS")
if sys.argv[2] == "off":
    engine(picture[None])
else:
    tiles.stylise_tiled(engine, Path(sys.argv[1]), picture, int(sys.argv[2]))
print(mebibytes("VmHWM") - before)
print(sorted({"torch", "onnx"} & set(sys.modules)))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_memory_does_not_grow_with_the_picture(tiny_style_file: Path) -> None:
    """And neither torch nor onnx is needed."""
    grown = {}
    for tile in ("off", "256"):
        command = [sys.executable, "-c", MEMORY, str(tiny_style_file), tile]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        grown[tile] = int(printed[0])
        assert printed[1] == "[]"
    assert grown["off"] > 200
    assert grown["256"] < grown["off"] / 3


def test_a_large_result_lies_in_a_file_that_has_no_name(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(runtime.model, device="cpu", threads=1)
    expected = stylise_tiled(engine, runtime.model, noise(90, 80), 64)
    monkeypatch.setattr("fststyle.strips.IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stored = stylise_tiled(engine, runtime.model, noise(90, 80), 64)
    assert isinstance(stored, np.memmap)
    np.testing.assert_array_equal(stored, expected)
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(DeviceError, match="no room for the result of 80 x 90 pixels"):
        stylise_tiled(engine, runtime.model, noise(90, 80), 64)
