"""``fststyle optimize``, ``texture`` and ``invert``: from files to files, stopped and resumed, and what they refuse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fststyle.cli.main import main
from fststyle.cli.optimize import layers_of, weighted, weighted_file
from fststyle.errors import OptionError
from fststyle.images import load_rgb

LAYERS = ["--content-layer", "relu2_1", "--style-layer", "relu1_1:2", "--style-layer", "relu2_1"]
QUICK = ["--device", "cpu", "--precision", "float32"]


@pytest.fixture
def work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_file: Path, painting_file: Path, vgg_file: Path
) -> Path:
    """A folder with photo.jpg and stripes.png, the one that the program runs in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FSTSTYLE_VGG_WEIGHTS", str(vgg_file))
    Image.open(photo_file).resize((64, 48)).save("photo.jpg")
    Image.open(painting_file).save("stripes.png")
    return tmp_path


def optimize(*arguments: object) -> int:
    return main(["optimize", "photo.jpg", *map(str, arguments), *LAYERS, *QUICK])


def test_a_photo_is_painted(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert optimize("stripes.png", "--iterations", 4) == 0
    assert load_rgb("photo-stripes.png").shape == (48, 64, 3)
    printed = capsys.readouterr()
    assert printed.out == "photo-stripes.png (64 x 48)\n"
    assert "iteration 4/4 | 64 px | total" in printed.err
    assert "total variation" in printed.err


def test_everything_on_the_way_is_written(work: Path) -> None:
    extras = ("--snapshot-every", 3, "--animation", "way.gif", "--curve", "curve.json", "-o", "out.png")
    assert optimize("stripes.png", "--sizes", "48,64", "--iterations", "4,3", *extras) == 0
    names = {path.name for path in work.iterdir()}
    assert {"out.png", "out-00003.png", "out-00006.png", "way.gif", "curve.json"} <= names
    assert "out.png.state" not in names
    curve = json.loads(Path("curve.json").read_text())
    assert [entry["size"] for entry in curve] == [48] * 4 + [64] * 3
    assert {"total", "content", "style", "total_variation"} <= set(curve[0])
    assert curve[3]["total"] < curve[0]["total"]
    with Image.open("way.gif") as way:
        assert (way.n_frames, way.size) == (4, (64, 48))  # type: ignore[attr-defined]


def test_the_curve_is_drawn_and_the_way_filmed(work: Path) -> None:
    av = pytest.importorskip("av")
    assert optimize("stripes.png", "--iterations", 3, "--curve", "curve.png", "--animation", "way.mp4") == 0
    with Image.open("curve.png") as curve:
        assert curve.size[0] > 500
    with av.open("way.mp4") as film:
        sizes = {(frame.width, frame.height) for frame in film.decode(video=0)}
    assert sizes == {(64, 48)}


def test_a_fast_style_may_begin(work: Path, styles_folder: Path) -> None:
    assert optimize("stripes.png", "--init", "tiny", "--iterations", 1, "-o", "fast.png") == 0
    assert optimize("stripes.png", "--init", "photo", "--iterations", 1, "-o", "plain.png") == 0
    difference = np.abs(load_rgb("fast.png").astype(int) - load_rgb("plain.png"))
    assert difference.mean() > 10


def test_several_paintings_masks_and_colours(work: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :20] = 255
    Image.fromarray(mask).save("mask.png")
    Image.fromarray(255 - mask).save("rest.png")
    Image.open("stripes.png").rotate(90, expand=True).save("more.png")
    for colour in ("luminance", "histogram"):
        arguments = ("--mask", "mask.png", "--mask", "rest.png", "--keep-color", colour, "--iterations", 2)
        assert optimize("stripes.png:2", "more.png:0.5", *arguments, "-o", f"{colour}.png") == 0
        assert load_rgb(f"{colour}.png").shape == (48, 64, 3)


def test_transparency_stays(work: Path) -> None:
    photo = Image.open("photo.jpg").convert("RGBA")
    photo.putalpha(Image.linear_gradient("L").crop((0, 0, *photo.size)))
    photo.save("clear.png")
    arguments = ["optimize", "clear.png", "stripes.png", "--iterations", "1", "-o", "out.png", *LAYERS, *QUICK]
    assert main(arguments) == 0
    assert np.array_equal(np.asarray(Image.open("out.png"))[..., 3], np.asarray(photo)[..., 3])


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_resumed_equals_straight(work: Path, capsys: pytest.CaptureFixture[str], number: int) -> None:
    """Stopped by a real signal in a process of its own, once it has said by a snapshot where it is."""
    arguments = ["photo.jpg", "stripes.png", "--iterations", "60", "--snapshot-every", "20", *LAYERS, *QUICK]
    command = [sys.executable, "-m", "fststyle", "optimize", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "-o", "halves.png"], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not Path("halves-00020.png").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + number, error
    assert "--resume goes on from halves.png.state" in error
    assert not Path("halves.png").exists()
    assert subprocess.run([*command, "-o", "halves.png", "--resume"], env=environment, check=False).returncode == 0
    assert subprocess.run([*command, "-o", "straight.png"], env=environment, check=False).returncode == 0
    assert np.array_equal(load_rgb("halves.png"), load_rgb("straight.png"))
    assert not Path("halves.png.state").exists()


def test_a_finished_result_is_not_replaced_by_accident(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photo-stripes.png").write_bytes(b"mine")
    assert optimize("stripes.png", "--iterations", 1) == 4
    assert "--force" in capsys.readouterr().err
    assert Path("photo-stripes.png").read_bytes() == b"mine"
    assert optimize("stripes.png", "--iterations", 1, "--force") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.png"], 3, "missing.png"),
        (["stripes.png", "--content-layer", "relu4-2"], 2, "did you mean 'relu4_2'?"),
        (["stripes.png", "--init", "nois"], 2, "did you mean 'noise'?"),
        (["stripes.png", "--mask", "small.png"], 3, "64 x 48 pixels; this one has 8 x 8"),
        (["stripes.png", "--mask", "-", "--mask", "-"], 2, "2 masks for 1 paintings"),
        (["stripes.png", "--mask", "none.png"], 3, "none.png"),
        (["stripes.png:much"], 2, "a number of at least 0, got 'much'"),
        (["stripes.png:0"], 2, "no painting counts"),
        (["stripes.png", "--style-layer", "relu1_1:-1"], 2, "a number of at least 0, got '-1'"),
        (["stripes.png", "--sizes", "64,32"], 2, "from small to large"),
        (["stripes.png", "--size", "64", "--sizes", "64"], 2, "give one of them"),
        (["stripes.png", "--size", "0"], 2, "at least 1 pixel"),
        (["stripes.png", "--size", "20"], 2, "at least 32 are needed"),
        (["stripes.png", "--size", "200000"], 7, "would fit"),
        (["stripes.png", "--iterations", "0"], 2, "at least 1"),
        (["stripes.png", "--iterations", "many"], 2, "list of whole numbers"),
        (["stripes.png", "--snapshot-every", "-2"], 2, "--snapshot-every"),
        (["stripes.png", "--curve", "curve.txt"], 2, ".png or .json"),
        (["stripes.png", "--animation", "way.txt"], 2, ".gif"),
        (["stripes.png", "-o", "out.xyz"], 2, "out.xyz"),
        (["stripes.png", "--resume"], 3, "nothing to resume"),
        (["stripes.png", "--vgg", "vgg18"], 2, "no loss network named 'vgg18'"),
        (["stripes.png", "--vgg-weights", "none.safetensors"], 9, "none.safetensors"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    work: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    Image.new("L", (8, 8), 255).save("small.png")
    before = {path.name for path in work.iterdir()}
    assert main(["optimize", "photo.jpg", *arguments, *QUICK]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.splitlines()[-1].startswith("fststyle: error: ")
    assert {path.name for path in work.iterdir()} == before


def test_weights_behind_a_colon(tmp_path: Path) -> None:
    assert weighted("relu1_1", "layer") == ("relu1_1", 1.0)
    assert weighted("relu1_1:0.25", "layer") == ("relu1_1", 0.25)
    assert layers_of(["relu1_1:2", "relu2_1"], ()) == {"relu1_1": 2.0, "relu2_1": 1.0}
    assert layers_of([], ("relu4_2",)) == {"relu4_2": 1.0}
    odd = tmp_path / "a:1"
    assert weighted_file(f"{odd}:3") == (odd, 3.0)
    odd.touch()
    assert weighted_file(str(odd)) == (odd, 1.0)
    with pytest.raises(OptionError):
        weighted("relu1_1:nan", "layer")


def test_a_texture_is_made_and_tiled(work: Path) -> None:
    layers = ["--style-layer", "relu1_1", "--style-layer", "relu2_1"]
    arguments = ["texture", "stripes.png", "--iterations", "3", *layers, *QUICK]
    assert main([*arguments, "--size", "50x40"]) == 0
    assert load_rgb("stripes-texture.png").shape == (40, 50, 3)
    assert main([*arguments, "--size", "48", "--tile", "-o", "tile.png", "--curve", "curve.json"]) == 0
    assert load_rgb("tile.png").shape == (48, 48, 3)
    assert set(json.loads(Path("curve.json").read_text())[0]) == {"size", "total", "style"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "big"], "no width x height"),
        (["--size", "50x50", "--tile"], "multiples of 16, got 50x50; the nearest is 48x48"),
        (["--style-layer", "relu1_7"], "did you mean 'relu1_"),
        (["--style-scale", "0"], "above 0"),
    ],
)
def test_a_bad_texture_is_one_line(
    work: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["texture", "stripes.png", *arguments, *QUICK]) == 2
    assert message in capsys.readouterr().err
    assert not Path("stripes-texture.png").exists()


def test_one_layer_gives_a_picture_and_several_a_row(work: Path) -> None:
    arguments = ["invert", "photo.jpg", "--size", "48", "--iterations", "2", *QUICK]
    assert main([*arguments, "--layer", "relu1_1"]) == 0
    assert load_rgb("photo-inverted.png").shape == (36, 48, 3)
    assert main([*arguments, "--layer", "relu1_1", "--layer", "relu2_1", "-o", "row.png"]) == 0
    height, width, _ = load_rgb("row.png").shape
    assert width > 3 * 48
    assert height > 36


def test_a_bad_layer_to_invert_is_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invert", "photo.jpg", "--layer", "conv4_2", *QUICK]) == 2
    assert "no layer named 'conv4_2'" in capsys.readouterr().err
