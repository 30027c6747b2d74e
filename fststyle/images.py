"""Pictures in and out: bytes or a file <-> an RGB array that is upright, in sRGB and of a size that was checked
first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from fststyle.atomic import atomic_path, atomic_write
from fststyle.colour import srgb_profile, to_srgb
from fststyle.errors import (
    FststyleError,
    ImageTooLargeError,
    InputError,
    OptionError,
    OutputError,
    UnsupportedFormatError,
)
from fststyle.formats import FORMATS, HEADER_BYTES, recognise

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "atomic_path",
    "atomic_write",
    "decode",
    "encode",
    "from_pillow",
    "load_rgb",
    "read_picture",
    "to_pillow",
]

MAX_PIXELS = 200_000_000
"""The default cap on width times height, held against the header before anything is decoded."""

_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What EXIF says about the photo. Everything else in its first directory describes how the old file stored its pixels,
# and the second directory is a thumbnail of the photo before stylising.
_KEPT_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
)
_STALE_TAGS = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.Base.ExifInteroperabilityOffset)


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
        if max_size is None or max(self.size) <= max_size:
            return self
        scale = max_size / max(self.size)
        size = (max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale)))
        small = np.asarray(Image.fromarray(self.pixels).resize(size, Image.Resampling.LANCZOS))
        alpha = self.alpha
        if alpha is not None:
            alpha = np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.LANCZOS))
        return replace(self, pixels=small, alpha=alpha)


def read_picture(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The first frame of a picture file; errors are those of :func:`decode`."""
    try:
        with Path(path).open("rb") as file:
            return _decode(file, str(path), max_pixels)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def load_rgb(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The pixels alone: uint8 [H, W, 3], RGB in sRGB, upright; errors are those of :func:`decode`."""
    return read_picture(path, max_pixels=max_pixels).pixels


def decode(data: bytes, *, name: str = "the picture", max_pixels: int = MAX_PIXELS) -> Picture:
    """The first frame of an encoded picture; ``name`` is what messages call it.

    Grey, 1-bit, palette, CMYK, YCbCr, LAB and 16-bit integer pictures become 8-bit RGB, transparency of any kind an
    alpha channel.

    :raises UnsupportedFormatError: the bytes are none of :data:`~fststyle.formats.FORMATS`, or hold floating-point
        pixels.
    :raises ImageTooLargeError: the header tells of more than ``max_pixels``.
    :raises InputError: empty, cut short or damaged.
    :raises DependencyError: HEIC without pillow-heif.
    """
    return _decode(BytesIO(data), name, max_pixels)


def from_pillow(image: Image.Image, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The same treatment for a Pillow image, which stays as it was; errors are those of :func:`decode`."""
    with _damage_reported("the image"):
        return _picture(image, "the image", max_pixels, FORMATS["PNG"].name)


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
    target = FORMATS[format_name]
    if not target.alpha and picture.alpha is not None:
        if picture.alpha.min() < 255:
            able = ", ".join(entry.name for entry in FORMATS.values() if entry.options and entry.alpha)
            raise OptionError(f"the picture has transparency, which {target.name} cannot hold; write one of: {able}")
        picture = replace(picture, alpha=None)
    options = dict(target.options)
    if keep_metadata and picture.exif is not None:
        options["exif"] = picture.exif
        if target.name == "TIFF":
            options["compression"] = "raw"  # into a compressed TIFF Pillow cannot write EXIF's inner directories
    buffer = BytesIO()
    try:
        to_pillow(picture).save(buffer, target.name, icc_profile=srgb_profile(), **options)
    except (OSError, ValueError, RuntimeError) as error:
        width, height = picture.size
        raise OutputError(f"{target.name} cannot hold this picture of {width} x {height} pixels: {error}") from error
    return buffer.getvalue()


def _decode(file: IO[bytes], name: str, max_pixels: int) -> Picture:
    header = file.read(HEADER_BYTES)
    if not header:
        raise InputError(f"{name} is empty (0 bytes)")
    file.seek(0)
    source = recognise(header, name)
    with _damage_reported(name), source.open(file) as image:
        return _picture(image, name, max_pixels, source.name)


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


def _picture(image: Image.Image, name: str, max_pixels: int, format_name: str) -> Picture:
    width, height = image.size
    if width * height > max_pixels:
        cap = f"{max_pixels / 1e6:g} megapixels"
        raise ImageTooLargeError(f"{name} has {width} x {height} pixels, above the cap of {cap} (max_pixels)")
    if width < 1 or height < 1:
        raise InputError(f"{name} has no pixels: its size is {width} x {height}")
    image.load()
    exif, orientation = _read_exif(image)
    colour, alpha = _split(image, name)
    colour = to_srgb(colour, image.info.get("icc_profile"))
    if orientation in _ORIENTATIONS:
        colour = colour.transpose(_ORIENTATIONS[orientation])
        alpha = alpha.transpose(_ORIENTATIONS[orientation]) if alpha else None
    return Picture(np.asarray(colour), None if alpha is None else np.asarray(alpha), format_name, exif)


def _split(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Colour (L, RGB, CMYK, LAB or YCbCr, 8 bits each) and alpha (L) of a loaded image."""
    if image.mode == "F":
        raise UnsupportedFormatError(
            f"{name} has floating-point pixels, whose range is not defined; save it with 8 or 16 bits"
        )
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        transparent = image.info.get("transparency")
        alpha = Image.fromarray(((values != transparent) * 255).astype(np.uint8)) if transparent is not None else None
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)), alpha
    if image.has_transparency_data:
        both = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        *bands, alpha = both.split()
        return bands[0] if len(bands) == 1 else Image.merge("RGB", bands), alpha
    if image.mode in ("L", "RGB", "CMYK", "LAB", "YCbCr"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _read_exif(image: Image.Image) -> tuple[bytes | None, int]:
    """What to keep of the EXIF, and the orientation (1 when there is none). Damaged EXIF counts as none, as it does in
    viewers.
    """
    try:
        original = image.getexif()
        if not original:
            return None, 1
        kept = Image.Exif()
        for tag in _KEPT_TAGS:
            if tag in original:
                kept[tag] = original[tag]
        kept[ExifTags.Base.Orientation] = 1
        details = {tag: value for tag, value in original.get_ifd(ExifTags.IFD.Exif).items() if tag not in _STALE_TAGS}
        if ExifTags.Base.ColorSpace in details:
            details[ExifTags.Base.ColorSpace] = 1  # sRGB
        kept.get_ifd(ExifTags.IFD.Exif).update(details)
        kept.get_ifd(ExifTags.IFD.GPSInfo).update(original.get_ifd(ExifTags.IFD.GPSInfo))
        return kept.tobytes(), int(original.get(ExifTags.Base.Orientation, 1))
    except Exception:  # the parser raises nearly anything on damaged data
        return None, 1
