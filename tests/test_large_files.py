"""Files that libvips reads and writes in strips give what Pillow gives with the whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from fststyle import Stylizer
from fststyle.errors import DependencyError, ImageTooLargeError, InputError, OptionError, OutputError
from fststyle.images import Picture, decode, encode, encode_for_file, read_picture
from fststyle.serving.picture_file import write

pytest.importorskip("pyvips")


def clouds(width: int, height: int, channels: int = 3) -> np.ndarray:
    random = np.random.default_rng(channels)
    small = [
        Image.fromarray(random.integers(0, 256, (6, 7), np.uint8)).resize((width, height)) for _ in range(channels)
    ]
    return np.dstack([np.asarray(band) for band in small])


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, nearly everything counts as large and lies in a file, and strips have a few rows."""

    def set_limits() -> None:
        for module in ("large_files", "images"):
            monkeypatch.setattr(f"fststyle.{module}.LARGE", 100)
        monkeypatch.setattr("fststyle.strips.STRIP_PIXELS", 500)
        monkeypatch.setattr("fststyle.strips.IN_MEMORY", 100)

    return set_limits


@pytest.fixture
def whole_is_an_error(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, Pillow does not load or write anything from or to a file."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded or written whole")

    def set_trap() -> None:
        monkeypatch.setattr("fststyle.large_files.loaded_rows", refuse)
        monkeypatch.setattr("fststyle.images.loaded_rows", refuse)
        monkeypatch.setattr("fststyle.images.encode", refuse)

    return set_trap


def assert_same(found: Picture, expected: Picture) -> None:
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.alpha is None) == (expected.alpha is None)
    if found.alpha is not None and expected.alpha is not None:
        np.testing.assert_array_equal(found.alpha, expected.alpha)
    assert (found.format, found.exif) == (expected.format, expected.exif)


@pytest.mark.parametrize(
    ("suffix", "mode", "options"),
    [
        ("jpg", "RGB", {"quality": 90}),
        ("jpg", "RGB", {"quality": 90, "subsampling": 0}),
        ("jpg", "RGB", {"progressive": True}),
        ("jpg", "L", {}),
        ("png", "RGB", {}),
        ("png", "RGBA", {}),
        ("png", "L", {}),
        ("tif", "RGB", {"compression": "tiff_adobe_deflate"}),
        ("tif", "RGB", {"compression": "raw"}),
        ("tif", "RGBA", {}),
        ("tif", "L", {"compression": "tiff_lzw"}),
    ],
)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_strips_of_a_file_are_the_picture(
    tmp_path: Path, large: Any, whole_is_an_error: Any, suffix: str, mode: str, options: Any, orientation: int
) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.Artist] = "Somebody"
    path = tmp_path / f"a.{suffix}"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB", 5000)).tobytes() if mode != "L" else None
    image = Image.fromarray(clouds(83, 61, 4)).convert(mode)
    image.save(path, exif=tags, icc_profile=profile, **options)
    whole = read_picture(path)
    large()
    whole_is_an_error()
    assert_same(read_picture(path), whole)


@pytest.mark.parametrize("mode", ["P", "1", "I;16", "CMYK"])
def test_what_libvips_is_not_given_is_loaded(tmp_path: Path, large: Any, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    grey = Image.fromarray(clouds(83, 61)[..., 0].astype(np.uint16) * 200)
    (grey if mode == "I;16" else Image.fromarray(clouds(83, 61)).convert(mode)).save(path)
    whole = read_picture(path)
    large()
    assert_same(read_picture(path), whole)


def test_pictures_in_bytes_are_loaded(photo_file: Path, large: Any) -> None:
    large()
    assert_same(decode(photo_file.read_bytes()), read_picture(photo_file))


@pytest.mark.parametrize("lost", [9000, 60_000])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_file_cut_short_is_told(tmp_path: Path, large: Any, suffix: str, lost: int) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)).save(path, quality=95)
    path.write_bytes(path.read_bytes()[:-lost])
    large()
    with pytest.raises(InputError, match="damaged or cut short"):
        read_picture(path)


def test_a_limit_of_the_size_holds(tmp_path: Path, large: Any, whole_is_an_error: Any) -> None:
    Image.fromarray(clouds(83, 61, 4)).save(tmp_path / "a.png")
    expected = read_picture(tmp_path / "a.png", max_size=40)
    large()
    whole_is_an_error()
    found = read_picture(tmp_path / "a.png", max_size=40)
    assert found.size == expected.size == (40, 29)
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 1
    assert found.alpha is not None


@pytest.mark.parametrize(("format_name", "alpha"), [("JPEG", False), ("PNG", False), ("PNG", True), ("TIFF", True)])
def test_what_is_written_in_strips_reads_as_what_is_written_whole(
    large: Any, whole_is_an_error: Any, format_name: str, alpha: bool
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Somebody"
    picture = Picture(clouds(83, 61), clouds(83, 61, 1)[..., 0] if alpha else None, exif=exif.tobytes())
    keep = format_name != "TIFF"
    whole = encode(picture, format_name, keep_metadata=keep)
    large()
    with pytest.MonkeyPatch.context() as trap:
        trap.setattr("fststyle.images.encode", lambda *_, **__: pytest.fail("written whole"))
        in_strips = encode_for_file(picture, format_name, keep_metadata=keep)
    found, expected = decode(bytes(in_strips)), decode(whole)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.alpha is None) == (expected.alpha is None) == (not alpha)
    for read in (found, expected):
        tags = Image.Exif()
        tags.load(read.exif or b"")
        assert tags.get(ExifTags.Base.Artist) == ("Somebody" if keep else None)


def test_transparency_is_refused_where_it_is_refused_whole(large: Any) -> None:
    picture = Picture(clouds(83, 61), clouds(83, 61, 1)[..., 0])
    large()
    with pytest.raises(OptionError, match="the picture has transparency, which JPEG cannot hold"):
        encode_for_file(picture, "JPEG")


def test_a_format_too_small_for_the_picture_is_told(large: Any, tmp_path: Path) -> None:
    large()
    with pytest.raises(OutputError, match="JPEG cannot hold this picture of 70000 x 2 pixels"):
        write(Picture(np.zeros((2, 70_000, 3), np.uint8)), tmp_path / "a.jpg", force=False, keep_metadata=False)
    assert not [*tmp_path.iterdir()]


def test_the_whole_way_in_strips_is_the_way_in_memory(
    tiny_style_file: Path, tmp_path: Path, large: Any, whole_is_an_error: Any
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(clouds(300, 170, 4)).save(photo)
    before = photo.read_bytes()
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    stylizer(photo, output=tmp_path / "whole.png", tile=64)
    large()
    stylizer(photo, output=tmp_path / "strips.png", tile=64)
    stylizer(photo, output=tmp_path / "strips.tif", tile=64)
    expected = np.asarray(Image.open(tmp_path / "whole.png"))
    for name in ("strips.png", "strips.tif"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), expected)
    assert photo.read_bytes() == before
    assert len([*tmp_path.iterdir()]) == 4


def test_without_pyvips_pillow_does_it(photo_file: Path, large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_picture(photo_file)
    large()
    monkeypatch.setitem(sys.modules, "pyvips", None)
    assert_same(read_picture(photo_file), whole)
    assert isinstance(encode_for_file(whole, "PNG"), bytes)


def test_without_pyvips_and_memory_the_error_names_the_extra(
    photo_file: Path, large: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    large()
    monkeypatch.setattr("fststyle.large_files.available_memory", lambda: 5000)
    monkeypatch.setitem(sys.modules, "pyvips", None)
    with pytest.raises(DependencyError, match=r'are free; .*pip install "fststyle\[huge\]"'):
        read_picture(photo_file)


def test_what_can_be_read_in_no_way_is_told(tmp_path: Path, large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(clouds(83, 61)).save(tmp_path / "a.webp")
    large()
    monkeypatch.setattr("fststyle.large_files.available_memory", lambda: 5000)
    with pytest.raises(ImageTooLargeError, match="JPEG, PNG or TIFF are read in strips"):
        read_picture(tmp_path / "a.webp")
