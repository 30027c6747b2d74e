"""Detectors trip on faults that are drawn into pictures, and not on the pictures without them."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fststyle.errors import InputError
from fststyle.serving.engine import Engine
from fststyle.styles import find_style
from fststyle.training import detectors, stability
from fststyle.training.detectors import Finding, find_faults
from fststyle.training.preview import scene

SIDE = 128
CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
GOOD_STYLES = (
    *("great_wave", "composition_vii", "the_scream", "starry_night_balanced"),
    *("great_wave_realtime", "the_scream_realtime", "composition_vii_realtime", "udnie_realtime"),
    *("wheat_field_with_cypresses_realtime", "winter_landscape_in_moonlight_realtime"),
    *("starry_night_realtime", "portrait_of_metzinger_realtime"),
)
"""Those that print no dots on a drawn scene."""
PAINTED_DOTS = 24.0
"""Spots in 10,000 pixels of The Starry Night with the brush that styles are trained with: dabs in its sky and stars."""

Picture = NDArray[np.uint8]


def clouds(seed: int, side: int = SIDE, lightest: int = 216) -> Picture:
    """Soft colours with fine grain, as photos have."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(40, lightest, (6, 6, 3), dtype=np.uint8))
    grain = random.normal(0, 2, (side, side, 1))
    return np.clip(np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)) + grain, 0, 255).astype(np.uint8)


def strokes(photo: Picture, seed: int) -> Picture:
    """A clean stylisation: the photo with short strokes in all directions on it."""
    random = np.random.default_rng(seed)
    result = photo.astype(float)
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    for _ in range(60):
        row, column = random.uniform(0, photo.shape[0], 2)
        angle, length, width = random.uniform(0, np.pi), random.uniform(12, 25), random.uniform(2, 4)
        along = (columns - column) * np.cos(angle) + (rows - row) * np.sin(angle)
        across = (rows - row) * np.cos(angle) - (columns - column) * np.sin(angle)
        stroke = np.exp(-((along / length) ** 2) - (across / width) ** 2)[..., None]
        result += stroke * random.normal(0, 30, 3)
    return np.clip(result, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs() -> tuple[Picture, Picture]:
    photos = np.stack([clouds(0), clouds(1), clouds(2, lightest=60)])
    return np.stack([strokes(photo, seed) for seed, photo in enumerate(photos)]), photos


def added(pictures: Picture, pattern: NDArray[np.floating]) -> Picture:
    """The same pattern, [H, W] in steps of 1/255, on every picture and channel."""
    return np.clip(np.rint(pictures + pattern[..., None]), 0, 255).astype(np.uint8)


def tripped(findings: list[Finding]) -> set[str]:
    return {finding.detector for finding in findings if finding.passed is False}


ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def test_clean_pictures_pass(pairs: tuple[Picture, Picture]) -> None:
    results, photos = pairs
    findings = find_faults(results, photos)
    assert [finding.passed for finding in findings] == [True] * 5
    assert tripped(find_faults(photos, photos)) == set()


@pytest.mark.parametrize("period", [2, 4, 8])
@pytest.mark.parametrize("across", [True, False])
def test_a_grid_is_found(pairs: tuple[Picture, Picture], period: int, across: bool) -> None:
    results, photos = pairs
    wave = np.cos(2 * np.pi * COLUMNS / period) * (1 if across else np.cos(2 * np.pi * ROWS / period))
    assert "checkerboard" in tripped(find_faults(added(results, 6 * wave), photos))


@settings(max_examples=15, deadline=None)
@given(st.floats(2.5, 40), st.integers(0, 3))
def test_a_checkerboard_is_found_at_any_strength_that_is_seen(strength: float, shift: int) -> None:
    photos = clouds(5)[None]
    board = strength * np.where((ROWS + COLUMNS + shift) % 2, 1.0, -1.0)
    found = detectors.checkerboard(added(photos, board), photos)
    assert found.figure is not None
    assert found.figure == pytest.approx(strength, rel=0.35)
    assert found.passed is False


def test_a_grid_that_the_photo_has_is_no_fault(pairs: tuple[Picture, Picture]) -> None:
    results, photos = pairs
    wave = 8 * np.cos(2 * np.pi * COLUMNS / 4)
    assert "checkerboard" not in tripped(find_faults(added(results, wave), added(photos, wave)))


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("value", [0, 255])
def test_a_frame_is_found(pairs: tuple[Picture, Picture], width: int, value: int) -> None:
    results, photos = pairs[0].copy(), pairs[1]
    results[:, :width], results[:, -width:] = value, value
    results[:, :, :width], results[:, :, -width:] = value, value
    assert "border" in tripped(find_faults(results, photos))


def test_an_edge_that_is_left_as_it_was_is_found(pairs: tuple[Picture, Picture]) -> None:
    results, photos = photos_kept_at_the_edge = pairs[0].copy(), pairs[1]
    results[:, :12] = photos[:, :12]
    results[:, -12:] = photos[:, -12:]
    results[:, :, :12] = photos[:, :, :12]
    results[:, :, -12:] = photos[:, :, -12:]
    assert "border" in tripped(find_faults(*photos_kept_at_the_edge))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_isolated_pixels_are_found_wherever_they_are(seed: int, light: bool) -> None:
    photos = clouds(7)[None]
    results = photos.copy()
    places = np.random.default_rng(seed).permutation(16 * 16)[:24]  # in cells of 8 pixels: apart from each other
    results[0, places // 16 * 8 + 3, places % 16 * 8 + 3] = 255 if light else 0
    assert detectors.dot_density(results[0]) - detectors.dot_density(photos[0]) > 5
    assert detectors.dots(results, photos).passed is False


def test_blobs_are_found_and_lines_are_not(pairs: tuple[Picture, Picture]) -> None:
    results, photos = pairs
    blobs, lines = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for row in range(10, SIDE - 10, 20):
        for column in range(10, SIDE - 10, 20):
            blobs += 120 * np.exp(-((ROWS - row) ** 2 + (COLUMNS - column) ** 2) / 4)
        lines += 120 * np.exp(-((ROWS - row) ** 2) / 4)
    assert "dots" in tripped(find_faults(added(results, blobs), photos))
    assert "dots" not in tripped(find_faults(added(results, lines), photos))


def test_dots_of_the_painting_are_told_beside_those_of_the_result(pairs: tuple[Picture, Picture]) -> None:
    results, photos = pairs
    dotted = strokes(clouds(3), 3)
    dotted[4:-4:8, 4:-4:8] = 255
    found = next(finding for finding in find_faults(results, photos, dotted) if finding.detector == "dots")
    plain = detectors.dots(results, photos)
    assert (found.figure, found.threshold) == (plain.figure, plain.threshold)
    assert found.note == f"{plain.note}; the painting has {detectors.dot_density(dotted):.1f}"
    assert detectors.dot_density(dotted) > 50


@pytest.mark.parametrize(("across", "down"), [(4, 4), (5, 7), (9, 6), (12, 12)])
def test_a_lattice_of_faint_dots_in_flat_areas_is_found(across: int, down: int) -> None:
    random = np.random.default_rng(2)
    photos = np.full((1, SIDE, SIDE, 3), (90, 140, 200)) + random.normal(0, 1, (1, SIDE, SIDE, 1))
    photos = photos.astype(np.uint8)
    spots = 9.0 * ((ROWS % down < 2) & (COLUMNS % across < 2))
    assert "lattice" in tripped(find_faults(added(photos, spots), photos))
    stripes = 9.0 * (np.sin(2 * np.pi * (ROWS + COLUMNS / 3) / 9))
    assert "lattice" not in tripped(find_faults(added(photos, stripes), photos))
    assert "lattice" not in tripped(find_faults(photos, photos))


def test_where_nothing_is_flat_no_lattice_is_looked_for() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    found = detectors.lattice(noise, noise)
    assert (found.figure, found.passed) == (None, None)
    assert "no flat area" in found.note


def test_what_is_cut_off_is_counted() -> None:
    photos = np.full((2, 64, 64, 3), 100, dtype=np.uint8)
    results = photos.copy()
    results[0, :32], results[1, :16] = 255, 0
    found = detectors.saturation(results, photos)
    assert found.figure == pytest.approx((0.5 + 0.25) / 2)
    assert found.passed is False
    assert detectors.saturation(photos, results).figure == 0


@pytest.mark.parametrize("name", GOOD_STYLES)
def test_shipped_styles_pass(name: str) -> None:
    photo = np.asarray(scene(192, 128))
    engine = Engine(find_style(CHECKPOINTS / f"{name}.onnx").path, device="cpu", threads=1)
    photos = photo[None]
    findings = find_faults(engine(photos), photos)
    assert tripped(findings) == set()
    grid = np.where((np.add(*np.mgrid[:128, :192]) // 2) % 2, 8.0, -8.0)
    assert "checkerboard" in tripped(find_faults(added(engine(photos), grid), photos))


def test_the_style_that_has_dots_has_fewer_than_its_painting() -> None:
    photos = np.asarray(scene(192, 128))[None]
    engine = Engine(find_style(CHECKPOINTS / "starry_night.onnx").path, device="cpu", threads=1)
    findings = find_faults(engine(photos), photos)
    assert tripped(findings) <= {"dots"}
    (dots,) = (finding.figure for finding in findings if finding.detector == "dots")
    assert dots is not None
    assert dots < PAINTED_DOTS / 2


@pytest.mark.parametrize("shapes", [((1, 64, 64, 3), (1, 64, 65, 3)), ((1, 63, 64, 3),) * 2, ((0, 64, 64, 3),) * 2])
def test_pictures_that_do_not_pair_or_are_too_small(shapes: tuple[tuple[int, ...], ...]) -> None:
    results, photos = (np.zeros(shape, np.uint8) for shape in shapes)
    with pytest.raises(InputError, match=r"pairs|at least 64 x 64"):
        find_faults(results, photos)


def test_a_network_that_moves_along_is_stable() -> None:
    photos = np.stack([clouds(seed) for seed in range(2)])
    shift, noise = stability.stability(lambda pictures: 255 - pictures, photos)
    assert shift.figure == 0
    assert noise.figure == pytest.approx(1)
    assert shift.passed
    assert noise.passed


def test_a_network_that_jumps_and_amplifies_is_not() -> None:
    photos = np.stack([clouds(seed) for seed in range(2)])

    def stylise(pictures: Picture) -> Picture:
        """Looks at every eighth pixel only, and enlarges contrast ninefold."""
        coarse = pictures[:, ::8, ::8].repeat(8, axis=1).repeat(8, axis=2)[:, : pictures.shape[1], : pictures.shape[2]]
        return np.clip((coarse.astype(int) - 128) * 9 + 128, 0, 255).astype(np.uint8)

    shift, noise = stability.stability(stylise, photos)
    assert shift.passed is False
    assert noise.passed is False


@pytest.mark.parametrize("module", [detectors, stability])
def test_detectors_need_no_torch(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    used = {name for name in names if name and name.startswith("fststyle")}
    assert used <= {"fststyle.colour", "fststyle.errors", "fststyle.training.detectors"}
    assert not any(name and name.startswith("torch") for name in names)
