"""The pictures that the self-test sends."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from PIL import Image


def picture(width: int = 64, height: int = 48, format_name: str = "JPEG") -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, format_name)
    return buffer.getvalue()


def grey(level: int, width: int = 64, height: int = 48) -> bytes:
    buffer = BytesIO()
    Image.new("L", (width, height), level).save(buffer, "PNG")
    return buffer.getvalue()


def claimed_png(width: int, height: int) -> bytes:
    """A few bytes of a PNG whose header tells of that size."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(50))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
