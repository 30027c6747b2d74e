import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from fststyle.colour import srgb_profile
from fststyle.errors import ImageTooLargeError, InputError, OptionError, OutputError, UnsupportedFormatError
from fststyle.images import Picture, decode, encode, from_pillow, load_rgb, picture_size, read_picture, to_pillow

LOSSLESS = ["PNG", "TIFF"]
LOSSY = ["JPEG", "WEBP", "AVIF"]


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def clouds(size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    random = np.random.default_rng(2)
    small = Image.fromarray(random.integers(0, 256, (4, 5, 4), dtype=np.uint8), "RGBA")
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


def exif(**tags: Any) -> Image.Exif:
    made = Image.Exif()
    made[ExifTags.Base.Model] = "Camera"
    for name, value in tags.items():
        made[ExifTags.Base[name]] = value
    made.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    made.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] = "Lens"
    return made


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(50))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_picture_stands_upright(name: str, orientation: int) -> None:
    """The corner that EXIF 2.32 (4.6.4, tag 274) says is the top left one of the scene is red."""
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (-1, 0), 7: (-1, -1), 8: (0, -1)}
    pixels = np.full((32, 64, 3), 255, np.uint8)
    row, column = corners[orientation]
    pixels[slice(0, 16) if row == 0 else slice(16, 32), slice(0, 32) if column == 0 else slice(32, 64)] = (255, 0, 0)
    picture = decode(saved(Image.fromarray(pixels), name, exif=exif(Orientation=orientation)))
    assert picture.size == ((64, 32) if orientation < 5 else (32, 64))
    assert [*map(int, picture.pixels[4, 4])] == pytest.approx([255, 0, 0], abs=12)
    assert [*map(int, picture.pixels[-4, -4])] == pytest.approx([255, 255, 255], abs=12)


def test_orientations_that_mirror_along_an_edge_differ() -> None:
    image = clouds((20, 10))
    upright = np.asarray(image)
    for orientation, expected in {
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, -1),
        8: np.rot90(upright),
    }.items():
        got = decode(saved(image, "PNG", exif=exif(Orientation=orientation))).pixels
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = clouds(mode=mode)
    picture = decode(saved(image, "TIFF"))
    assert picture.pixels.shape == (30, 40, 3)
    assert picture.alpha is None
    np.testing.assert_allclose(picture.pixels.astype(int), np.asarray(image.convert("RGB"), int), atol=2)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_cut_off(name: str) -> None:
    values = np.array([[0, 128, 129, 257 * 100, 65535]], np.uint16)
    picture = decode(saved(Image.fromarray(values), name))
    np.testing.assert_array_equal(picture.pixels[0, :, 0], [0, 0, 1, 100, 255])


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(UnsupportedFormatError, match="floating-point"):
        decode(saved(Image.new("F", (20, 20)), "TIFF"))


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_alpha_is_kept(name: str) -> None:
    image = clouds(mode="RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    again = decode(encode(decode(saved(image, "PNG")), name))
    assert again.alpha is not None
    np.testing.assert_allclose(again.alpha.astype(int), np.asarray(image.getchannel("A"), int), atol=6)


def test_transparency_of_any_kind_becomes_alpha() -> None:
    grey = Image.fromarray(np.array([[0, 10], [20, 30]], np.uint8))
    deep = Image.fromarray(np.array([[0, 10], [20, 30]], np.uint16))
    palette = clouds().quantize(4)
    for image, transparent in ((grey, 10), (deep, 10), (palette, 2)):
        alpha = decode(saved(image, "PNG", transparency=transparent)).alpha
        assert alpha is not None
        np.testing.assert_array_equal(alpha == 0, np.asarray(image) == transparent)


def test_grey_with_alpha_keeps_both() -> None:
    picture = decode(saved(clouds(mode="LA"), "PNG"))
    np.testing.assert_array_equal(picture.pixels[..., 1], np.asarray(clouds(mode="LA"))[..., 0])
    np.testing.assert_array_equal(picture.alpha, np.asarray(clouds(mode="LA"))[..., 1])


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(name: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    picture = decode(saved(frames[0], name, save_all=True, append_images=frames[1:]))
    assert [*map(int, picture.pixels[10, 10])] == pytest.approx([255, 0, 0], abs=6)


def test_a_profile_is_converted_and_srgb_embedded() -> None:
    from PIL import ImageCms

    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB", 0)).tobytes()
    picture = decode(saved(clouds(), "PNG", icc_profile=other))
    for name in LOSSLESS + LOSSY:
        with Image.open(BytesIO(encode(picture, name))) as image:
            assert image.info["icc_profile"] == srgb_profile()


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_pixels_back(name: str) -> None:
    picture = from_pillow(clouds())
    np.testing.assert_array_equal(decode(encode(picture, name)).pixels, picture.pixels)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_stay_close(name: str) -> None:
    picture = from_pillow(clouds((200, 150)))
    again = decode(encode(picture, name))
    assert again.format == name
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 2


def test_jpeg_keeps_colour_at_full_resolution_and_quality_95() -> None:
    from PIL import JpegImagePlugin

    reference = saved(clouds(), "JPEG", quality=95)
    with Image.open(BytesIO(encode(from_pillow(clouds()), "JPEG"))) as image, Image.open(BytesIO(reference)) as same:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        assert isinstance(same, JpegImagePlugin.JpegImageFile)
        assert JpegImagePlugin.get_sampling(image) == 0
        assert image.quantization == same.quantization


@pytest.mark.parametrize("name", LOSSLESS + LOSSY)
def test_metadata_are_left_out(name: str) -> None:
    source = saved(clouds(), "JPEG", exif=exif(Orientation=6), comment=b"secret")
    with Image.open(BytesIO(encode(decode(source), name))) as image:
        found = {
            tag for tag in image.getexif() if tag in (ExifTags.Base.Model, ExifTags.IFD.GPSInfo, ExifTags.IFD.Exif)
        }
        assert not found
        assert "comment" not in image.info


@pytest.mark.parametrize("name", LOSSLESS + LOSSY)
def test_kept_metadata_have_the_orientation_reset(name: str) -> None:
    source = saved(clouds(), "JPEG", exif=exif(Orientation=6, ImageWidth=40, ColorSpace=2))
    with Image.open(BytesIO(encode(decode(source), name, keep_metadata=True))) as image:
        kept = image.getexif()
        assert image.size == (30, 40)
        assert kept.get(ExifTags.Base.Orientation, 1) == 1
        assert kept[ExifTags.Base.Model] == "Camera"
        assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] == "Lens"


def test_the_thumbnail_of_the_photo_is_never_kept() -> None:
    # A second EXIF directory with an embedded picture, as cameras write it: offset 8, no entries, then the next
    # directory.
    thumbnail = saved(clouds((16, 12)), "JPEG")
    first = struct.pack(">H", 1) + struct.pack(">HHI4s", 272, 2, 4, b"Cam\0") + struct.pack(">I", 26)
    entries = struct.pack(">HHII", 513, 4, 1, 56) + struct.pack(">HHII", 514, 4, 1, len(thumbnail))
    second = struct.pack(">H", 2) + entries + struct.pack(">I", 0)
    block = b"Exif\0\0MM\0*\0\0\0\x08" + first + second + thumbnail
    source = saved(clouds(), "JPEG", exif=block)
    assert thumbnail in source
    picture = decode(source)
    assert picture.exif is not None
    assert thumbnail not in encode(picture, "JPEG", keep_metadata=True)
    assert b"Cam" in encode(picture, "JPEG", keep_metadata=True)


def test_damaged_exif_counts_as_none() -> None:
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        picture = decode(saved(clouds(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    assert picture.size == (40, 30)


def test_equal_pictures_are_equal_files() -> None:
    picture = from_pillow(clouds())
    assert all(encode(picture, name) == encode(picture, name) for name in LOSSLESS + LOSSY)


def test_transparency_does_not_vanish_in_a_jpeg() -> None:
    with pytest.raises(OptionError, match="JPEG cannot hold; write one of: PNG, WEBP, TIFF, AVIF"):
        encode(from_pillow(clouds(mode="RGBA")), "JPEG")
    opaque = clouds(mode="RGBA")
    opaque.putalpha(255)
    assert decode(encode(from_pillow(opaque), "JPEG")).size == (40, 30)


def test_a_size_that_a_format_cannot_hold_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="WEBP cannot hold this picture of 17000 x 1 pixels"):
        encode(Picture(np.zeros((1, 17000, 3), np.uint8)), "WEBP")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "PPM"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_picture_cut_short_is_damaged(name: str, share: float) -> None:
    content = saved(clouds((90, 70)), name)
    with pytest.raises(InputError, match="photo is damaged or cut short"):
        decode(content[: int(len(content) * share)], name="photo")


def test_nothing_is_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=r"a\.jpg is empty"):
        read_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("place", ["missing.jpg", "."])
def test_what_cannot_be_opened_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_picture(tmp_path / place)


def test_the_cap_is_held_against_the_header() -> None:
    """A hundred bytes that claim ten thousand megapixels: decoding them would take 30 GB."""
    with pytest.raises(ImageTooLargeError, match="100000 x 100000 pixels, above the cap of 200 megapixels"):
        decode(png_header(100_000, 100_000))


def test_the_cap_is_ours_and_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ["JPEG", "PNG", "AVIF", "BMP"]:
        assert decode(saved(clouds(), name), max_pixels=1200).size == (40, 30)
        with pytest.raises(ImageTooLargeError):
            decode(saved(clouds(), name), max_pixels=1199)
    with pytest.raises(ImageTooLargeError):
        from_pillow(clouds(), max_pixels=1199)


@pytest.mark.parametrize("name", ["WEBP", "TIFF"])
def test_where_pillow_holds_a_cap_of_its_own_the_error_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(clouds(), name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageTooLargeError, match="too large to decode"):
        decode(content)


def test_a_pillow_image_stays_as_it_was() -> None:
    image = clouds(mode="RGBA")
    before = image.copy()
    picture = from_pillow(image)
    assert image == before
    np.testing.assert_array_equal(np.asarray(to_pillow(picture)), np.asarray(before))


def test_scaling_limits_the_longer_side_and_never_enlarges() -> None:
    picture = from_pillow(clouds((40, 30), "RGBA"))
    assert picture.limited(20).size == (20, 15)
    assert picture.limited(41) is picture
    assert picture.limited(None) is picture
    assert from_pillow(clouds((1000, 2))).limited(10).size == (10, 1)
    alpha = picture.limited(20).alpha
    assert alpha is not None
    assert alpha.shape == (15, 20)


def test_pixels_alone_are_an_array(photo_file: Path) -> None:
    pixels = load_rgb(photo_file)
    assert pixels.shape == (30, 40, 3)
    assert pixels.dtype == np.uint8


def test_heic_is_read_and_its_result_is_a_jpeg() -> None:
    heif = pytest.importorskip("pillow_heif")
    buffer = BytesIO()
    heif.from_pillow(clouds((64, 48))).save(buffer, quality=90)
    picture = decode(buffer.getvalue())
    assert (picture.size, picture.result_format) == ((64, 48), "JPEG")
    assert np.abs(picture.pixels.astype(int) - np.asarray(clouds((64, 48)), int)).mean() < 6
    with pytest.raises(ImageTooLargeError):
        decode(buffer.getvalue(), max_pixels=3000)
    with pytest.raises(InputError, match="damaged"):
        decode(buffer.getvalue()[:-200])


def photograph(width: int, height: int, format_name: str, exif: Image.Exif | None = None) -> bytes:
    """Soft shapes and an edge, compressed as a camera does."""
    random = np.random.default_rng(3)
    clouds = Image.fromarray(random.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    image = clouds.resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 240, 20), (0, 0, width // 3, height // 5))
    buffer = BytesIO()
    image.save(buffer, format_name, quality=92, exif=exif or Image.Exif())
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", [1, 2, 5, 6, 8])
@pytest.mark.parametrize(("width", "height"), [(801, 603), (403, 801), (1201, 67), (1000, 9)])
@pytest.mark.parametrize("max_size", [1, 50, 99, 210, 400, 900])
def test_a_jpeg_limited_while_it_is_decoded_shows_the_same(
    width: int, height: int, orientation: int, max_size: int
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = photograph(width, height, "JPEG", exif)
    plain, limited = decode(data).limited(max_size), decode(data, max_size=max_size)
    assert limited.size == plain.size
    assert limited.exif == plain.exif
    difference = np.abs(limited.pixels.astype(float) - plain.pixels)
    assert difference.mean() < 1.5


def test_other_formats_are_limited_after_decoding() -> None:
    data = photograph(300, 200, "PNG")
    np.testing.assert_array_equal(decode(data, max_size=90).pixels, decode(data).limited(90).pixels)


def test_a_limit_asks_the_decoder_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    load = JpegImageFile.load

    def watched(image: JpegImageFile) -> object:
        asked.append(image.size)
        return load(image)

    monkeypatch.setattr(JpegImageFile, "load", watched)
    data = photograph(800, 600, "JPEG")
    for max_size in (100, 205, 405, 500):
        decode(data, max_size=max_size)
    assert list(dict.fromkeys(asked)) == [(200, 150), (400, 300), (800, 600)]


def test_a_damaged_jpeg_is_damaged_at_every_size() -> None:
    data = photograph(800, 600, "JPEG")
    with pytest.raises(InputError, match="damaged or cut short"):
        decode(data[: len(data) // 2], max_size=50)


def test_the_size_of_a_picture_comes_from_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(300, 200, "JPEG")[:2000])  # the pixels are missing
    assert picture_size(tmp_path / "a.jpg") == (300, 200)
    with pytest.raises(ImageTooLargeError, match="above the cap"):
        picture_size(tmp_path / "a.jpg", max_pixels=100)
    with pytest.raises(InputError, match="No such file"):
        picture_size(tmp_path / "b.jpg")
