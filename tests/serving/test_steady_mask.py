from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from fststyle.serving.steady_mask import SteadyMask


class Given:
    """A source that gives ``planes``, one after the other."""

    digest = "given"

    def __init__(self, planes: list[np.ndarray]) -> None:
        self._planes: Iterator[np.ndarray] = iter(planes)

    def plane(self, photo: np.ndarray) -> np.ndarray:
        return next(self._planes)


def half(level: int, size: int = 16) -> np.ndarray:
    plane = np.zeros((size, size), np.uint8)
    plane[:, : size // 2] = level
    return plane


def changes(planes: list[np.ndarray]) -> float:
    return float(np.mean([np.abs(after.astype(int) - before).mean() for before, after in pairwise(planes)]))


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def test_where_the_picture_stands_still_a_mask_hardly_flickers(photo: np.ndarray) -> None:
    planes = [half(255 * (number % 2)) for number in range(8)]
    steady = SteadyMask(Given(planes))
    assert changes([steady.plane(photo) for _ in planes]) < 0.25 * changes(planes)


def test_where_it_moves_the_mask_is_the_frames_own(photo: np.ndarray) -> None:
    calm = photo // 8 + 100
    moved = calm.copy()
    moved[:, 16:] = 140  # less than a cut
    steady = SteadyMask(Given([half(0), np.full((16, 16), 255, np.uint8)]))
    steady.plane(calm)
    plane = steady.plane(moved)
    assert (plane[:, 14:] == 255).all()
    assert plane[:, :2].max() < 60


def test_a_mask_has_the_size_and_the_digest_of_its_source(photo: np.ndarray) -> None:
    steady = SteadyMask(Given([half(255, 20)] * 2))
    assert steady.plane(photo).shape == steady.plane(photo[:20]).shape == (20, 20)
    assert steady.digest == "given"
