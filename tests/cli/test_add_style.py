"""``fststyle add-style``: a palette with one more style, and what it says to wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fststyle.cli.main import main
from fststyle.serving.engine import Engine
from fststyle.styles import read_style
from fststyle.training.recipe import Recipe, read_recipe


@pytest.fixture
def palette(tmp_path: Path, palette_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests run in the folder around it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pair.onnx"
    path.write_bytes(palette_file.read_bytes())
    return path


def add_style(*arguments: object) -> int:
    return main(["add-style", "--device", "cpu", *map(str, arguments)])


def test_a_palette_gets_one_more_style_and_the_others_paint_as_before(
    palette: Path, painting_file: Path, photo_folder: Path, vgg_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = palette.read_bytes()
    rest = ("--photos", photo_folder, "--vgg-weights", vgg_file, "--steps", 2, "--title", "Stripes", "--tv-weight", 0.5)
    assert add_style(palette, painting_file, *rest) == 0
    assert "--style stripes@runs/stripes/pair.onnx" in capsys.readouterr().out
    style = read_style(Path("runs/stripes/pair.onnx"))
    assert style.styles == ("photo", "dawn", "dusk", "stripes")
    added = read_recipe(Path("runs/stripes/recipe.yaml")).styles[-1]
    assert (added.painting.title, added.steps, added.tv_weight, added.style_weight) == (
        "Stripes",
        2,
        0.5,
        Recipe.style_weight,
    )
    assert palette.read_bytes() == before
    photo = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3), dtype=np.uint8)
    old, new = Engine(palette, device="cpu", threads=1), Engine(style.path, device="cpu", threads=1)
    for row in range(3):
        one = [float(place == row) for place in range(4)]
        assert np.array_equal(old.mixed(one[:3])(photo), new.mixed(one)(photo))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["pair.onnx", "missing.jpg"], 3, "missing.jpg"),
        (["par.onnx", "{painting}"], 5, "no style file par.onnx"),
        (["{single}", "{painting}"], 6, "network of one style"),
        (["pair.onnx", "{painting}", "--name", "dusk"], 2, "two styles called 'dusk'"),
        (["pair.onnx", "{painting}", "--name", "photo"], 2, "can be called 'photo'"),
        (["pair.onnx", "{painting}", "--steps", "0"], 2, "steps must be at least 1, got 0"),
        (["pair.onnx", "{painting}", "--photos", "nowhere"], 3, "no folder of photos nowhere"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    palette: Path,
    painting_file: Path,
    tiny_style_file: Path,
    photo_folder: Path,
    vgg_file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    before = sorted(Path().rglob("*"))
    given = [argument.format(painting=painting_file, single=tiny_style_file) for argument in arguments]
    photos = [] if "--photos" in given else ["--photos", photo_folder]
    assert add_style(*given, *photos, "--vgg-weights", vgg_file) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("fststyle: error: ")
    assert error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
