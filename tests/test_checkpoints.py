"""The shipped styles, their digests, their table and their recipes agree."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fststyle.errors import InputError, OptionError
from fststyle.styles import find_style, read_style
from fststyle.training.figures import embed
from fststyle.training.recipe import read_recipe, recipe_from_dict

ROOT = Path(__file__).parent.parent
CHECKPOINTS = ROOT / "checkpoints"
RECIPES = ROOT / "train" / "recipes"
SHIPPED = sorted(CHECKPOINTS.glob("*.onnx"))


@pytest.fixture(scope="module")
def make_styles(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("train/make_styles.py")


def test_every_file_has_its_digest_and_every_digest_its_file() -> None:
    lines = (CHECKPOINTS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert lines == [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in SHIPPED]


def test_the_table_says_what_the_files_say(make_styles: ModuleType) -> None:
    _, _, below = (CHECKPOINTS / "README.md").read_text(encoding="utf-8").partition(make_styles.TABLE_MARK)
    assert below.strip() == make_styles.table(make_styles.checkpoints()).strip()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_figures_are_of_the_network_beside_them(path: Path, make_styles: ModuleType) -> None:
    """A style that was not measured has none; one that was trained again after measuring would have another's."""
    for style, _ in make_styles.each_alone(find_style(path)):
        stored = style.metadata["figures"]
        figures = (stored.get("styles", {}).get(style.name, {}) if style.styles else stored).get("evaluation")
        if figures is None:
            assert make_styles.measured(style) == "- | -"
            continue
        assert figures["weights_sha256"] == style.metadata["weights_sha256"]
        check_figures(figures)


def check_figures(figures: dict[str, Any]) -> None:
    assert figures["loss"]["network"]["total"] < figures["loss"]["photo"]["total"]
    for losses in figures["loss"].values():
        parts = sum(value for name, value in losses.items() if name != "total")
        assert losses["total"] == pytest.approx(parts, abs=3e-4)
    for finding in figures["detectors"].values():
        assert finding["passed"] == (None if finding["figure"] is None else finding["figure"] <= finding["threshold"])


def test_the_table_shows_figures_that_are_embedded(make_styles: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    shutil.copytree(CHECKPOINTS, folder)
    path = sorted(folder.glob("*.onnx"))[0]
    figures = {
        "weights_sha256": find_style(path).metadata["weights_sha256"],
        "iterations": 300,
        "equivalent_iterations": {"noise": 57, "photo": None},
        "loss": {"network": {"total": 1.239}, "photo": {"total": 4.5}},
    }
    embed(read_style(path), figures)
    make_styles.write_index(folder)
    assert "| 57 | 1.24 / 4.50 |" in make_styles.table(make_styles.checkpoints(folder))
    assert make_styles.digests([find_style(path)]) in (folder / "SHA256SUMS").read_text(encoding="utf-8")
    embed(read_style(path), {**figures, "equivalent_iterations": {"noise": None, "photo": None}})
    make_styles.write_index(folder)
    assert "| more than 300 | 1.24 / 4.50 |" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_style_was_made_by_its_recipe(path: Path) -> None:
    style = find_style(path)
    assert style.metadata["name"] == path.stem
    assert recipe_from_dict(style.metadata["recipe"]) == read_recipe(RECIPES / f"{path.stem}.yaml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_style_names_its_painting_and_shows_a_preview(path: Path, make_styles: ModuleType) -> None:
    for style, name in make_styles.each_alone(find_style(path)):
        painting = style.painting
        assert all((painting.title, painting.artist, painting.year, painting.licence, painting.source)), name
        assert style.preview.startswith(b"\xff\xd8\xff")


def test_a_palette_has_a_line_for_each_of_its_styles(make_styles: ModuleType, palette_file: Path) -> None:
    lines = make_styles.table([find_style(palette_file)]).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == ["`pair`", "`dawn@pair`", "`dusk@pair`"]
    assert {line.count("|") for line in make_styles.table([find_style(palette_file)]).splitlines()} == {10}


def test_every_recipe_was_made() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {path.stem for path in SHIPPED}


def test_the_index_is_renewed_and_the_text_above_it_stays(make_styles: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    shutil.copytree(CHECKPOINTS, folder)
    text = (folder / "README.md").read_text(encoding="utf-8")
    removed = sorted(folder.glob("*.onnx"))[0]
    removed.unlink()
    make_styles.write_index(folder)
    assert removed.name not in (folder / "SHA256SUMS").read_text(encoding="utf-8")
    renewed = (folder / "README.md").read_text(encoding="utf-8")
    assert f"`{removed.stem}`" not in renewed
    assert renewed.partition(make_styles.TABLE_MARK)[0] == text.partition(make_styles.TABLE_MARK)[0]


def test_a_readme_without_the_mark_is_left_alone(make_styles: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n", encoding="utf-8")
    with pytest.raises(InputError, match="has lost the line"):
        make_styles.write_index(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_an_unknown_style_is_answered_with_the_nearest(make_styles: ModuleType) -> None:
    known = sorted(path.stem for path in RECIPES.glob("*.yaml"))[0]
    with pytest.raises(OptionError, match=f"did you mean '{known}'"):
        make_styles.recipe_files([f"{known}x"])


def test_a_missing_painting_is_named(make_styles: ModuleType, tmp_path: Path) -> None:
    recipe = sorted(RECIPES.glob("*.yaml"))[0]
    arguments = make_styles.parser().parse_args(["--paintings", str(tmp_path), "--photos", str(tmp_path)])
    with pytest.raises(InputError, match="painting of"):
        make_styles.make(recipe, arguments)
