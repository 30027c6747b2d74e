"""``fststyle evaluate``: from a style and photos to figures and pictures, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fststyle.cli.main import main
from fststyle.onnx_metadata import read_onnx_metadata, write_onnx_metadata
from fststyle.styles import METADATA_KEY, find_style

RECIPE = {"content_layers": {"relu1_1": 1.0}, "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}}
"""Shallow layers: a fraction of the time."""


@pytest.fixture
def work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_style_file: Path,
    painting_file: Path,
    photo_folder: Path,
    vgg_file: Path,
) -> Path:
    """A folder with tiny.onnx, stripes.png and photos/, the one that the program runs in, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FSTSTYLE_VGG_WEIGHTS", str(vgg_file))
    monkeypatch.setenv("FSTSTYLE_CACHE", str(tmp_path / "cache"))
    shutil.copyfile(tiny_style_file, "tiny.onnx")
    metadata = json.loads(read_onnx_metadata(Path("tiny.onnx"))[METADATA_KEY])
    metadata["recipe"] |= RECIPE
    write_onnx_metadata(Path("tiny.onnx"), {METADATA_KEY: json.dumps(metadata)})
    shutil.copyfile(painting_file, "stripes.png")
    shutil.copytree(photo_folder, "photos")
    return tmp_path


def evaluate(*arguments: object, style: str = "tiny.onnx", painting: str = "stripes.png", size: int = 64) -> int:
    given = ["--painting", painting, "--photos", "photos", "--size", size, "--device", "cpu", "--threads", 1]
    return main(["evaluate", style, *map(str, given), "--count", "2", *map(str, arguments)])


def test_everything_is_written_and_embedded(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--iterations", 6, "--embed", "-o", "out") == 0
    assert {path.name for path in Path("out").iterdir()} == {"evaluation.json", "curves.png", "strip.png", "card.md"}
    told = json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))
    assert told["style"] == "tiny"
    assert [entry["file"] for entry in told["photos"]] == ["0.png", "1.png"]
    for start in ("noise", "photo"):
        assert len(told["iterative"][start]["curve"]["total"]) == 7
    embedded = find_style(Path("tiny.onnx")).metadata["figures"]["evaluation"]
    assert embedded["loss"] == told["loss"]
    equivalent = told["iterative"]["noise"]["equivalent_iterations"]
    assert embedded["equivalent_iterations"]["noise"] == equivalent
    printed = capsys.readouterr().out
    assert f"equivalent iterations: {told['iterative']['noise']['equivalent_iterations_text']}" in printed
    assert printed.endswith("card.md\n")
    with Image.open("out/strip.png") as strip:
        assert strip.width > 4 * 64
        assert strip.height > 2 * 64


def test_the_quick_part_alone_prints_json(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--no-iterative", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["iterative"] == {}
    assert {entry["detector"] for entry in told["detectors"]} >= {"checkerboard", "border", "dots", "noise stability"}
    assert {path.name for path in Path("tiny-evaluation").iterdir()} == {"evaluation.json", "strip.png", "card.md"}


def test_a_recipe_from_a_file_for_a_style_without(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metadata = json.loads(read_onnx_metadata(Path("tiny.onnx"))[METADATA_KEY])
    del metadata["recipe"]
    write_onnx_metadata(Path("tiny.onnx"), {METADATA_KEY: json.dumps(metadata)})
    assert evaluate("--no-iterative") == 2
    assert "give one with --recipe" in capsys.readouterr().err
    Path("recipe.yaml").write_text("name: tiny\nfile: stripes.png\nstyle_layers: {relu1_1: 1}\n", encoding="utf-8")
    assert evaluate("--no-iterative", "--recipe", "recipe.yaml") == 0


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "message"),
    [
        ([], {"style": "starry_nigth"}, 5, "did you mean 'starry_night'?"),
        ([], {"style": "none.onnx"}, 5, "no style file none.onnx"),
        ([], {"painting": "none.png"}, 3, "none.png"),
        ([], {"painting": "photos/notes.txt"}, 3, "notes.txt"),
        ([], {"size": 32}, 2, "a multiple of 8 from 64"),
        ([], {"size": 70}, 2, "a multiple of 8 from 64"),
        ([], {"size": 80}, 3, "96 x 72"),
        (["--photos", "empty"], {}, 3, "no photos in empty"),
        (["--photos", "nowhere"], {}, 3, "nowhere"),
        (["--count", "20"], {}, 3, "--count 8 takes them all"),
        (["--count", "0"], {}, 2, "count must be at least 1"),
        (["--iterations", "0"], {}, 2, "--no-iterative"),
        (["--no-iterative", "--embed"], {}, 2, "leave out --no-iterative"),
        (["--recipe", "none.yaml"], {}, 2, "leave out --recipe"),
        (["--vgg-weights", "none.safetensors"], {}, 9, "none.safetensors"),
        (["--checkpoint", "none.ckpt", "--no-iterative"], {}, 3, "none.ckpt"),
    ],
)
def test_wrong_input_is_one_line(
    work: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    settings: dict[str, object],
    code: int,
    message: str,
) -> None:
    Path("empty").mkdir()
    Path("photos/notes.txt").write_text("no picture")
    before = Path("tiny.onnx").read_bytes()
    assert evaluate(*arguments, **settings) == code  # type: ignore[arg-type]
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("fststyle: error: ")
    assert error.count("\n") == 1
    assert Path("tiny.onnx").read_bytes() == before


def test_a_damaged_photo_is_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = Path("photos/1.png").read_bytes()
    Path("photos/1.png").write_bytes(content[: len(content) // 2])
    assert evaluate("--no-iterative") == 3
    assert "1.png" in capsys.readouterr().err
    assert not Path("tiny-evaluation").exists()


def test_a_network_and_a_photo_are_measured_as_the_report_says(work: Path) -> None:
    """A picture that is its own photo has no content loss, and one that is not has some."""
    assert evaluate("--no-iterative", "-o", "out") == 0
    told = json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))
    assert all(entry["photo"]["content"] == 0 < entry["network"]["content"] for entry in told["photos"])
    for name, value in told["loss"]["network"].items():
        assert value == pytest.approx(np.mean([entry["network"][name] for entry in told["photos"]]), abs=1e-3)
