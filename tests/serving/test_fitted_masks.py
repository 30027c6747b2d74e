import numpy as np
import pytest

from fststyle.serving import fitted_masks
from fststyle.serving.fitted_masks import FittedMasks
from fststyle.serving.masks import Mask, PictureMask, fitted

MASK = PictureMask(np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8))


def photo(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_a_mask_is_scaled_and_blurred() -> None:
    plane = FittedMasks().over(photo(80, 60), 2).get(Mask(MASK))
    assert plane is not None
    np.testing.assert_array_equal(plane, fitted(MASK.values, (80, 60), 2))


def test_the_whole_photo_has_no_plane() -> None:
    assert FittedMasks().over(photo(80, 60), 2).get(None) is None


def test_a_picture_is_fitted_once_for_all_photos_of_a_size() -> None:
    masks = FittedMasks()
    first = masks.over(photo(80, 60), 2).get(Mask(MASK))
    assert masks.over(photo(80, 60), 2).get(Mask(MASK)) is first


@pytest.mark.parametrize(("size", "feather"), [((120, 90), 2), ((80, 60), 1)])
def test_it_is_fitted_anew_for_another_size_or_feather(size: tuple[int, int], feather: float) -> None:
    masks = FittedMasks()
    masks.over(photo(80, 60), 2).get(Mask(MASK))
    plane = masks.over(photo(*size), feather).get(Mask(MASK))
    assert plane is not None
    np.testing.assert_array_equal(plane, fitted(MASK.values, size, feather))


def test_what_is_kept_is_not_turned_over() -> None:
    masks = FittedMasks()
    for mask, expected in ((Mask(MASK), MASK.values), (Mask(MASK, True), 255 - MASK.values), (Mask(MASK), MASK.values)):
        plane = masks.over(photo(40, 30), 0).get(mask)
        assert plane is not None
        np.testing.assert_array_equal(plane, expected)


def test_a_source_that_changes_is_followed() -> None:
    class Growing:
        digest, level = "growing", 0

        def plane(self, photo: np.ndarray) -> np.ndarray:
            self.level += 50
            return np.full(photo.shape[:2], self.level, np.uint8)

    masks, mask = FittedMasks(), Mask(Growing())
    planes = [masks.over(photo(40, 30), 0).get(mask) for _ in range(3)]
    assert [int(plane.max()) for plane in planes if plane is not None] == [50, 100, 150]


def test_large_planes_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitted_masks, "LARGEST_UNTILED", 80 * 60 - 1)
    masks = FittedMasks()
    first = masks.over(photo(80, 60), 0).get(Mask(MASK))
    assert masks.over(photo(80, 60), 0).get(Mask(MASK)) is not first
