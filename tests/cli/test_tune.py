"""``fststyle tune`` from painting to sheet, on from the probe that is picked, and what it says to wrong input."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fststyle.cli.main import main
from fststyle.cli.tune import ask, numbers
from fststyle.cli.tune_sheet import at_scale, strip, tuning_sheet
from fststyle.styles import read_style
from fststyle.training.grid import Grid
from fststyle.training.probe_figures import Measured
from fststyle.training.recipe import Recipe, read_recipe, write_recipe
from fststyle.training.run import Run
from fststyle.training.tune import Tuning

LOSSES = {"total": 3.0, "content": 1.25, "style": 0.5, "total_variation": 1.25}


@pytest.fixture
def arguments(
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    painting_file: Path,
    photo_folder: Path,
    vgg_file: Path,
) -> list[str]:
    """Two probes so small that they fit a test; the tests run in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    write_recipe(replace(recipe, name="small", batch=1, steps=2), tmp_path / "small.yaml")
    grid = ("--style-weights", "2,8", "--style-scales", "1", "--probe-steps", 1, "--probe-size", 64, "--count", 2)
    given = (painting_file, "--photos", photo_folder, "--config", "small.yaml", "--vgg-weights", vgg_file, *grid)
    return [str(argument) for argument in given]


def tune(*arguments: object) -> int:
    return main(["tune", "--device", "cpu", *map(str, arguments)])


class Terminal(io.StringIO):
    """Standard input on which someone types."""

    def isatty(self) -> bool:
        return True


def test_a_sheet_is_drawn_and_the_command_that_it_names_trains_on(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(*arguments) == 0
    printed, told = capsys.readouterr()
    assert "probe 2 of 2: weight 8, scale 1" in told
    assert not Path("runs/small/last.ckpt").exists()
    with Image.open("runs/small/probes/sheet.png") as sheet:
        assert sheet.width > 4 * 64
    probes = json.loads(Path("runs/small/probes/figures.json").read_text())["probes"]
    assert [(entry["number"], entry["style_weight"]) for entry in probes] == [(1, 2), (2, 8)]
    assert f"{probes[1]['content']:.3f}" in printed
    command = shlex.split(printed.splitlines()[-1].partition(": ")[2])
    assert command[:2] == ["fststyle", "tune"]
    assert command[-2:] == ["--pick", "NUMBER"]

    assert main([*command[1:-1], "2"]) == 0
    printed, told = capsys.readouterr()
    assert "probe 2 of 2" not in told
    assert "training on from probe 2: weight 8, scale 1" in told
    assert "Try it: fststyle stylize PHOTO --style runs/small/small.onnx" in printed
    trained = read_style(Path("runs/small/small.onnx")).metadata["recipe"]
    assert (trained["style_weight"], trained["style_scale"], trained["steps"]) == (8, 1, 2)
    assert read_recipe(Path("runs/small/recipe.yaml")).start.endswith("weight_8_scale_1/last.ckpt")

    assert tune(*arguments, "--pick", 1) == 2
    assert "holds another training; replace it with --force" in capsys.readouterr().err


def test_someone_at_a_terminal_is_asked_until_there_is_such_a_probe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("10\nbest\n 2 \n"))
    assert ask(Grid()) == Grid().probe(2)
    told = capsys.readouterr().err
    assert "there is no probe 10" in told
    assert "not a number: 'best'" in told


def test_enter_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    assert ask(Grid()) is None


def test_nobody_is_asked_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("2\n"))
    assert ask(Grid()) is None


def test_lists_are_numbers_with_commas() -> None:
    assert numbers("--style-weights", "2, 5,1e1") == (2, 5, 10)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--style-weights", "2;5"], 2, "--style-weights takes numbers with commas between them"),
        (["--style-weights", "2,"], 2, "got '2,'"),
        (["--style-scales", "1,-1"], 2, "style scales must be above 0, got -1"),
        (["--style-scales", "1,1"], 2, "1 is there twice"),
        (["--style-scales", "0.1"], 2, "raise style_scale or size"),
        (["--pick", "3"], 2, "there is no probe 3: they are numbered from 1 to 2"),
        (["--probe-size", "32"], 2, "size must be at least 64"),
        (["--probe-steps", "0"], 2, "at least 1, got 0"),
        (["--count", "9"], 3, "9 photos of at least 64 px a side are to be held out"),
        (["--count", "8"], 3, "none is left to train on"),
        (["--held-out", "nowhere"], 3, "no folder of photos nowhere"),
        (["--held-out", "empty"], 3, "no photos in empty"),
        (["--photos", "nowhere"], 3, "no folder of photos nowhere"),
        (["--preset", "qualty"], 2, "did you mean 'quality'?"),
        (["--config", "none.yaml"], 3, "none.yaml"),
        (["--out", "small.yaml"], 4, "small.yaml"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str], more: list[str], code: int, message: str
) -> None:
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    assert tune(*arguments, *more) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("fststyle: error: ")
    assert error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_a_terminated_program_says_how_to_go_on(recipe: Recipe, arguments: list[str]) -> None:
    write_recipe(replace(recipe, name="small", batch=1, preset="realtime"), Path("small.yaml"))  # one that it knows
    command = [sys.executable, "-m", "fststyle", "tune", "--device", "cpu", *arguments, "--probe-steps", "100000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True)
    checkpoint = Path("runs/small/probes/start/last.ckpt")
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "the same command goes on from runs/small/probes/start/last.ckpt" in errors
    assert "Traceback" not in errors


def test_the_sheet_shows_each_probe_in_its_row_and_column(recipe: Recipe, tmp_path: Path, painting_file: Path) -> None:
    grid = Grid(style_weights=(2, 8, 9), style_scales=(1, 2), count=2)
    tuning = Tuning(recipe, Run(paintings=(painting_file,), photos=tmp_path, out=tmp_path), grid)
    shades = {probe: np.full((2, 64, 64, 3), 30 * probe.number, np.uint8) for probe in grid.probes}
    found = [Measured(probe, pictures, [LOSSES, LOSSES]) for probe, pictures in shades.items()]
    sheet = np.asarray(tuning_sheet(tuning, np.zeros((2, 64, 64, 3), np.uint8), found))
    middles = {}
    for probe in grid.probes:
        rows, columns = np.nonzero((sheet == 30 * probe.number).all(axis=2))
        middles[probe.style_scale, probe.style_weight] = (np.median(rows), np.median(columns))
    for scale in grid.style_scales:
        places = [middles[scale, weight] for weight in grid.style_weights]
        assert len({row for row, _ in places}) == 1
        assert places == sorted(places)
    assert middles[1, 2][0] < middles[2, 2][0]
    assert len({middles[scale, 8][1] for scale in grid.style_scales}) == 1


def test_many_photos_make_a_sheet_that_can_still_be_looked_at(
    recipe: Recipe, tmp_path: Path, painting_file: Path
) -> None:
    grid = Grid(style_weights=(2, 8), style_scales=(1,), count=6)
    large = replace(recipe, size=512)
    tuning = Tuning(large, Run(paintings=(painting_file,), photos=tmp_path, out=tmp_path), grid)
    photos = np.zeros((6, 512, 512, 3), np.uint8)
    found = [Measured(probe, photos, [LOSSES]) for probe in grid.probes]
    assert tuning_sheet(tuning, photos, found).width < 2900


def test_a_strip_has_the_pictures_in_their_order() -> None:
    pixels = np.stack([np.full((8, 8, 3), shade, np.uint8) for shade in (0, 100)])
    joined = np.asarray(strip(pixels, 8))
    assert (joined[:, :8] == 0).all()
    assert (joined[:, -8:] == 100).all()


@pytest.mark.parametrize(("scale", "stripes"), [(1.0, 8), (2.0, 4)])
def test_the_painting_is_shown_as_large_as_its_brush(scale: float, stripes: int) -> None:
    """Eight stripes over the short side, of which a scale of 2 leaves four in the square."""
    columns = np.arange(160) // 10 % 2 * 255
    painting = Image.fromarray(np.broadcast_to(columns[None, :160, None], (80, 160, 3)).astype(np.uint8))
    row = np.asarray(at_scale(painting, scale, 64))[32, :, 0] > 127
    assert np.count_nonzero(np.diff(row.astype(int))) in (stripes - 1, stripes)


def test_a_painting_smaller_than_a_photo_has_white_around_it() -> None:
    shown = np.asarray(at_scale(Image.new("RGB", (100, 100)), 0.5, 64))
    assert (shown[32, 32] == 0).all()
    assert (shown[4, 4] == 255).all()
    assert np.count_nonzero(shown[32, :, 0] == 0) == 32
