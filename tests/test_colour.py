import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from fststyle.colour import blend, keep_chroma, srgb_profile, to_srgb

PIXELS = hnp.arrays(np.uint8, (3, 4, 3))


def profile(name: str) -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes())  # type: ignore[arg-type]


def swapped_primaries() -> bytes:
    """A profile whose red colorant is sRGB's green one and the other way round: what it calls red is green."""
    data = bytearray(profile("sRGB"))
    count = int.from_bytes(data[128:132], "big")
    tags = {bytes(data[132 + 12 * k : 136 + 12 * k]): 132 + 12 * k for k in range(count)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = data[green + 4 : green + 12], data[red + 4 : red + 12]
    return bytes(data)


def test_a_profile_is_applied() -> None:
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert np.asarray(to_srgb(red, swapped_primaries()))[0, 0] == pytest.approx([0, 255, 0], abs=2)


@pytest.mark.parametrize("stored", [None, b"", b"no profile", b"\0" * 200])
def test_without_a_usable_profile_a_picture_is_srgb(stored: bytes | None) -> None:
    image = Image.new("RGB", (2, 2), (200, 100, 50))
    assert to_srgb(image, stored).getpixel((0, 0)) == (200, 100, 50)


def test_a_profile_of_another_kind_of_picture_is_not_applied() -> None:
    grey = Image.new("L", (2, 2), 77)
    assert to_srgb(grey, profile("LAB")).getpixel((0, 0)) == (77, 77, 77)


def test_srgb_through_its_own_profile_changes_nothing() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    np.testing.assert_array_equal(np.asarray(to_srgb(image, srgb_profile())), np.asarray(image))
    np.testing.assert_allclose(np.asarray(to_srgb(image, profile("sRGB")), int), np.asarray(image, int), atol=1)


def test_lab_pictures_become_srgb() -> None:
    lab = Image.new("LAB", (2, 2), (255, 128, 128))
    assert to_srgb(lab, profile("LAB")).getpixel((0, 0)) == pytest.approx((255, 255, 255), abs=2)


def test_the_embedded_profile_is_srgb_and_the_same_in_every_process() -> None:
    code = "import sys; from fststyle.colour import srgb_profile; sys.stdout.buffer.write(srgb_profile())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert other == srgb_profile()
    read = ImageCms.ImageCmsProfile(BytesIO(srgb_profile()))
    assert "sRGB" in ImageCms.getProfileDescription(read)


def ycbcr(pixels: np.ndarray) -> np.ndarray:
    """JFIF 1.02, in float64, independent of the code under test."""
    red, green, blue = np.moveaxis(pixels.astype(np.float64), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], axis=-1)


def test_keeping_chroma_takes_luma_from_one_and_chroma_from_the_other() -> None:
    random = np.random.default_rng(0)
    photo, stylised = random.integers(90, 166, (2, 6, 5, 3)).astype(np.uint8)  # the middle: nothing is clipped
    result = ycbcr(keep_chroma(stylised, photo))
    np.testing.assert_allclose(result[..., 0], ycbcr(stylised)[..., 0], atol=0.5)
    np.testing.assert_allclose(result[..., 1:], ycbcr(photo)[..., 1:], atol=0.6)


@given(PIXELS)
def test_keeping_the_chroma_of_itself_changes_nothing(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(keep_chroma(pixels, pixels), pixels)


@given(PIXELS, PIXELS)
def test_the_ends_of_strength_are_the_two_pictures(photo: np.ndarray, stylised: np.ndarray) -> None:
    np.testing.assert_array_equal(blend(photo, stylised, 0), photo)
    np.testing.assert_array_equal(blend(photo, stylised, 1), stylised)


@given(PIXELS, PIXELS, st.floats(0, 1))
def test_strength_is_linear_in_pixel_values(photo: np.ndarray, stylised: np.ndarray, strength: float) -> None:
    exact = (1 - strength) * photo.astype(np.float64) + strength * stylised.astype(np.float64)
    np.testing.assert_allclose(blend(photo, stylised, strength), exact, atol=0.501)
