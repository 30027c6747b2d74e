import pytest

from fststyle.protobuf import field, fields, signed, varints


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63, 2**64 - 1])
def test_integers_come_back(value: int) -> None:
    assert [*fields(field(5, value))] == [(5, value)]


@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 300])
def test_bytes_come_back(content: bytes) -> None:
    message = field(1, content) + field(20, 7)
    (first, found), second = fields(message)
    assert (first, bytes(found)) == (1, content)  # type: ignore[arg-type]
    assert second == (20, 7)


def test_text_is_utf8() -> None:
    ((_, found),) = fields(field(1, "Straße"))
    assert bytes(found) == "Straße".encode()  # type: ignore[arg-type]


def test_fixed_width_fields_are_bytes() -> None:
    message = bytes([2 << 3 | 5, 1, 2, 3, 4, 3 << 3 | 1, *range(8)])
    assert [(number, bytes(found)) for number, found in fields(message)] == [  # type: ignore[arg-type]
        (2, bytes([1, 2, 3, 4])),
        (3, bytes(range(8))),
    ]


def test_negative_integers_are_stored_in_twos_complement() -> None:
    assert signed(2**64 - 1) == -1
    packed = bytes([0xFF] * 9 + [0x01, 0x05])
    assert [*varints(memoryview(packed))] == [-1, 5]


@pytest.mark.parametrize(
    "damaged", [b"\x0a\x05ab", b"\x0a", b"\x08", b"\x0b", b"\x0d\x00", b"\x08" + b"\xff" * 11], ids=repr
)
def test_damage_is_noticed(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut short|not a"):
        [*fields(damaged)]
