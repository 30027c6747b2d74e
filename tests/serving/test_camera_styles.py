import shutil
import threading
from pathlib import Path

import pytest

from fststyle.errors import ModelError
from fststyle.serving.camera_styles import StyleShelf, style_key
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
