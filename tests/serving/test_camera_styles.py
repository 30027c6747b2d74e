import shutil
import threading
from pathlib import Path

import pytest

from fststyle.errors import ModelError, OptionError
from fststyle.serving.camera_styles import StyleShelf, opening_key, style_key
from fststyle.serving.mix_timeline import parse_timeline
from fststyle.serving.stylizer import Stylizer


class Loader:
    """Loads styles for one thread on the CPU, and notes which; ``done`` is released after each."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.gate = threading.Semaphore(0)

    def __call__(self, name: str | Path) -> Stylizer:
        self.loaded.append(Path(name).stem)
        return Stylizer(name, device="cpu", threads=1)


def settle(shelf: StyleShelf, name: str) -> None:
    """Until the style is the current one."""
    for _ in range(6000):
        if shelf.current.style.name == name and shelf.coming is None:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{shelf.current.style.name} stayed, {name} was expected")


@pytest.fixture
def row(styles_folder: Path) -> list[str | Path]:
    """Five styles."""
    for name in "bcde":
        shutil.copyfile(styles_folder / "tiny.onnx", styles_folder / f"{name}.onnx")
    return ["tiny", "b", "c", "d", "e"]


def test_styles_are_loaded_when_their_turn_comes_and_kept(row: list[str | Path]) -> None:
    load = Loader()
    with StyleShelf("tiny", load, row) as shelf:
        assert load.loaded == ["tiny"]
        for by, name in ((1, "b"), (-1, "tiny"), (-1, "e"), (1, "tiny")):
            shelf.step(by)
            settle(shelf, name)
    assert load.loaded == ["tiny", "b", "e"]


def test_only_the_last_three_stay_in_memory(row: list[str | Path]) -> None:
    load = Loader()
    with StyleShelf("tiny", load, row) as shelf:
        for name in ("b", "c", "d"):
            shelf.step(1)
            settle(shelf, name)
        shelf.step(-3)
        settle(shelf, "tiny")
    assert load.loaded == ["tiny", "b", "c", "d", "tiny"]


def test_a_style_that_cannot_be_loaded_is_told_and_the_old_one_stays(
    row: list[str | Path], styles_folder: Path
) -> None:
    (styles_folder / "b.onnx").write_bytes(b"broken")
    told: list[str] = []
    heard = threading.Event()

    def hear(text: str) -> None:
        told.append(text)
        heard.set()

    with StyleShelf("tiny", Loader(), row) as shelf:
        shelf.told = hear
        shelf.step(1)
        assert heard.wait(60)
        assert shelf.current.style.name == "tiny"
        shelf.step(1)
        settle(shelf, "c")
    assert len(told) == 1
    assert told[0].startswith("style b: ")


def test_the_first_style_fails_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"broken")
    with pytest.raises(ModelError):
        StyleShelf(tmp_path / "bad.onnx", Loader())


def test_every_available_style_is_in_the_row_and_a_file_before_them(styles_folder: Path, tiny_style_file: Path) -> None:
    assert style_key("tiny") == "tiny"
    key = style_key(str(tiny_style_file))
    assert key == tiny_style_file
    with StyleShelf(key, Loader()) as shelf:
        assert shelf._names[0] == tiny_style_file
        assert "tiny" in shelf._names


@pytest.fixture
def palette(styles_folder: Path, palette_file: Path) -> Path:
    """The palette ``pair`` beside the style ``tiny``."""
    return Path(shutil.copyfile(palette_file, styles_folder / "pair.onnx"))


def test_the_styles_of_a_palette_share_one_network(palette: Path) -> None:
    load = Loader()
    with StyleShelf("dawn", load, ["tiny", "dawn", "dusk"]) as shelf:
        session = shelf.current.engine._session
        shelf.step(1)
        settle(shelf, "dusk")
        assert shelf.current.engine._session is session
        assert list(shelf.current.engine.weights) == [0, 0, 1]
        shelf.step(1)
        settle(shelf, "tiny")
        shelf.step(1)
        settle(shelf, "dawn")
    assert load.loaded == ["dawn", "tiny"]


def test_a_fade_goes_on_from_style_to_style(palette: Path) -> None:
    load = Loader()
    with StyleShelf("dawn", load, ["dawn", "dusk"]) as shelf:
        for by, name in (
            (0.25, "dawn:0.75,dusk:0.25"),
            (0.5, "dawn:0.25,dusk:0.75"),
            (0.25, "dusk"),
            (0.5, "dawn:0.5,dusk:0.5"),  # around, to the first
            (-0.75, "dawn:0.25,dusk:0.75"),
        ):
            shelf.fade(by)
            settle(shelf, name)
        shelf.step(1)
        settle(shelf, "dusk")
        shelf.fade(-0.4)
        settle(shelf, "dawn:0.4,dusk:0.6")
        shelf.step(-1)
        settle(shelf, "dawn")
    assert load.loaded == ["dawn"]


def test_only_styles_of_one_palette_fade(palette: Path) -> None:
    with StyleShelf("tiny", Loader(), ["tiny", "dawn", "dusk"]) as shelf:
        for by in (0.1, -0.1):
            with pytest.raises(OptionError, match="cannot be mixed: they are not of one palette"):
                shelf.fade(by)
        shelf.step(1)
        settle(shelf, "dawn")
        shelf.fade(0.1)
        settle(shelf, "dawn:0.9,dusk:0.1")


def test_the_row_has_what_palettes_hold(palette: Path, palette_file: Path) -> None:
    row = StyleShelf("dusk", Loader())._names
    assert {"tiny", "dawn", "dusk"} <= {*row}
    assert "pair" not in row
    assert StyleShelf(palette_file, Loader())._names[:3] == [
        palette_file,
        f"dawn@{palette_file}",
        f"dusk@{palette_file}",
    ]


def test_keys_of_styles_in_a_palette_and_of_mixes(palette: Path, palette_file: Path) -> None:
    assert style_key("dusk") == "dusk"
    assert style_key("dusk:2") == "dusk"
    assert style_key("dusk:3,dawn:1") == "dusk:3,dawn:1"
    assert style_key("dusk@pair") == "dusk"
    assert style_key(f"dusk@{palette_file}") == f"dusk@{palette_file}"
    assert style_key(str(palette_file)) == palette_file


def test_what_a_timeline_begins_with(palette: Path, palette_file: Path) -> None:
    assert opening_key(parse_timeline("0 dusk; 3 dawn")) == "dusk"
    assert opening_key(parse_timeline("0 dusk,dawn; 3 dawn")) == "dusk:1,dawn:1"
    assert opening_key(parse_timeline(f"0 dusk; 3 dawn@{palette_file}")) == f"dusk@{palette_file}"
