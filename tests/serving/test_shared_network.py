from pathlib import Path

import numpy as np
import pytest

from fststyle.errors import OptionError
from fststyle.mixes import Mix
from fststyle.serving.look import Look
from fststyle.serving.shared_network import check_blend, load_each, with_weights
from fststyle.serving.stylizer import Stylizer
from fststyle.styles import read_style

PHOTO = np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def palette(palette_file: Path) -> Stylizer:
    return Stylizer(palette_file, device="cpu", threads=1)


def test_a_palette_is_loaded_once_for_all_its_styles(palette_file: Path, tiny_style_file: Path) -> None:
    loaded: list[str | Path] = []

    def load(name: str | Path) -> Stylizer:
        loaded.append(name)
        return Stylizer(name, device="cpu", threads=1)

    names = [f"dawn@{palette_file}", str(tiny_style_file), f"dusk@{palette_file}", f"dawn:3,dusk:1@{palette_file}"]
    stylizers = list(load_each(names, load))
    assert loaded == names[:2]
    assert [stylizer.style.name for stylizer in stylizers] == ["dawn", "tiny", "dusk", "dawn:3,dusk:1"]
    for name, stylizer in zip(names, stylizers, strict=True):
        np.testing.assert_array_equal(stylizer(PHOTO), Stylizer(name, device="cpu", threads=1)(PHOTO))


def test_a_mix_with_weights_is_called_by_them(palette: Stylizer) -> None:
    mixed = with_weights(palette, [0, 0.25, 0.75])
    assert mixed.style.name == "dawn:0.25,dusk:0.75"
    assert mixed.style.weights == (0, 0.25, 0.75)
    np.testing.assert_array_equal(mixed(PHOTO), palette.mixed(Mix({"dawn": 1, "dusk": 3}))(PHOTO))
    assert with_weights(palette, [0, 0.001, 0.999]).style.name == "dusk"
    assert palette.style.name == "pair"
    with pytest.raises(OptionError, match="has 3 styles to mix, got 2"):
        with_weights(palette, [0, 1])


def test_another_style_leaves_the_first_as_it_is(palette: Stylizer) -> None:
    before = palette(PHOTO)
    other = palette.with_style(palette.style.mixed(Mix({"dusk": 1})))
    assert not np.array_equal(other(PHOTO), before)
    np.testing.assert_array_equal(palette(PHOTO), before)


def test_only_a_palette_blends_in_the_network(palette: Stylizer, tiny_style_file: Path) -> None:
    check_blend(palette.style, Look(blend="network"))
    check_blend(read_style(tiny_style_file), Look())
    with pytest.raises(OptionError, match="tiny is a network of one style"):
        check_blend(read_style(tiny_style_file), Look(blend="network"))
