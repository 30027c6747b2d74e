from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fststyle.errors import InputError, OptionError
from fststyle.serving.stabilize import Stabilizer, flicker

Clip = list[np.ndarray]


def scene(height: int = 60, width: int = 90) -> np.ndarray:
    """A smooth picture with a few hard edges."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    picture = np.stack([columns * 2, rows * 3, 128 + 60 * np.sin(columns / 9)], axis=-1)
    picture[15:35, 20:50] = (200, 60, 40)
    return picture.clip(0, 255).astype(np.uint8)


def noisy(picture: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return (picture + noise).clip(0, 255).round().astype(np.uint8)


def restless(picture: np.ndarray, seed: int) -> np.ndarray:
    """Stands for a network: the picture's negative, with strokes that differ from frame to frame."""
    return noisy(255 - picture, 20, seed + 1000)


def still_clip(frames: int = 12, sigma: float = 3) -> tuple[Clip, Clip]:
    photos = [noisy(scene(), sigma, seed) for seed in range(frames)]
    return photos, [restless(scene(), seed) for seed in range(frames)]


def stabilized(photos: Clip, results: Clip, stabilizer: Stabilizer | None = None) -> Clip:
    stabilizer = stabilizer or Stabilizer()
    return [stabilizer(photo, result) for photo, result in zip(photos, results, strict=True)]


def test_a_still_scene_flickers_a_fraction_as_much() -> None:
    photos, results = still_clip()
    assert flicker(photos, stabilized(photos, results)) < 0.2 * flicker(photos, results)


def test_what_is_smoothed_keeps_its_tone() -> None:
    photos, results = still_clip(40)
    last = stabilized(photos, results)[-1].astype(float)
    assert np.abs(last - (255 - scene())).mean() < 8  # the strokes alone have 16
    assert abs(last.mean() - results[-1].mean()) < 1


def test_what_moves_leaves_no_ghost() -> None:
    """A bright square crosses a dark picture; where it was and is, the result is the stylised frame's."""
    photos = []
    for number in range(10):
        photo = np.full((64, 96, 3), 30, np.uint8)
        photo[20:40, number * 6 : number * 6 + 20] = 220
        photos.append(photo)
    results = [255 - photo for photo in photos]
    for before, after in zip(results, stabilized(photos, results), strict=True):
        assert np.abs(after.astype(int) - before).max() <= 1


@pytest.mark.parametrize("speed", [0.25, 0.5, 1, 2])
def test_what_creeps_is_followed(speed: float) -> None:
    """A slow pan: a change too small to see from frame to frame must not add up to a smear."""
    columns, rows = np.arange(120), np.arange(64)[:, None]
    photos = []
    for number in range(40):
        wave = 128 + 100 * np.sin((columns + number * speed) / 8) * np.cos(rows / 8)
        photos.append(np.repeat(wave[..., None], 3, axis=2).astype(np.uint8))
    results = [255 - photo for photo in photos]
    last = stabilized(photos, results)[-1].astype(int)
    assert np.abs(last - results[-1]).mean() < 5


def test_a_cut_starts_afresh() -> None:
    photos, results = still_clip(4)
    other = 255 - scene()[::-1]
    stabilizer = Stabilizer()
    stabilized(photos, results, stabilizer)
    new = restless(other, 99)
    np.testing.assert_array_equal(stabilizer(other, new), new)
    assert stabilizer.cuts == 1


def test_noise_and_motion_are_no_cut() -> None:
    photos, results = still_clip(6, sigma=10)
    stabilizer = Stabilizer()
    stabilized(photos, results, stabilizer)
    stabilized([np.roll(scene(), 3 * number, axis=1) for number in range(5)], results[:5], stabilizer)
    assert stabilizer.cuts == 0


def test_a_change_of_size_starts_afresh() -> None:
    stabilizer = Stabilizer()
    stabilizer(scene(), scene())
    small = scene(17, 23)
    np.testing.assert_array_equal(stabilizer(small, restless(small, 0)), restless(small, 0))


def test_the_first_frame_and_no_smoothing_change_nothing() -> None:
    photos, results = still_clip(4)
    np.testing.assert_array_equal(stabilized(photos, results)[0], results[0])
    for before, after in zip(results, stabilized(photos, results, Stabilizer(smoothing=0)), strict=True):
        np.testing.assert_array_equal(before, after)


@given(st.integers(1, 19), st.integers(1, 19), st.integers(0, 5))
def test_any_size_works_and_stays_between_the_frames(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    photo = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    first, second = (random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(2))
    stabilizer = Stabilizer()
    stabilizer(photo, first)
    mixed = stabilizer(photo, second)
    assert mixed.dtype == np.uint8
    assert (mixed >= np.minimum(first, second)).all()
    assert (mixed <= np.maximum(first, second)).all()


def test_the_inputs_stay_as_they_were() -> None:
    photos, results = still_clip(3)
    copies = [photo.copy() for photo in photos], [result.copy() for result in results]
    stabilized(photos, results)
    np.testing.assert_array_equal(photos, copies[0])
    np.testing.assert_array_equal(results, copies[1])


@pytest.mark.parametrize("options", [{"smoothing": 1.0}, {"smoothing": -0.1}, {"tolerance": 0.0}, {"cut": -1.0}])
def test_values_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        Stabilizer(**options)


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\[60, 90, 3\] and \[16, 16, 3\]"):
        Stabilizer()(scene(), scene(16, 16))


def levels(*values: int) -> Clip:
    return [np.full((4, 4, 3), value, np.uint8) for value in values]


def test_flicker_is_the_change_beyond_the_inputs() -> None:
    assert flicker(levels(10, 10, 10), levels(100, 104, 98)) == 5  # 4 and 6
    assert flicker(levels(10, 13, 10), levels(100, 104, 98)) == 2  # 4 - 3 and 6 - 3
    assert flicker(levels(10, 90), levels(100, 60)) == 0  # less than the input
    assert flicker(levels(0, 0), levels(0, 255)) == 255


def test_flicker_takes_iterators_and_needs_two_frames() -> None:
    def stream() -> Iterator[np.ndarray]:
        yield from levels(1, 2)

    assert flicker(stream(), stream()) == 0
    with pytest.raises(InputError, match="fewer than two"):
        flicker(levels(1), levels(1))
    with pytest.raises(ValueError, match="shorter"):
        flicker(levels(1, 2), levels(1))
