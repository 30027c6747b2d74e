import numpy as np
import pytest

from fststyle.errors import OptionError, StyleNotFoundError
from fststyle.mixes import Mix
from fststyle.serving.mix_timeline import MixTimeline, parse_time, parse_timeline

STYLES = ("photo", "dawn", "dusk")


def test_moments_are_read_in_all_their_forms() -> None:
    found = parse_timeline(" 0 dawn;10.5  dusk ; 1:20 dawn:0.5,dusk:0.5\n1:00:00 photo;")
    assert found.times == (0, 10.5, 80, 3600)
    assert [mix.shares for mix in found.mixes] == [
        {"dawn": 1},
        {"dusk": 1},
        {"dawn": 0.5, "dusk": 0.5},
        {"photo": 1},
    ]
    assert parse_timeline(str(found)) == found


def test_one_mix_asks_for_all_styles_and_the_palette() -> None:
    assert str(parse_timeline("0 dawn; 1 dusk:2,dawn").everything) == "dawn:1,dusk:1"
    assert str(parse_timeline("0 dawn; 1 dusk@my pair.onnx").everything) == "dawn:1,dusk:1@my pair.onnx"


def test_weights_fade_linearly_and_stand_still_outside() -> None:
    fade = parse_timeline("2 dawn; 4 dusk; 6 dawn:1,photo:1").over(STYLES)
    expected = {
        0: (0, 1, 0),
        2: (0, 1, 0),
        2.5: (0, 0.75, 0.25),
        4: (0, 0, 1),
        5: (0.25, 0.25, 0.5),
        6: (0.5, 0.5, 0),
        99: (0.5, 0.5, 0),
    }
    for seconds, weights in expected.items():
        assert fade.at(seconds).dtype == np.float32
        np.testing.assert_allclose(fade.at(seconds), weights, atol=1e-6)


def test_around_begins_again_at_the_last_time() -> None:
    fade = parse_timeline("0 dawn; 4 dusk").over(STYLES)
    for seconds in (1, 5, 41):
        np.testing.assert_allclose(fade.around(seconds), (0, 0.75, 0.25), atol=1e-6)
    np.testing.assert_array_equal(parse_timeline("0 dusk").over(STYLES).around(7), (0, 0, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a timeline is written TIME MIX; TIME MIX; ..., got ''"),
        ("dawn", "'dawn' is no time; accepted are seconds, MM:SS and HH:MM:SS"),
        ("0", "what is to be seen at 0?"),
        ("0 dawn; -1 dusk", "'-1' is no time"),
        ("0 dawn; inf dusk", "'inf' is no time"),
        ("0 dawn; 1:2:3:4 dusk", "'1:2:3:4' is no time"),
        ("0 dawn; 10 dusk; 5 dawn", "the times of a timeline must rise, got 5 s after 10 s"),
        ("0 dawn; 0 dusk", "the times of a timeline must rise, got 0 s after 0 s"),
        ("0 dawn, 10 dusk", "separated by semicolons, not by commas"),
        ("0 dawn:x", "the weight of 'dawn' must be a number"),
        ("0 dawn:0", "at least one weight of a mix must be above 0"),
        ("0 dawn; 1 tiny.onnx", "written STYLE@FILE.onnx, got the file tiny.onnx"),
        ("0 dawn@a.onnx; 1 dusk@b.onnx", "the styles of one palette, got a.onnx and b.onnx"),
    ],
)
def test_what_makes_no_sense_is_one_error(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_timeline(text)
    assert message in str(caught.value)


def test_a_style_that_the_palette_has_not() -> None:
    with pytest.raises(StyleNotFoundError, match="did you mean 'dusk'"):
        parse_timeline("0 dawn; 1 dusq").over(STYLES)


def test_times_and_mixes_belong_together() -> None:
    with pytest.raises(OptionError, match="got 1 times, 0 mixes"):
        MixTimeline((0.0,), ())
    assert MixTimeline((0.0,), (Mix({"dawn": 1.0}),)).times == (0,)


def test_times() -> None:
    assert [parse_time(text) for text in ("7", "0.25", "2:30", "1:00:01.5")] == [7, 0.25, 150, 3601.5]
