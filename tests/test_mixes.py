"""Mixes of styles as people write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fststyle.errors import OptionError, StyleNotFoundError
from fststyle.mixes import Mix, parse_mix

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)


@pytest.mark.parametrize("text", ["starry_night", "styles/night.onnx", "C:\\styles\\night.onnx", ""])
def test_a_name_and_a_path_are_no_mix(text: str) -> None:
    assert parse_mix(text) is None


def test_a_file_that_is_there_is_no_mix(tmp_path: Path) -> None:
    (tmp_path / "me@home").mkdir()
    (tmp_path / "me@home" / "a.onnx").touch()
    assert parse_mix(str(tmp_path / "me@home" / "a.onnx")) is None


@pytest.mark.parametrize(
    ("text", "mix"),
    [
        ("night:0.7,wave:0.3", Mix({"night": 0.7, "wave": 0.3})),
        ("night,wave", Mix({"night": 1, "wave": 1})),
        ("night : 2 , wave:1e-1", Mix({"night": 2, "wave": 0.1})),
        ("night@palette", Mix({"night": 1}, "palette")),
        ("night:1,photo:3@my/palette.onnx", Mix({"night": 1, "photo": 3}, "my/palette.onnx")),
    ],
)
def test_what_people_write(text: str, mix: Mix) -> None:
    assert parse_mix(text) == mix


@given(st.dictionaries(NAMES, st.floats(0.001, 1000), min_size=2, max_size=5), st.sampled_from(["", "palette"]))
def test_a_mix_is_written_as_it_is_read(shares: dict[str, float], palette: str) -> None:
    rounded = {name: float(f"{weight:g}") for name, weight in shares.items()}
    assert parse_mix(str(Mix(rounded, palette))) == Mix(rounded, palette)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("night:-1,wave:1", "weight of 'night' must be a number of at least 0, got -1"),
        ("night:nan,wave:1", "got nan"),
        ("night:inf,wave:1", "got inf"),
        ("night:much,wave:1", "weight of 'night' must be a number of at least 0, got 'much'"),
        ("night:0,wave:0", "at least one weight of a mix must be above 0, got night:0,wave:0"),
        ("night:1e308,wave:1e308", "must have a sum"),
        ("night:1,night:2", "'night' comes twice"),
        ("night:1,,wave:1", "a mix is written NAME:WEIGHT"),
        ("@palette", "a mix is written NAME:WEIGHT"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_mix(text)


@given(
    st.dictionaries(NAMES, st.floats(0, 100), min_size=1, max_size=6).filter(lambda shares: sum(shares.values()) > 0)
)
def test_weights_are_shares_in_the_palettes_order(shares: dict[str, float]) -> None:
    styles = ["-", *sorted(shares)]  # no name of theirs
    weights = Mix(shares).weights(styles)
    total = sum(shares.values())
    assert weights == pytest.approx((0.0, *(shares[name] / total for name in sorted(shares))))


def test_a_style_that_the_palette_lacks_is_refused_with_the_nearest() -> None:
    with pytest.raises(StyleNotFoundError, match=r"no style named 'nigth'; styles: photo, night.*did you mean 'night'"):
        Mix({"nigth": 1.0}).weights(["photo", "night"])
