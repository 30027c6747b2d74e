"""Large pictures in strips give what Pillow gives with the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from fststyle.images import read_picture
from fststyle.strips import forget, pixel_array, resized, strips


@pytest.fixture
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fststyle.strips.STRIP_PIXELS", 500)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("size", [(100, 33), (1, 700), (700, 1), (5, 5), (500, 3)])
def test_strips_are_all_rows_in_order(small_strips: None, size: tuple[int, int]) -> None:
    width, height = size
    rows = [row for strip in strips(width, height) for row in range(height)[strip]]
    assert rows == [*range(height)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures(tmp_path: Path, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    Image.fromarray(noise(31, 50, 4)).save(tmp_path / "a.png", exif=tags)
    whole = read_picture(tmp_path / "a.png")
    monkeypatch.setattr("fststyle.strips.STRIP_PIXELS", 500)
    in_strips = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(in_strips.pixels, whole.pixels)
    assert in_strips.alpha is not None
    assert whole.alpha is not None
    np.testing.assert_array_equal(in_strips.alpha, whole.alpha)
    assert whole.size == ((50, 31) if orientation < 5 else (31, 50))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_modes(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(noise(40, 60, 4))
    stored = Image.fromarray(noise(40, 60).astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    stored.save(path)
    whole = read_picture(path)
    monkeypatch.setattr("fststyle.strips.STRIP_PIXELS", 500)
    in_strips = read_picture(path)
    np.testing.assert_array_equal(in_strips.pixels, whole.pixels)
    assert (in_strips.alpha is None) == (whole.alpha is None)


def test_colour_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    lab = Image.frombytes("LAB", (60, 40), noise(40, 60, 3).tobytes())
    lab.save(tmp_path / "a.tif", icc_profile=profile.tobytes())
    whole = read_picture(tmp_path / "a.tif")
    monkeypatch.setattr("fststyle.strips.STRIP_PIXELS", 500)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, whole.pixels)


@pytest.mark.parametrize("size", [(120, 90), (17, 11), (30, 200), (90, 12), (1, 1)])
def test_resizing_is_pillows_along_one_axis_after_the_other(small_strips: None, size: tuple[int, int]) -> None:
    image = Image.fromarray(noise(48, 64, 3))
    across = image.resize((size[0], 48), Image.Resampling.LANCZOS)
    expected = np.asarray(across.resize(size, Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(resized(np.asarray(image), size) - expected).max() <= 1


def test_reducing_takes_few_rows_of_the_source_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fststyle.strips.STRIP_PIXELS", 2000)
    taken: list[int] = []
    from_array = Image.fromarray

    def noted(array: np.ndarray) -> Image.Image:
        taken.append(array.shape[0])
        return from_array(array)

    monkeypatch.setattr(Image, "fromarray", noted)
    resized(noise(1000, 100, 3), (10, 100))
    assert max(taken) <= 20 + 2 * 32  # those of a strip, and what Lanczos reaches beyond it


def test_the_same_size_is_the_same_array() -> None:
    pixels = noise(4, 5, 3)
    assert resized(pixels, (5, 4)) is pixels


def test_large_arrays_lie_in_a_file_that_goes_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert not isinstance(pixel_array(10, 10, 3), np.memmap)
    monkeypatch.setattr("fststyle.strips.IN_MEMORY", 299)
    stored = pixel_array(10, 10, 3)
    assert isinstance(stored, np.memmap)
    stored[:] = 7
    assert stored.sum() == 2100
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_forgetting_keeps_what_is_in_the_array(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a").write_bytes(bytes(30_000))
    stored = np.memmap(tmp_path / "a", np.uint8, mode, shape=(100, 100, 3))  # type: ignore[call-overload]
    stored[:] = 7
    forget(stored[10:])
    assert (stored == 7).all()
