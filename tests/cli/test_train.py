"""``fststyle train`` from painting to ONNX file, stopped and resumed, and what it says to wrong input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fststyle.cli.main import main
from fststyle.cli.train import make_recipe
from fststyle.errors import OptionError
from fststyle.styles import read_style
from fststyle.training.recipe import Recipe, read_recipe, write_recipe

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def config(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe small enough for a test; the tests run in the folder around it."""
    monkeypatch.chdir(tmp_path)
    write_recipe(replace(recipe, name="small", batch=1, steps=2), tmp_path / "small.yaml")
    return tmp_path / "small.yaml"


@pytest.fixture
def program(
    recipe: Recipe, tmp_path: Path, painting_file: Path, photo_folder: Path, vgg_file: Path
) -> list[str | Path]:
    """The whole program as a shell or a cluster runs it, with a preset that it knows; ``small`` goes into ``run``."""
    known = replace(recipe, name="small", preset="balanced", batch=1, precision="auto")
    write_recipe(known, tmp_path / "small.yaml")
    command = [sys.executable, "-m", "fststyle", "train", painting_file, "--photos", photo_folder, "--device", "cpu"]
    return [*command, "--config", tmp_path / "small.yaml", "--vgg-weights", vgg_file, "--out", tmp_path / "run"]


def train(*arguments: object) -> int:
    return main(["train", "--device", "cpu", *map(str, arguments)])


def test_a_painting_becomes_a_style_that_says_what_it_is(
    config: Path, painting_file: Path, photo_folder: Path, vgg_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = train(
        *(painting_file, "--photos", photo_folder, "--config", config, "--vgg-weights", vgg_file),
        *("--name", "lines", "--title", "Stripes", "--year", 2026, "--steps", 3, "--style-weight", 4),
    )
    assert code == 0
    assert "runs/lines/lines.onnx" in capsys.readouterr().out
    style = read_style(Path("runs/lines/lines.onnx"))
    assert (style.painting.title, style.painting.year) == ("Stripes", "2026")
    assert style.metadata["recipe"]["style_weight"] == 4
    assert read_recipe(Path("runs/lines/recipe.yaml")).steps == 3


def test_options_override_the_config_and_the_rest_stays(config: Path) -> None:
    options = {"steps": 9, "seed": None, "title": "N"}
    recipe, paintings = make_recipe((Path("some/where/night.jpg"),), config, None, options)
    assert (recipe.name, recipe.file, recipe.steps, recipe.size) == ("small", "night.jpg", 9, 64)
    assert recipe.painting.title == "N"
    assert paintings == (Path("some/where/night.jpg"),)


def test_a_config_names_its_painting_beside_itself(config: Path) -> None:
    assert make_recipe((), config, None, {})[1] == (config.parent / "stripes.png",)


def test_the_name_comes_from_the_painting() -> None:
    assert make_recipe((Path("The Scream (1893).jpg"),), None, None, {})[0].name == "the_scream_1893"


def test_no_painting_at_all_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="which painting"):
        make_recipe((), None, None, {})


def test_several_paintings_make_a_palette(
    config: Path, painting_file: Path, photo_folder: Path, vgg_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path("waves.png")
    other.write_bytes(painting_file.read_bytes())
    arguments = ("--photos", photo_folder, "--config", config, "--vgg-weights", vgg_file, "--name", "both")
    assert train(painting_file, other, *arguments) == 0
    assert "--style stripes@runs/both/both.onnx" in capsys.readouterr().out
    style = read_style(Path("runs/both/both.onnx"))
    assert style.styles == ("photo", "stripes", "waves")
    assert read_recipe(Path("runs/both/recipe.yaml")).rows == 3


def test_a_palettes_recipe_finds_its_paintings_beside_itself(config: Path) -> None:
    write_recipe(
        Recipe(name="two", styles=(Recipe(name="a", file="a.png"), Recipe(name="b", file="b.png", tv_weight=1.0))),
        config.with_name("two.yaml"),
    )
    recipe, paintings = make_recipe((), config.with_name("two.yaml"), None, {"steps": 7})
    assert paintings == (config.parent / "a.png", config.parent / "b.png")
    assert (recipe.name, recipe.steps, recipe.styles[1].tv_weight) == ("two", 7, 1.0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (None, {}, "2 paintings make a palette: give it a --name"),
        ("x", {"title": "T"}, "--title is said of one painting"),
    ],
)
def test_a_palette_that_is_not_told_well_is_refused(name: str | None, options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make_recipe((Path("a.png"), Path("b.png")), None, name, options)


def test_a_finished_run_is_not_replaced_by_accident(
    config: Path, painting_file: Path, photo_folder: Path, vgg_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (painting_file, "--photos", photo_folder, "--config", config, "--vgg-weights", vgg_file)
    assert train(*arguments) == 0
    assert train(*arguments) == 2
    assert "go on with --resume, replace it with --force" in capsys.readouterr().err
    assert train(*arguments, "--force") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.jpg"], 3, "missing.jpg"),
        (["small.yaml"], 3, "small.yaml"),
        (["{painting}", "--photos", "nowhere"], 3, "no folder of photos nowhere"),
        (["{painting}", "--photos", "empty"], 3, "no photos in empty"),
        (["{painting}", "--config", "none.yaml"], 3, "none.yaml"),
        (["{painting}", "--config", "bad.yaml"], 2, "did you mean 'steps'?"),
        (["{painting}", "--steps", "0"], 2, "steps must be at least 1, got 0"),
        (["{painting}", "--preset", "qualty"], 2, "did you mean 'quality'?"),
        (["{painting}", "--vgg-weights", "none.safetensors"], 9, "none.safetensors"),
        (["{painting}", "--resume"], 3, "no checkpoint runs/small/last.ckpt"),
        (["{painting}", "--start", "stary_nigth.onnx"], 5, "stary_nigth"),
        (["{painting}", "--out", "small.yaml"], 4, "small.yaml"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    config: Path,
    painting_file: Path,
    photo_folder: Path,
    vgg_file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    Path("empty").mkdir()
    Path("bad.yaml").write_text("name: a\nfile: b\nstep: 3\n")
    before = sorted(Path().rglob("*"))
    given = [argument.format(painting=painting_file) for argument in arguments]
    defaults = {"--photos": photo_folder, "--config": config, "--vgg-weights": vgg_file}
    rest = [item for flag, value in defaults.items() if flag not in given for item in (flag, value)]
    assert train(*given, *rest) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("fststyle: error: ")
    assert error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_a_terminated_program_saves_a_checkpoint_and_says_how_to_go_on(
    program: list[str | Path], tmp_path: Path
) -> None:
    process = subprocess.Popen([*program, "--steps", "100000"], stderr=subprocess.PIPE, env=ONE_THREAD, text=True)
    checkpoint = tmp_path / "run" / "last.ckpt"
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "--resume goes on from" in errors
    assert "Traceback" not in errors
    step = torch.load(checkpoint, weights_only=True)["global_step"]
    assert step >= 100
    assert not (tmp_path / "run" / "small.onnx").exists()


@pytest.mark.slow
def test_two_devices_train_one_style(program: list[str | Path], tmp_path: Path) -> None:
    """Two processes on the CPU go the way that two GPUs go."""
    command = [*program, "--steps", "3", "--devices", "2"]
    done = subprocess.run(command, capture_output=True, env=ONE_THREAD, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Try it:") == 1
    assert read_style(tmp_path / "run" / "small.onnx").name == "small"
