"""``fststyle export``, from a checkpoint to a file that ONNX Runtime runs, and what it says when there is none."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from fststyle.cli.main import main
from fststyle.nn.networks import PRESETS, Architecture, initial_network
from fststyle.styles import read_style
from fststyle.training.recipe import Recipe


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What a training of the preset ``tiny`` leaves; the tests run in the folder around its own."""
    monkeypatch.setitem(PRESETS, "tiny", Architecture(width=2, blocks=0, kernel=3))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run" / "last.ckpt"
    path.parent.mkdir()
    recipe = Recipe("my_style", "painting.jpg", preset="tiny")
    torch.save({"recipe": recipe.to_dict(), "state_dict": initial_network(PRESETS["tiny"], 0).state_dict()}, path)
    return path


def test_a_checkpoint_becomes_a_file_that_runs(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(photo).save("photo.png")
    before = checkpoint.read_bytes()
    assert main(["export", str(checkpoint), "--preview-photo", "photo.png"]) == 0
    assert "my_style.onnx: 0.0 MB, preset tiny, within" in capsys.readouterr().out
    session = onnxruntime.InferenceSession("my_style.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": photo[None]})[0].shape == (1, 40, 60, 3)
    assert read_style(Path("my_style.onnx")).preset == "tiny"
    assert checkpoint.read_bytes() == before


def test_an_existing_file_needs_force(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("styles").mkdir()
    Path("styles/my_style.onnx").write_bytes(b"somebody's")
    assert main(["export", str(checkpoint), "-o", "styles"]) == 4
    error = capsys.readouterr().err
    assert error.startswith("fststyle: error: ")
    assert "my_style.onnx exists" in error
    assert "--force" in error
    assert Path("styles/my_style.onnx").read_bytes() == b"somebody's"


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("missing.ckpt", None, 3, "no checkpoint missing.ckpt"),
        ("damaged.ckpt", b"PK\x03\x04 and then nothing", 6, "damaged.ckpt is damaged or not a checkpoint"),
        ("text.ckpt", b"hello", 6, "text.ckpt is damaged or not a checkpoint"),
    ],
)
def test_a_checkpoint_that_is_none_is_one_line(
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    code: int,
    message: str,
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    assert main(["export", name]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in Path().glob("*.onnx")) == []


def test_a_checkpoint_of_another_program_is_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, "other.ckpt")
    assert main(["export", "other.ckpt"]) == 6
    assert "other.ckpt is not a checkpoint of fststyle" in capsys.readouterr().err


def test_a_truncated_checkpoint_is_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    assert main(["export", str(checkpoint)]) == 6
    assert "damaged" in capsys.readouterr().err


def test_tensors_that_do_not_fit_the_preset_are_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = initial_network(Architecture(width=3, blocks=0, kernel=3), 0)
    recipe = Recipe("my_style", "painting.jpg", preset="tiny")
    torch.save({"recipe": recipe.to_dict(), "state_dict": other.state_dict()}, checkpoint)
    assert main(["export", str(checkpoint)]) == 6
    assert "does not fit preset 'tiny'" in capsys.readouterr().err


def test_a_recipe_of_a_newer_program_is_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    torch.save({**contents, "recipe": {**contents["recipe"], "telepathy": 1.0}}, checkpoint)
    assert main(["export", str(checkpoint)]) == 6
    assert "last.ckpt holds a recipe that this fststyle cannot use: unknown key 'telepathy'" in capsys.readouterr().err


def test_the_outputs_suffix_is_checked(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(checkpoint), "-o", "my_style.pth"]) == 2
    assert "ends in .onnx, got my_style.pth" in capsys.readouterr().err
