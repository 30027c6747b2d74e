import numpy as np
import pytest

pytest.importorskip("cv2")

from fststyle.serving.camera_size import fitted, scaled, sharpened

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
SMALL = scaled(PHOTO, (32, 24))


def test_sizes() -> None:
    assert fitted((640, 480), 320) == (320, 240)
    assert fitted((480, 641), 2000) == (480, 641)
    assert scaled(np.zeros((48, 64, 3), np.uint8), (32, 24)).shape == (24, 32, 3)


def test_where_the_photo_is_alone_it_is_there_to_the_bit() -> None:
    own = np.zeros((24, 32), np.uint8)
    own[:, :16] = 255
    made = np.where(own[..., None] == 255, SMALL, 255 - SMALL)
    result = sharpened(made, SMALL, PHOTO, own)
    np.testing.assert_array_equal(result[:, :30], PHOTO[:, :30])
    np.testing.assert_array_equal(result[:, 34:], scaled(made, (64, 48))[:, 34:])


def test_a_share_of_the_photo_brings_that_share_of_its_detail() -> None:
    level = np.full_like(SMALL, 128)
    half = (SMALL.astype(int) + level) // 2
    result = sharpened(half.astype(np.uint8), SMALL, PHOTO, np.full((24, 32), 128, np.uint8))
    assert np.abs(result - (PHOTO.astype(int) + 128) / 2).max() <= 3


def test_at_full_size_nothing_is_added() -> None:
    made = 255 - PHOTO
    assert sharpened(made, PHOTO, PHOTO, np.full((48, 64), 255, np.uint8)) is made
    assert sharpened(made, PHOTO, PHOTO, None) is made
