"""Both ways of keeping a photo's colours, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fststyle.iterative.colour_transfer import grey, luminance_only, match_histogram

Pixels = NDArray[np.uint8]


def clouds(seed: int, low: int, high: int) -> Pixels:
    """Smooth colours within a range narrow enough that nothing is clipped."""
    random = np.random.default_rng(seed)
    mixed = random.uniform(0, 1, (6, 8, 3)) @ random.uniform(0.2, 1, (3, 3)) / 3
    small = Image.fromarray((low + mixed * (high - low)).astype(np.uint8))
    return np.asarray(small.resize((64, 48), Image.Resampling.BICUBIC))


def statistics(picture: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = picture.reshape(-1, 3).astype(np.float64)
    centred = values - values.mean(axis=0)
    return values.mean(axis=0), centred.T @ centred / (len(values) - 1)


@pytest.fixture
def painting() -> Pixels:
    return clouds(0, 20, 250)


@pytest.fixture
def photo() -> Pixels:
    return clouds(1, 90, 180)


def test_a_matched_painting_has_the_photos_mean_and_covariance(painting: Pixels, photo: Pixels) -> None:
    mean, covariance = statistics(match_histogram(painting, photo))
    wanted_mean, wanted_covariance = statistics(photo)
    np.testing.assert_allclose(mean, wanted_mean, atol=0.5)
    np.testing.assert_allclose(covariance, wanted_covariance, atol=0.02 * wanted_covariance.max())


def test_a_painting_matched_with_itself_stays(painting: Pixels) -> None:
    assert np.abs(match_histogram(painting, painting).astype(int) - painting).max() <= 1


def test_the_colour_map_is_the_symmetric_one(painting: Pixels, photo: Pixels) -> None:
    """Square roots by Newton's iteration (Denman and Beavers) instead of eigenvectors."""

    def root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        y, z = matrix, np.eye(3)
        for _ in range(40):
            y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
        return y

    (mean, covariance), (wanted_mean, wanted_covariance) = statistics(painting), statistics(photo)
    linear = root(wanted_covariance) @ np.linalg.inv(root(covariance))
    expected = np.clip((painting - mean) @ linear.T + wanted_mean, 0, 255)
    assert np.abs(match_histogram(painting, photo) - expected).max() < 3


def test_luminance_only_is_grey_with_the_photos_mean_and_spread(painting: Pixels, photo: Pixels) -> None:
    result = luminance_only(painting, photo)
    assert (result[..., 0] == result[..., 1]).all()
    assert (result[..., 0] == result[..., 2]).all()
    wanted = photo @ np.array([0.299, 0.587, 0.114])
    assert result.mean() == pytest.approx(wanted.mean(), abs=0.5)
    assert result[..., 0].std() == pytest.approx(wanted.std(), rel=0.03)


def test_luminance_keeps_the_order_of_light_and_dark(painting: Pixels, photo: Pixels) -> None:
    before = (painting @ np.array([0.299, 0.587, 0.114])).flatten()
    after = luminance_only(painting, photo)[..., 0].flatten().astype(float)
    assert np.corrcoef(before, after)[0, 1] > 0.999


def test_grey_is_the_luma(photo: Pixels) -> None:
    expected = np.rint(photo @ np.array([0.299, 0.587, 0.114]))
    assert np.abs(grey(photo) - expected[..., None]).max() <= 1


@pytest.mark.parametrize("way", [luminance_only, match_histogram])
def test_uniform_pictures_do_no_harm(way: object, photo: Pixels) -> None:
    plain = np.full((20, 30, 3), 77, dtype=np.uint8)
    assert callable(way)
    assert way(plain, photo).shape == (20, 30, 3)
    assert np.abs(way(photo, plain).astype(int) - 77).max() <= 3
