"""The notes inside an ONNX file, read and written without the network: it takes no session and no onnx package.

An ONNX file is a protobuf ``ModelProto``: fields one after another, each a key (number and kind) and a value. Field 7
is the graph, nearly all of the file, and is skipped by its length; field 14, repeated, is an entry of
``metadata_props`` with the key in field 1 and the value in field 2 (https://protobuf.dev/programming-guides/encoding,
onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

from fststyle.atomic import atomic_write
from fststyle.errors import ModelError
from fststyle.protobuf import BYTES, FIXED32, FIXED64, VARINT, field

_METADATA_PROPS = 14
_ENTRY_LIMIT = 16 * 2**20
"""Bytes; an entry that claims more is damage."""


def read_onnx_metadata(path: Path) -> dict[str, str]:
    """The ``metadata_props`` of the ONNX file at ``path``.

    :raises ModelError: it cannot be read, is cut short, or is no protobuf at all.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            pairs = [_values(entry.value) for entry in _fields(file, size, {_METADATA_PROPS})]
        return {pair.get(1, b"").decode(): pair.get(2, b"").decode() for pair in pairs}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{path} is damaged or not an ONNX file") from error


def write_onnx_metadata(path: Path, entries: Mapping[str, str]) -> None:
    """Set entries of the ``metadata_props`` of the ONNX file at ``path``, atomically; every other byte stays as it is.

    :raises ModelError: it cannot be read, or is damaged.
    :raises OutputError: it cannot be written.
    """
    try:
        content = path.read_bytes()
        fields = [*_fields(BytesIO(content), len(content), {_METADATA_PROPS})]
        replaced = [entry for entry in fields if _values(entry.value).get(1, b"").decode() in entries]
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{path} is damaged or not an ONNX file") from error
    starts = [0, *(entry.end for entry in replaced)]
    ends = [*(entry.start for entry in replaced), len(content)]
    kept = [content[start:end] for start, end in zip(starts, ends, strict=True)]
    atomic_write(path, b"".join([*kept, *(_entry(key, value) for key, value in entries.items())]))


def _values(message: bytes) -> dict[int, bytes]:
    """Key and value of one entry, by the numbers of their fields."""
    return {entry.number: entry.value for entry in _fields(BytesIO(message), len(message), {1, 2})}


def _entry(key: str, value: str) -> bytes:
    return field(_METADATA_PROPS, field(1, key) + field(2, value))


class _Field(NamedTuple):
    """``start`` and ``end``: where it is in the file, its key included."""

    number: int
    value: bytes
    start: int
    end: int


def _fields(file: IO[bytes], size: int, wanted: set[int]) -> Iterator[_Field]:
    """Each wanted field of the message of ``size`` bytes; ValueError where it is not well formed."""
    if size == 0:
        raise ValueError("empty")
    while (start := file.tell()) < size:
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if number == 0 or kind not in (VARINT, FIXED64, BYTES, FIXED32):
            raise ValueError("not a field")
        if kind == VARINT:
            _varint(file)
            continue
        length = _varint(file) if kind == BYTES else {FIXED64: 8, FIXED32: 4}[kind]
        if file.tell() + length > size:
            raise ValueError("cut short")
        if kind == BYTES and number in wanted:
            if length > _ENTRY_LIMIT:
                raise ValueError("too long")
            value = file.read(length)
            yield _Field(number, value, start, file.tell())
        else:
            file.seek(length, 1)


def _varint(file: IO[bytes]) -> int:
    """Seven bits in each byte, the lowest first; the eighth says that there is more."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("cut short")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("not a varint")
