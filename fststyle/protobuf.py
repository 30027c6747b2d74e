"""Protobuf messages taken apart and put together again, by field numbers: what changing an ONNX file needs, and no
package more than the base install has.

A message is fields one after another, each a key (number and kind) and a value
(https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterator

Value = int | memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Kinds of values."""


def fields(message: bytes | memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field in order: an integer, or the bytes of anything else, which are not copied.

    :raises ValueError: the message is not well formed.
    """
    data, place = memoryview(message), 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == BYTES:
            length, place = _varint(data, place)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError("not a field")
        if place + length > len(data):
            raise ValueError("cut short")
        yield number, data[place : place + length]
        place += length


def varints(packed: memoryview) -> Iterator[int]:
    """The integers of a packed repeated field, signed (int64)."""
    place = 0
    while place < len(packed):
        value, place = _varint(packed, place)
        yield signed(value)


def signed(value: int) -> int:
    """int64 as it is stored, in two's complement."""
    return value - 2**64 if value >= 2**63 else value


def field(number: int, value: int | str | bytes | memoryview) -> bytes:
    """One field: integers from 0 as varints, text and bytes with their length."""
    if isinstance(value, int):
        return _as_varint(number << 3 | VARINT) + _as_varint(value)
    content = value.encode() if isinstance(value, str) else bytes(value)
    return _as_varint(number << 3 | BYTES) + _as_varint(len(content)) + content


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """Seven bits in each byte, the lowest first; the eighth says that there is more."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("cut short")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("not a varint")


def _as_varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
