import re
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from fststyle.errors import DependencyError, OptionError, UnsupportedFormatError
from fststyle.formats import FORMATS, HEADER_BYTES, WRITABLE_SUFFIXES, format_for, recognise

WRITTEN = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "PPM"]


def encoded(name: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (20, 10), (200, 100, 50)).save(buffer, name)
    return buffer.getvalue()


def heif_header(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand + bytes(40)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_format_is_recognised_by_its_content(name: str) -> None:
    assert recognise(encoded(name)[:HEADER_BYTES], "x.txt").name == name


@pytest.mark.parametrize("name", WRITTEN)
def test_a_format_opens_through_its_own_class(name: str) -> None:
    with FORMATS[name].open(BytesIO(encoded(name))) as image:
        assert (image.format, image.size) == (name, (20, 10))


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1"])
def test_heic_is_recognised_by_its_brands(brand: bytes) -> None:
    assert recognise(heif_header(brand), "photo").name == "HEIF"


def test_an_avif_that_calls_itself_a_general_image_file_is_avif() -> None:
    assert recognise(b"\0\0\0\x18ftypmif1\0\0\0\0avifmiaf" + bytes(40), "photo").name == "AVIF"


def test_brands_end_with_their_box() -> None:
    with pytest.raises(UnsupportedFormatError):
        recognise(b"\0\0\0\x14ftypisom\0\0\0\0mp42avif" + bytes(40), "film")


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is text", b"%!PS-Adobe", b"\0\0\1\0\1\0", b"RIFF....WAVE", b"P7\n"]
)
def test_what_is_not_on_the_list_is_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedFormatError, match="photo is not a picture of a known format; accepted: JPEG, PNG"):
        recognise(content, "photo")


def test_heic_without_its_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DependencyError, match='pip install "pillow-heif"'):
        FORMATS["HEIF"].open(BytesIO(heif_header(b"heic")))


def test_every_result_is_of_a_format_that_can_be_written() -> None:
    assert all(FORMATS[entry.result].options for entry in FORMATS.values())


@pytest.mark.parametrize(("name", "expected"), [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("b.c.tif", "TIFF")])
def test_the_suffix_chooses_what_is_written(name: str, expected: str) -> None:
    assert format_for(Path(name)).name == expected


@pytest.mark.parametrize("name", ["a", "a.gif", "a.heic", "a.txt"])
def test_what_cannot_be_written_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=re.escape(f"accepted: {', '.join(WRITABLE_SUFFIXES)}")):
        format_for(Path(name))


def test_the_nearest_suffix_is_offered() -> None:
    with pytest.raises(OptionError, match=r"did you mean '\.jpg'"):
        format_for(Path("a.jpgg"))
