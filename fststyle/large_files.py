"""Large picture files, read and written a strip of rows at a time by libvips: none of the steps holds all pixels in
memory, where Pillow holds four bytes for each.

What libvips leaves out, and everything without the extra ``huge``, goes the ordinary way while memory lasts.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from fststyle.colour import srgb_profile
from fststyle.errors import DependencyError, ImageTooLargeError
from fststyle.memory import available_memory
from fststyle.strips import Rows, forget

LARGE = 100_000_000
"""Pixels. Smaller pictures are Pillow's, and need nothing installed."""

_PILLOWS_BYTES = 8
"""For each pixel, of memory that cannot be a file's: Pillow's four, as many in copies and encoded."""
_MODES = ("L", "RGB", "RGBA")
# Of libvips' savers, the options that stand for those in formats.py.
_SAVED: dict[str, dict[str, Any]] = {
    "JPEG": {"Q": 95, "subsample_mode": "off"},
    "PNG": {"compression": 4, "filter": "all"},
    "TIFF": {"compression": "deflate"},
}
_CLASSIC_TIFF = 4e9
"""Bytes, before compression. Offsets in an ordinary TIFF file have 32 bits."""


class Stored(NamedTuple):
    """A picture as its file has it: what tells its EXIF, width and height, and what gives rows from the top down."""

    header: Image.Image
    size: tuple[int, int]
    rows: Rows


def loaded_rows(image: Image.Image) -> Stored:
    """Of a picture in memory, where it comes now if it was not there."""
    image.load()
    return Stored(image, image.size, lambda rows: image.crop((0, rows.start, image.width, rows.stop)))


def stored_rows(image: ImageFile, path: Path | None, name: str) -> Stored:
    """Of ``image``, of which nothing but the header has been read, and which lies at ``path`` if it is a file. Small
    ones are loaded.

    :raises DependencyError: loading it whole would take more memory than there is, and libvips could read it.
    :raises ImageTooLargeError: it would, and libvips could not.
    """
    pixels = image.size[0] * image.size[1]
    if pixels <= LARGE:
        return loaded_rows(image)
    able = path is not None and image.format in _SAVED and image.mode in _MODES and "transparency" not in image.info
    vips = _libvips() if able else None
    if vips is not None:
        loaded = _opened(vips, path, image.format)
        if (loaded.format, loaded.bands) == ("uchar", len(image.mode)):
            return Stored(_header(image), (loaded.width, loaded.height), _rows(vips, loaded, image))
    available = available_memory()
    if available is None or pixels * _PILLOWS_BYTES <= available:
        return loaded_rows(image)
    lacking = (
        f"{name} takes {pixels * _PILLOWS_BYTES / 1e9:.1f} GB of memory to decode, and {available / 1e9:.1f} are free"
    )
    if able and vips is None:
        raise DependencyError(f'{lacking}; it is read in strips after: pip install "fststyle[huge]"')
    raise ImageTooLargeError(f"{lacking}; files of 8-bit grey or RGB in JPEG, PNG or TIFF are read in strips")


def encoded_in_strips(
    pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, format_name: str, exif: bytes | None
) -> mmap.mmap | None:
    """A file's content, with an sRGB profile, in a file without a name; of uint8 [H, W, 3] and [H, W]. None where
    Pillow is to do it.

    :raises OSError: the format cannot hold a picture of that size, or there is no room on the disk.
    """
    height, width = pixels.shape[:2]
    if width * height <= LARGE or format_name not in _SAVED or (format_name == "TIFF" and exif is not None):
        return None
    if (vips := _libvips()) is None:
        return None
    import tempfile

    picture = vips.Image.new_from_memory(pixels, width, height, 3, "uchar")
    if alpha is not None:
        picture = picture.bandjoin(vips.Image.new_from_memory(alpha, width, height, 1, "uchar"))
    picture = picture.copy(interpretation="srgb")
    for entry, value in (("icc-profile-data", srgb_profile()), ("exif-data", exif)):
        if value is not None:
            picture.set_type(vips.GValue.blob_type, entry, value)
    picture.set_progress(True)
    picture.signal_connect("eval", lambda *_: forget(pixels))
    options = dict(_SAVED[format_name])
    if format_name == "TIFF":
        options["bigtiff"] = width * height * picture.bands > _CLASSIC_TIFF
    with tempfile.TemporaryFile(prefix="fststyle-") as file:
        try:
            target = vips.Target.new_to_descriptor(file.fileno())
            getattr(picture, f"{format_name.lower()}save_target")(target, **options)
        except vips.Error as error:
            raise OSError(_one_line(error)) from error
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _opened(vips: Any, path: Path | None, format_name: str | None) -> Any:
    load = getattr(vips.Image, f"{str(format_name).lower()}load")
    try:
        return load(str(path), access="sequential", fail_on="error", revalidate=True)
    except vips.Error as error:
        raise OSError(_one_line(error)) from error


def _header(image: ImageFile) -> Image.Image:
    """Asked for its EXIF, Pillow loads a whole PNG if none came before the pixels: here a small one takes its place."""
    if image.format != "PNG":
        return image
    small = Image.new("L", (1, 1))
    small.info = dict(image.info)
    return small


def _rows(vips: Any, loaded: Any, image: ImageFile) -> Rows:
    region = vips.Region.new(loaded)
    shape = (loaded.width,) if loaded.bands == 1 else (loaded.width, loaded.bands)

    def rows(wanted: slice) -> Image.Image:
        try:
            fetched = region.fetch(0, wanted.start, loaded.width, wanted.stop - wanted.start)
        except vips.Error as error:
            raise OSError(_one_line(error)) from error
        strip = Image.fromarray(np.frombuffer(fetched, np.uint8).reshape(-1, *shape))
        strip.info = dict(image.info)
        return strip

    return rows


def _libvips() -> Any:
    """The module pyvips, or None where it or the library that it wraps is missing."""
    try:
        import pyvips
    except (ImportError, OSError):
        return None
    return pyvips


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
