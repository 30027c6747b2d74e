"""The picture formats that are read and written: an allow-list, recognised by content and never by a file's name.

Formats are opened through their own Pillow class, not through ``Image.open``: nothing outside this list is ever tried,
only the plugin needed is imported, and the size cap is ours instead of a global of Pillow's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from PIL import ImageFile

from fststyle.errors import DependencyError, OptionError, UnsupportedFormatError, did_you_mean


@dataclass(frozen=True)
class Format:
    """One format.

    ``signatures`` are the bytes that a file starts with. ``result`` names the format in which a result made from such a
    picture is written; formats with ``options`` can be written, and these are what Pillow's ``save`` is given.
    """

    name: str
    suffixes: tuple[str, ...]
    opener: tuple[str, str]
    result: str
    signatures: tuple[bytes, ...] = ()
    alpha: bool = True
    options: Mapping[str, object] = field(default_factory=dict)

    def open(self, file: IO[bytes]) -> ImageFile.ImageFile:
        """Reads the header only. Whatever Pillow raises on a damaged one passes through."""
        module, name = self.opener
        try:
            opener = getattr(importlib.import_module(module), name)
        except ImportError as error:
            if self.name == "HEIF":
                raise DependencyError('HEIC needs one more package: pip install "pillow-heif"') from error
            raise
        return cast(Callable[[IO[bytes]], ImageFile.ImageFile], opener)(file)


# Lossy formats are written close to lossless and with colour at full resolution: a second heavy compression is not ours
# to add.
FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "JPEG",
            (".jpg", ".jpeg", ".jpe", ".jfif"),
            ("PIL.JpegImagePlugin", "JpegImageFile"),
            "JPEG",
            (b"\xff\xd8\xff",),
            alpha=False,
            options={"quality": 95, "subsampling": 0},
        ),
        Format(
            "PNG",
            (".png",),
            ("PIL.PngImagePlugin", "PngImageFile"),
            "PNG",
            (b"\x89PNG\r\n\x1a\n",),
            options={"compress_level": 4},
        ),
        Format(
            "WEBP",
            (".webp",),
            ("PIL.WebPImagePlugin", "WebPImageFile"),
            "WEBP",
            options={"quality": 95, "method": 4},
        ),
        Format(
            "TIFF",
            (".tif", ".tiff"),
            ("PIL.TiffImagePlugin", "TiffImageFile"),
            "TIFF",
            (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
            options={"compression": "tiff_adobe_deflate"},
        ),
        Format(
            "AVIF",
            (".avif",),
            ("PIL.AvifImagePlugin", "AvifImageFile"),
            "AVIF",
            options={"quality": 90, "subsampling": "4:4:4"},
        ),
        Format("HEIF", (".heic", ".heif"), ("pillow_heif", "HeifImageFile"), "JPEG"),
        Format("GIF", (".gif",), ("PIL.GifImagePlugin", "GifImageFile"), "PNG", (b"GIF87a", b"GIF89a")),
        Format("BMP", (".bmp",), ("PIL.BmpImagePlugin", "BmpImageFile"), "PNG", (b"BM",)),
        Format(
            "PPM",
            (".ppm", ".pgm", ".pbm", ".pnm"),
            ("PIL.PpmImagePlugin", "PpmImageFile"),
            "PNG",
            tuple(b"P%d%c" % (kind, space) for kind in range(1, 7) for space in b" \t\r\n"),
        ),
    )
}
READABLE_SUFFIXES: dict[str, Format] = {suffix: entry for entry in FORMATS.values() for suffix in entry.suffixes}
WRITABLE_SUFFIXES: dict[str, Format] = {suffix: entry for suffix, entry in READABLE_SUFFIXES.items() if entry.options}
HEADER_BYTES = 64


def recognise(header: bytes, name: str) -> Format:
    """The format of a file that starts with ``header`` (:data:`HEADER_BYTES` of it or the whole file).

    :raises UnsupportedFormatError: none of :data:`FORMATS`; ``name`` is for the message.
    """
    for entry in FORMATS.values():
        if header.startswith(entry.signatures):
            return entry
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return FORMATS["WEBP"]
    if header[4:8] == b"ftyp":
        # The box lists four-letter brands: the major one, a version, then those that the file is compatible with.
        box = header[8 : max(12, min(int.from_bytes(header[:4], "big"), len(header)))]
        brands = {box[start : start + 4] for start in range(0, len(box), 4)}
        if brands & {b"avif", b"avis"}:
            return FORMATS["AVIF"]
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return FORMATS["HEIF"]
    raise UnsupportedFormatError(f"{name} is not a picture of a known format; accepted: {', '.join(FORMATS)}")


def format_for(path: Path) -> Format:
    """The format in which a file of that name is written.

    :raises OptionError: the suffix is not one of :data:`WRITABLE_SUFFIXES`.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        accepted = ", ".join(WRITABLE_SUFFIXES)
        near = did_you_mean(suffix, WRITABLE_SUFFIXES)
        raise OptionError(
            f"{path}: pictures are not written as {suffix or 'a file without suffix'!r}; accepted: {accepted}{near}"
        )
    return WRITABLE_SUFFIXES[suffix]
