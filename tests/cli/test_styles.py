import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fststyle import styles
from fststyle.cli.main import main
from fststyle.images import load_rgb
from fststyle.serving.sheet import LABEL_HEIGHT, MARGIN
from fststyle.serving.stylizer import Stylizer


@pytest.fixture(autouse=True)
def _only_own_styles(styles_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The style ``tiny``, and none that ships."""
    monkeypatch.setattr(styles, "shipped_folder", lambda: tmp_path / "nothing shipped")


def test_the_list_names_each_style_and_its_painting(styles_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("tiny ")
    assert "Nobody, Stripes, 2024" in printed
    assert str(styles_folder) in printed


def test_json_has_everything(styles_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles", "--json"]) == 0
    (style,) = json.loads(capsys.readouterr().out)
    content = (styles_folder / "tiny.onnx").read_bytes()
    assert style["name"] == "tiny"
    assert style["path"] == str(styles_folder / "tiny.onnx")
    assert style["bytes"] == len(content)
    assert style["sha256"] == hashlib.sha256(content).hexdigest()
    assert style["painting"]["artist"] == "Nobody"
    assert style["metadata"]["recipe"]["name"] == "tiny"


def test_previews_are_pictures(tmp_path: Path) -> None:
    assert main(["styles", "--previews", str(tmp_path / "previews")]) == 0
    assert 16 <= max(load_rgb(tmp_path / "previews" / "tiny.jpg").shape) <= 256
    assert main(["styles", "--previews", str(tmp_path / "previews")]) == 4
    assert main(["styles", "--previews", str(tmp_path / "previews"), "--force"]) == 0


def test_a_damaged_style_is_reported_beside_the_others(styles_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (styles_folder / "broken.onnx").write_bytes(b"no model")
    assert main(["styles"]) == 1
    printed = capsys.readouterr()
    assert "tiny" in printed.out
    assert printed.err.splitlines()[0].endswith("broken.onnx is damaged or not an ONNX file")
    assert printed.err.splitlines()[1] == "fststyle: error: 1 of 2 style files cannot be used"


def test_no_styles_at_all_is_said(styles_folder: Path, photo_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (styles_folder / "tiny.onnx").unlink()
    assert main(["styles"]) == 0
    assert "no styles yet" in capsys.readouterr().out
    assert main(["sheet", str(photo_file)]) == 5
    assert main(["stylize", str(photo_file)]) == 5


def test_a_sheet_shows_the_photo_and_what_each_style_makes_of_it(
    styles_folder: Path, photo_file: Path, tmp_path: Path
) -> None:
    (styles_folder / "again.onnx").write_bytes((styles_folder / "tiny.onnx").read_bytes())
    arguments = ["sheet", str(photo_file), "-o", str(tmp_path / "sheet.png"), "--device", "cpu", "--threads", "1"]
    assert main(arguments) == 0
    sheet = load_rgb(tmp_path / "sheet.png")
    row = LABEL_HEIGHT + 30 + MARGIN  # three pictures in two columns
    assert sheet.shape == (2 * row + MARGIN, 2 * (40 + MARGIN) + MARGIN, 3)
    top, left = MARGIN + LABEL_HEIGHT, MARGIN
    stylised = np.asarray(Stylizer("tiny", device="cpu", threads=1)(photo_file))
    np.testing.assert_array_equal(sheet[top : top + 30, left : left + 40], load_rgb(photo_file))
    right = left + 40 + MARGIN
    np.testing.assert_array_equal(sheet[top : top + 30, right : right + 40], stylised)
    np.testing.assert_array_equal(sheet[top + row : top + row + 30, left : left + 40], stylised)


def test_several_photos_have_a_row_each(photo_file: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "b.png")
    assert main(["sheet", str(photo_file), str(tmp_path / "b.png"), "--style", "tiny", "--size", "20"]) == 0
    sheet = load_rgb(tmp_path / "photo-sheet.png")
    assert sheet.shape == (3 * MARGIN + 2 * LABEL_HEIGHT + 15 + 20, 3 * MARGIN + 2 * 20, 3)


def test_a_sheet_that_exists_is_kept(photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "photo-sheet.png").write_bytes(b"mine")
    assert main(["sheet", str(photo_file)]) == 4
    assert (tmp_path / "photo-sheet.png").read_bytes() == b"mine"


@pytest.mark.parametrize(("options", "code"), [(["--size", "8"], 2), (["--size", "0"], 2), (["--style", "tinny"], 5)])
def test_wrong_options_of_a_sheet(photo_file: Path, options: list[str], code: int) -> None:
    assert main(["sheet", str(photo_file), *options]) == code
    assert not photo_file.with_name("photo-sheet.png").exists()


@pytest.fixture
def palette(styles_folder: Path, palette_file: Path) -> Path:
    """The palette ``pair`` beside the style ``tiny``."""
    return Path(shutil.copyfile(palette_file, styles_folder / "pair.onnx"))


def test_a_palette_is_listed_with_what_it_holds(palette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["pair", "dawn", "dusk", "tiny"]
    assert "2 styles in one network" in lines[0]
    assert lines[1].startswith("  dawn ")
    assert lines[1].endswith(" Dawn")
    assert main(["styles", "--json"]) == 0
    pair, tiny = json.loads(capsys.readouterr().out)
    assert {name: painting["title"] for name, painting in pair["inside"].items()} == {"dawn": "Dawn", "dusk": "Dusk"}
    assert pair["styles"] == {"photo": 0, "dawn": 1, "dusk": 0}
    assert "inside" not in tiny


def test_a_sheet_has_every_style_of_a_palette_and_mixes(
    palette: Path, photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sheet", str(photo_file), "--device", "cpu", "--threads", "1"]) == 0
    assert capsys.readouterr().out.startswith("3 styles on ")
    mixed = ["--style", "dusk", "--style", "dawn:1,dusk:1", "-o", str(tmp_path / "mixed.png")]
    assert main(["sheet", str(photo_file), *mixed, "--device", "cpu", "--threads", "1"]) == 0
    sheet = load_rgb(tmp_path / "mixed.png")
    top, left = MARGIN + LABEL_HEIGHT, MARGIN + 40 + MARGIN
    alone = np.asarray(Stylizer("dusk", device="cpu", threads=1)(photo_file))
    np.testing.assert_array_equal(sheet[top : top + 30, left : left + 40], alone)
