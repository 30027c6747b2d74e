"""Pictures in and out: bytes or a file <-> an RGB array that is upright, in sRGB and of a size that was checked
first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from math import ceil
from mmap import mmap
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from fststyle.atomic import atomic_path, atomic_write
from fststyle.colour import colour_and_alpha, srgb_profile, to_srgb
from fststyle.errors import (
    FststyleError,
    ImageTooLargeError,
    InputError,
    OptionError,
    OutputError,
)
from fststyle.exif import read_exif
from fststyle.formats import FORMATS, HEADER_BYTES, Format, recognise
from fststyle.large_files import LARGE, encoded_in_strips, loaded_rows, stored_rows
from fststyle.strips import resized, upright_pixels

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "atomic_path",
    "atomic_write",
    "decode",
    "encode",
    "encode_for_file",
    "from_pillow",
    "load_rgb",
    "picture_size",
    "read_picture",
    "to_pillow",
]

MAX_PIXELS = 200_000_000
"""The default cap on width times height, held against the header before anything is decoded."""

_DRAFT_MARGIN = 1.9
"""How much larger than wanted a JPEG must come out of a decoding at 1/2, 1/4 or 1/8 of its size: what the decoder's
scaling does to the finest detail is then lost in the Lanczos step anyway.
"""

_DRAFT_SIDE = 16
"""Pixels. In a smaller result the filling of the edge blocks, which scaling mixes in, would weigh too much."""

_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture in memory.

    ``pixels``: uint8 [H, W, 3], RGB in sRGB, upright. ``alpha``: uint8 [H, W], not multiplied into ``pixels``, or None.
    ``format``: the name in :data:`~fststyle.formats.FORMATS` of what it was read from. ``exif``: what EXIF said about
    the photo, without orientation, thumbnail and storage details, or None.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    format: str = "PNG"
    exif: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def result_format(self) -> str:
        """The format in which a result made from this picture is written, unless another is asked for."""
        return FORMATS[self.format].result

    def limited(self, max_size: int | None) -> Picture:
        """Scaled down (Lanczos) so that the longer side has at most ``max_size`` pixels; never scaled up."""
        size = _limited_size(self.size, max_size)
        if size == self.size:
            return self
        small = _scaled(self.pixels, size)
        alpha = None if self.alpha is None else _scaled(self.alpha, size)
        return replace(self, pixels=small, alpha=alpha)


def read_picture(path: Path | str, *, max_pixels: int = MAX_PIXELS, max_size: int | None = None) -> Picture:
    """The first frame of a picture file; ``max_size`` and errors are those of :func:`decode`."""
    with _opened(path) as file:
        return _decode(file, str(path), max_pixels, max_size, Path(path))


def picture_size(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Width and height as the header tells them, before any rotation; errors are those of :func:`decode`."""
    with _opened(path) as file, _header(file, str(path), max_pixels) as (image, _):
        return image.size


def load_rgb(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The pixels alone: uint8 [H, W, 3], RGB in sRGB, upright; errors are those of :func:`decode`."""
    return read_picture(path, max_pixels=max_pixels).pixels


def decode(
    data: bytes, *, name: str = "the picture", max_pixels: int = MAX_PIXELS, max_size: int | None = None
) -> Picture:
    """The first frame of an encoded picture; ``name`` is what messages call it.

    With ``max_size`` it is what :meth:`Picture.limited` would make of it; JPEGs much larger than that are decoded at a
    fraction of their size, in a fraction of the time. Grey, 1-bit, palette, CMYK, YCbCr, LAB and 16-bit integer
    pictures become 8-bit RGB, transparency of any kind an alpha channel.

    :raises UnsupportedFormatError: the bytes are none of :data:`~fststyle.formats.FORMATS`, or hold floating-point
        pixels.
    :raises ImageTooLargeError: the header tells of more than ``max_pixels``.
    :raises InputError: empty, cut short or damaged.
    :raises DependencyError: HEIC without pillow-heif.
    """
    return _decode(BytesIO(data), name, max_pixels, max_size)


def from_pillow(image: Image.Image, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The same treatment for a Pillow image, which stays as it was; errors are those of :func:`decode`."""
    with _damage_reported("the image"):
        _check_size(image.size, "the image", max_pixels)
        return _picture(image, "the image", FORMATS["PNG"].name)


def to_pillow(picture: Picture) -> Image.Image:
    """An RGB or RGBA image that carries the sRGB profile."""
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    image.info["icc_profile"] = srgb_profile()
    return image


def encode(picture: Picture, format_name: str, *, keep_metadata: bool = False) -> bytes:
    """``picture`` in one of the writable formats, with an sRGB profile, and with its EXIF only if ``keep_metadata``.

    :raises OptionError: the picture has transparency and the format cannot hold it.
    :raises OutputError: the format cannot hold a picture of that size.
    """
    target, picture = FORMATS[format_name], _holdable(picture, FORMATS[format_name])
    options = dict(target.options)
    if keep_metadata and picture.exif is not None:
        options["exif"] = picture.exif
        if target.name == "TIFF":
            options["compression"] = "raw"  # into a compressed TIFF Pillow cannot write EXIF's inner directories
    buffer = BytesIO()
    try:
        to_pillow(picture).save(buffer, target.name, icc_profile=srgb_profile(), **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_hold(picture, target, error) from error
    return buffer.getvalue()


def encode_for_file(picture: Picture, format_name: str, *, keep_metadata: bool = False) -> bytes | mmap:
    """As :func:`encode`, but what is large is written in strips and lies in a temporary file, if libvips is there."""
    target = FORMATS[format_name]
    kept = _holdable(picture, target)
    try:
        data = encoded_in_strips(kept.pixels, kept.alpha, target.name, kept.exif if keep_metadata else None)
    except OSError as error:
        raise _cannot_hold(picture, target, error) from error
    return encode(kept, format_name, keep_metadata=keep_metadata) if data is None else data


def _holdable(picture: Picture, target: Format) -> Picture:
    """Without an alpha channel that the format has no place for, if it says nothing."""
    if target.alpha or picture.alpha is None:
        return picture
    if picture.alpha.min() < 255:
        able = ", ".join(entry.name for entry in FORMATS.values() if entry.options and entry.alpha)
        raise OptionError(f"the picture has transparency, which {target.name} cannot hold; write one of: {able}")
    return replace(picture, alpha=None)


def _cannot_hold(picture: Picture, target: Format, error: Exception) -> OutputError:
    width, height = picture.size
    return OutputError(f"{target.name} cannot hold this picture of {width} x {height} pixels: {error}")


@contextlib.contextmanager
def _opened(path: Path | str) -> Iterator[IO[bytes]]:
    try:
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _decode(file: IO[bytes], name: str, max_pixels: int, max_size: int | None, path: Path | None = None) -> Picture:
    with _header(file, name, max_pixels) as (image, source):
        return _picture(image, name, source.name, max_size, path).limited(max_size)


@contextlib.contextmanager
def _header(file: IO[bytes], name: str, max_pixels: int) -> Iterator[tuple[Image.Image, Format]]:
    """The picture with nothing read but its header, and what is raised from then on as errors of ours."""
    header = file.read(HEADER_BYTES)
    if not header:
        raise InputError(f"{name} is empty (0 bytes)")
    file.seek(0)
    source = recognise(header, name)
    with _damage_reported(name), source.open(file) as image:
        _check_size(image.size, name, max_pixels)
        yield image, source


@contextlib.contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    try:
        yield
    except FststyleError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:  # Pillow's own cap, for some formats
        raise ImageTooLargeError(f"{name} is too large to decode: {error or 'not enough memory'}") from error
    except Exception as error:  # decoders raise nearly anything on damaged data: OSError, SyntaxError, struct.error ...
        raise InputError(f"{name} is damaged or cut short: {error}") from error


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        cap = f"{max_pixels / 1e6:g} megapixels"
        raise ImageTooLargeError(f"{name} has {width} x {height} pixels, above the cap of {cap} (max_pixels)")
    if width < 1 or height < 1:
        raise InputError(f"{name} has no pixels: its size is {width} x {height}")


def _limited_size(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    if max_size is None or max(size) <= max_size:
        return size
    scale = max_size / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _picture(
    image: Image.Image, name: str, format_name: str, max_size: int | None = None, path: Path | None = None
) -> Picture:
    size = _limited_size(image.size, max_size)
    box = _draft(image, size) if isinstance(image, JpegImageFile) else None
    stored = stored_rows(image, path, name) if box is None and isinstance(image, ImageFile) else loaded_rows(image)
    exif, orientation = read_exif(stored.header)
    if box is None:
        split = partial(_srgb_and_alpha, name=name)
        pixels, alpha = upright_pixels(stored.size, stored.rows, orientation, split)
        return Picture(pixels, alpha, format_name, exif)
    colour, _ = _srgb_and_alpha(image, name)
    colour = colour.resize(size, Image.Resampling.LANCZOS, box)
    if orientation in _ORIENTATIONS:
        colour = colour.transpose(_ORIENTATIONS[orientation])
    return Picture(np.asarray(colour), None, format_name, exif)


def _scaled(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if pixels.shape[0] * pixels.shape[1] > LARGE:
        return resized(pixels, size)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _srgb_and_alpha(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    colour, alpha = colour_and_alpha(image, name)
    return to_srgb(colour, image.info.get("icc_profile")), alpha


def _draft(image: JpegImageFile, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """Makes the decoder leave out detail that ``size`` has no room for; the picture's own area in what it will give, or
    None where nothing can be left out. The decoder rounds up to whole pixels, so the area may end inside the last one.
    """
    full = image.size
    if min(size) < _DRAFT_SIDE:
        return None
    drafted = image.draft(None, (ceil(size[0] * _DRAFT_MARGIN), ceil(size[1] * _DRAFT_MARGIN)))
    return drafted[1] if drafted is not None and image.size != full else None
