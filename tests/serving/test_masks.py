from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import fststyle.strips
from fststyle.errors import InputError, OptionError
from fststyle.serving.masks import Mask, PictureMask, as_mask, check_feather, covers_all, fitted, read_mask

PHOTO = np.zeros((30, 40, 3), np.uint8)


@pytest.fixture
def steps() -> np.ndarray:
    """All values of a mask, uint8 [30, 40]."""
    return np.linspace(0, 255, 1200).reshape(30, 40).astype(np.uint8)


def plane(mask: Mask, photo: np.ndarray = PHOTO) -> np.ndarray:
    return mask.source.plane(photo)


def test_a_grey_picture_is_its_lightness(tmp_path: Path, steps: np.ndarray) -> None:
    Image.fromarray(steps).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(plane(read_mask(tmp_path / "mask.png")), steps)
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "red.png")
    assert np.unique(plane(read_mask(tmp_path / "red.png"))).tolist() == [76]


def test_a_transparent_picture_is_its_alpha(tmp_path: Path, steps: np.ndarray) -> None:
    picture = Image.new("RGB", (40, 30), "white")
    picture.putalpha(Image.fromarray(steps))
    picture.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(plane(read_mask(tmp_path / "mask.png")), steps)


def test_an_alpha_channel_that_is_opaque_everywhere_is_no_mask(tmp_path: Path, steps: np.ndarray) -> None:
    picture = Image.fromarray(steps).convert("RGBA")
    picture.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(plane(read_mask(tmp_path / "mask.png")), steps)


def test_arrays_and_images(steps: np.ndarray) -> None:
    np.testing.assert_array_equal(plane(as_mask(steps)), steps)
    np.testing.assert_array_equal(plane(as_mask(steps / 255)), steps)
    np.testing.assert_array_equal(plane(as_mask(steps > 99)), np.where(steps > 99, 255, 0))
    np.testing.assert_array_equal(plane(as_mask(Image.fromarray(steps))), steps)
    mask = as_mask(steps)
    assert as_mask(mask) is mask


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((3, 4), np.int32),
        np.full((3, 4), 1.5),
        np.full((3, 4), -0.5),
        np.full((3, 4), np.nan),
        7,
    ],
)
def test_what_is_no_mask_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="mask"):
        as_mask(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(40, 30), (400, 300), (20, 15), (27, 20), (13, 10), (401, 300)])
def test_a_mask_of_another_size_fits(size: tuple[int, int]) -> None:
    assert plane(as_mask(np.zeros(size[::-1], np.uint8))).shape == size[::-1]


@pytest.mark.parametrize("size", [(30, 40), (30, 30), (400, 330), (16, 9)])
def test_a_mask_of_another_shape_is_refused_with_both_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"the mask has {size[0]} x {size[1]} pixels and the photo, upright, 40 x 30"):
        plane(as_mask(np.zeros(size[::-1], np.uint8)))


def test_a_mask_of_the_full_size_fits_frames_that_were_scaled_to_even_sides() -> None:
    mask = PictureMask(np.zeros((964, 1708), np.uint8))
    mask.check_shape((428, 240))  # exactly 427 x 241
    with pytest.raises(InputError, match="the video's frames 428 x 238"):
        mask.check_shape((428, 238), "the video's frames")


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (None, True),
        (Mask(PictureMask(np.full((3, 4), 255, np.uint8))), True),
        (Mask(PictureMask(np.zeros((3, 4), np.uint8)), inverted=True), True),
        (Mask(PictureMask(np.full((3, 4), 254, np.uint8))), False),
        (Mask(PictureMask(np.full((3, 4), 255, np.uint8)), inverted=True), False),
    ],
)
def test_which_masks_cover_everything(mask: Mask | None, expected: bool) -> None:
    assert covers_all(mask) == expected


def test_scaling_does_not_ring() -> None:
    half = np.zeros((30, 40), np.uint8)
    half[:, 20:] = 255
    large = fitted(half, (400, 300), 0)
    assert large.shape == (300, 400)
    assert not large[:, :190].any()
    assert (large[:, 210:] == 255).all()
    assert (np.diff(large.astype(int), axis=1) >= 0).all()


def test_feathering_is_a_gaussian_of_so_many_pixels() -> None:
    half = np.zeros((40, 200), np.uint8)
    half[:, 100:] = 255
    for sigma in (3, 8):
        edge = fitted(half, (200, 40), sigma)[20].astype(float)
        spread = np.diff(edge) / 255
        places = np.arange(199) + 0.5
        mean = (spread * places).sum()
        assert mean == pytest.approx(99.5, abs=0.2)
        assert ((spread * (places - mean) ** 2).sum()) ** 0.5 == pytest.approx(sigma, rel=0.05)
        assert edge[: 100 - 4 * sigma].max() == 0
        assert edge[100 + 4 * sigma :].min() == 255


@pytest.mark.parametrize("sigma", [0.4, 2.5, 20])
def test_strips_of_a_large_mask_do_not_show(monkeypatch: pytest.MonkeyPatch, sigma: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 50), np.uint8)
    expected = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(sigma)))
    monkeypatch.setattr(fststyle.strips, "STRIP_PIXELS", 500)
    np.testing.assert_array_equal(fitted(noise, (50, 90), sigma), expected)


@pytest.mark.parametrize("feather", [-1, float("nan"), float("inf"), 1e6])
def test_feather_is_a_number_of_pixels(feather: float) -> None:
    with pytest.raises(OptionError, match="feather must be 0 to"):
        check_feather(feather)


def test_digests_tell_masks_apart(steps: np.ndarray) -> None:
    mask = as_mask(steps)
    assert mask.digest == as_mask(steps.copy()).digest
    assert len({mask.digest, mask.inverse().digest, as_mask(steps.T).digest, as_mask(255 - steps).digest}) == 4
    assert mask.inverse().inverse() == mask
