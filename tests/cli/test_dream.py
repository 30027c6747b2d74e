"""``fststyle dream`` and ``fststyle filters``: files out, one clear line for what is wrong, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from fststyle.cli.dream import dream as dream_command
from fststyle.cli.filters import filters as filters_command
from fststyle.cli.main import main
from fststyle.images import load_rgb
from fststyle.iterative import memory
from fststyle.iterative.ascent import Ascent
from fststyle.iterative.dream import DreamSettings
from fststyle.iterative.filters import FilterSettings
from fststyle.iterative.zoom import Motion

QUICK = ("--octaves", 2, "--steps", 1, "--jitter", 2)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, vgg_file: Path, *arguments: object) -> int:
    return main([command, "--weights", str(vgg_file), "--device", "cpu", *map(str, arguments)])


def files() -> set[str]:
    return {path.name for path in Path().iterdir()}


def test_a_dream_lies_beside_its_photo(photo_file: Path, vgg_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dream", vgg_file, photo_file, "--layer", "relu2_1", "--layer", "relu1_2:0.5", *QUICK) == 0
    result = load_rgb(photo_file.with_name("photo-dream.jpg"))
    assert result.shape == load_rgb(photo_file).shape
    assert np.abs(result.astype(int) - load_rgb(photo_file)).mean() > 0.5
    assert capsys.readouterr().out.endswith("photo-dream.jpg (40 x 30)\n")
    assert run("dream", vgg_file, photo_file, "--layer", "relu2_1", *QUICK) == 4
    assert "--force" in capsys.readouterr().err


def test_no_steps_give_the_photo(photo_file: Path, vgg_file: Path) -> None:
    assert run("dream", vgg_file, photo_file, "--layer", "relu1_1", "--steps", 0, "-o", "same.png") == 0
    assert np.abs(load_rgb("same.png").astype(int) - load_rgb(photo_file)).max() <= 1


def test_size_limits_the_longer_side_and_alpha_is_kept(vgg_file: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    Image.fromarray(pixels).save("clear.png")
    assert run("dream", vgg_file, "clear.png", "--layer", "relu1_1", "--size", 20, *QUICK) == 0
    with Image.open("clear-dream.png") as result:
        assert (result.size, result.mode) == ((20, 15), "RGBA")


def test_styles_come_before_and_after(photo_file: Path, vgg_file: Path, tiny_style_file: Path) -> None:
    """Without steps the dream is what it is given, so that the styles alone are left."""
    common = (photo_file, "--layer", "relu1_1", "--steps", 0)
    assert run("dream", vgg_file, *common, "--then", tiny_style_file, "-o", "then.png") == 0
    assert run("dream", vgg_file, *common, "--first", tiny_style_file, "-o", "first.png") == 0
    assert (
        main(["stylize", str(photo_file), "--style", str(tiny_style_file), "-o", "style.png", "--device", "cpu"]) == 0
    )
    for result in ("then.png", "first.png"):
        assert np.abs(load_rgb(result).astype(int) - load_rgb("style.png")).mean() < 2
    both = ("--first", tiny_style_file, "--then", tiny_style_file)
    assert run("dream", vgg_file, *common, *both, "-o", "both.png") == 0
    assert np.abs(load_rgb("both.png").astype(int) - load_rgb("style.png")).mean() > 2


def test_a_guide_and_a_channel_change_the_dream(photo_file: Path, painting_file: Path, vgg_file: Path) -> None:
    common = (photo_file, "--layer", "relu2_1", *QUICK)
    for name, more in {"plain": (), "guided": ("--guide", painting_file), "channel": ("--channel", 3)}.items():
        assert run("dream", vgg_file, *common, *more, "-o", f"{name}.png") == 0
    plain, guided, channel = (load_rgb(f"{name}.png").astype(int) for name in ("plain", "guided", "channel"))
    assert min(np.abs(plain - guided).mean(), np.abs(plain - channel).mean()) > 0.2


def test_a_journey_is_a_video(photo_file: Path, vgg_file: Path, tiny_style_file: Path) -> None:
    av = pytest.importorskip("av")
    motion = ("--zoom", 1.2, "--rotate", 5, "--shift", "1,-2", "--frame-steps", 1)
    common = (photo_file, "--layer", "relu1_2", *QUICK, "--zoom-frames", 3, *motion)
    assert run("dream", vgg_file, *common, "-o", "way.mp4") == 0
    assert run("dream", vgg_file, *common, "-o", "painted.webm", "--then", tiny_style_file) == 0
    for name in ("way.mp4", "painted.webm"):
        with av.open(name) as container:
            frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
            assert container.streams.video[0].average_rate == 25
        assert [frame.shape for frame in frames] == [(30, 40, 3)] * 3
        assert np.abs(frames[2] - frames[0]).mean() > 3
    assert files() == {"photo.jpg", "way.mp4", "painted.webm"}


def test_a_grid_has_a_labelled_tile_for_each_filter(vgg_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--layer", "relu1_2", "--first", 5, "--size", 32, *QUICK)
    assert run("filters", vgg_file, *arguments) == 0
    assert capsys.readouterr().out == "vgg16-relu1_2.png (144 x 152)\n"
    sheet = load_rgb("vgg16-relu1_2.png").astype(int)
    # Three columns and two rows of 32 pixels with 12 between, 26 for each row's labels.
    for number in range(6):
        left, top = 12 + 44 * (number % 3), 12 + 70 * (number // 3)
        label, tile = sheet[top : top + 26, left : left + 32], sheet[top + 26 : top + 58, left : left + 32]
        assert (label.min() < 100) == (tile.std() > 20) == (number < 5)


def test_one_filter_is_one_picture_without_a_label(vgg_file: Path) -> None:
    assert run("filters", vgg_file, "--layer", "relu1_2", "--filter", 2, "--size", 32, *QUICK, "-o", "two.png") == 0
    assert load_rgb("two.png").shape == (32, 32, 3)


def test_more_filters_than_fit_at_once_are_drawn_in_turns(vgg_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--layer", "relu1_2", "--first", 3, "--size", 24, *QUICK, "--jitter", 0, "--blur-every", 0)
    assert run("filters", vgg_file, *arguments, "-o", "at_once.png") == 0
    monkeypatch.setattr("fststyle.cli.filters.AT_ONCE", 2)
    assert run("filters", vgg_file, *arguments, "-o", "in_turns.png") == 0
    assert np.abs(load_rgb("at_once.png").astype(int) - load_rgb("in_turns.png")).mean() < 2


def test_kernels_are_drawn_without_a_layer(vgg_file: Path) -> None:
    assert run("filters", vgg_file, "--kernels", "--first", 4) == 0
    assert load_rgb("vgg16-kernels.png").shape == (2 * (48 + 26) + 3 * 12, 2 * 48 + 3 * 12, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["dream", "photo.jpg", "--layer", "relu4_9"], 2, "no layer named 'relu4_9'; layers: relu1_1, "),
        (["dream", "photo.jpg", "--layer", "relu2_1:much"], 2, "NAME:WEIGHT with a number, got 'relu2_1:much'"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--layer", "RELU1_1"], 2, "names relu1_1 twice"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--network", "vgg"], 2, "did you mean 'vgg1"),
        (["dream", "photo.jpg"], 2, "--layer"),
        (
            ["dream", "photo.jpg", "--layer", "relu1_1", "--channel", "64"],
            2,
            "relu1_1 has 64 channels, numbered 0 to 63",
        ),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--channel", "1", "--guide", "photo.jpg"], 2, "give one of them"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--size", "0"], 2, "--size is at least 1"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--shift", "1"], 2, "'1' is not a shift such as 2,-1.5"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "-o", "a.mp4"], 2, "needs --zoom-frames"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "-o", "a.png", "--zoom-frames", "2"], 2, "cannot write a.png"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--zoom-frames", "0"], 2, "--zoom-frames is at least 1"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--first", "starry"], 5, "starry"),
        (["dream", "absent.jpg", "--layer", "relu1_1"], 3, "cannot read absent.jpg: No such file"),
        (["dream", "photo.jpg", "--layer", "relu1_1", "--guide", "no.png"], 3, "cannot read no.png: No such file"),
        (
            ["dream", "photo.jpg", "--layer", "relu5_1"],
            3,
            "40 x 30 is too small for relu5_1: both sides need 80 pixels",
        ),
        (["filters", "--layer", "relu1_1", "--filter", "64"], 2, "relu1_1 has 64 channels, numbered 0 to 63; got 64"),
        (["filters", "--kernels", "--filter", "64"], 2, "the first layer has 64 channels"),
        (["filters", "--layer", "relu9_1"], 2, "no layer named 'relu9_1'"),
        (["filters"], 2, "--layer, or draw"),
        (["filters", "--layer", "relu1_1", "--kernels"], 2, "one of the two"),
        (["filters", "--layer", "relu1_1", "--filter", "1", "--first", "2"], 2, "give one of them"),
        (["filters", "--layer", "relu1_1", "--first", "0"], 2, "--first is at least 1"),
        (["filters", "--layer", "relu5_1", "--size", "64"], 3, "64 x 64 are too small for relu5_1: it needs 80 pixels"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str],
    code: int,
    message: str,
    photo_file: Path,
    vgg_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files()
    assert run(arguments[0], vgg_file, *arguments[1:]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("fststyle: error: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert files() == before


def test_weights_that_cannot_be_had_are_one_line(
    photo_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FSTSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # nobody listens there
    monkeypatch.setattr("fststyle.downloads.Patience.__init__", patience_without_retries)
    assert main(["dream", str(photo_file), "--network", "googlenet", "--layer", "inception_4c/output"]) == 9
    error = capsys.readouterr().err
    assert error.startswith("fststyle: error: no source of googlenet weights worked; tried: ")
    assert error.count("\n") == 1


def patience_without_retries(self: object) -> None:
    self.__dict__.update(retries=0, timeout=5.0, pause=0.0)


def test_more_than_the_memory_is_one_line_with_a_size_that_fits(
    photo_file: Path, vgg_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: memory.FIXED + 10_000_000)
    Image.new("RGB", (900, 600)).save("large.png")
    assert run("dream", vgg_file, "large.png", "--layer", "relu2_1", "--size", 900, *QUICK) == 7
    error = capsys.readouterr().err
    assert "not enough memory for 900 x 600 pixels" in error
    fitting = error.partition("--size ")[2].split()[0]
    assert run("dream", vgg_file, "large.png", "--layer", "relu2_1", "--size", fitting, *QUICK) == 0
    assert run("filters", vgg_file, "--layer", "relu2_1", "--filter", 0, "--size", 256, *QUICK) == 7
    error = capsys.readouterr().err
    assert "not enough memory for 256 x 256 pixels" in error
    fitting = error.partition("--size ")[2].split()[0]
    assert run("filters", vgg_file, "--layer", "relu2_1", "--filter", 0, "--size", fitting, *QUICK) == 0


@pytest.mark.parametrize(
    ("output", "number", "code", "message"),
    [
        ("dream.png", signal.SIGINT, 130, "interrupted"),
        ("dream.mp4", signal.SIGINT, 130, "interrupted"),
        ("dream.mp4", signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_signal_leaves_nothing_half_written(
    output: str, number: signal.Signals, code: int, message: str, photo_file: Path, vgg_file: Path
) -> None:
    command = [sys.executable, "-m", "fststyle", "dream", photo_file, "--weights", vgg_file, "--layer", "relu1_1"]
    command += ["-o", output, "--device", "cpu", "--octaves", "1"]
    more = ["--steps", "1", "--zoom-frames", "1000000"] if output.endswith("mp4") else ["--steps", "100000000"]
    process = subprocess.Popen(
        [*command, *more], stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True
    )
    deadline = time.monotonic() + 120
    at_work = (lambda: len(files()) > 1) if output.endswith("mp4") else (lambda: threads_time(process.pid) > 6)
    while not at_work() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.strip()) == (code, f"fststyle: error: {message}")
    assert files() == {"photo.jpg"}


def threads_time(process: int) -> float:
    """Seconds of processor time: enough of them, and the imports are over."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def default(command: click.Command, flag: str) -> object:
    return next(parameter.default for parameter in command.params if flag in parameter.opts)


def test_the_defaults_are_those_of_the_library() -> None:
    settings, filters = DreamSettings(), FilterSettings()
    for command, both in ((dream_command, settings), (filters_command, filters)):
        ascent: Ascent = both.ascent
        assert default(command, "--octaves") == both.octaves
        assert default(command, "--octave-scale") == both.octave_scale
        assert default(command, "--seed") == both.seed
        assert default(command, "--steps") == ascent.steps
        assert default(command, "--step-size") == ascent.step_size
        assert default(command, "--jitter") == ascent.jitter
        assert default(command, "--normalize") == ascent.normalization
    assert default(dream_command, "--zoom") == Motion().zoom
    assert default(filters_command, "--size") == filters.size
    for name in ("l2_decay", "blur_every", "blur_sigma", "clip_values", "clip_gradients"):
        assert default(filters_command, f"--{name.replace('_', '-')}") == getattr(filters.regularizers, name)
