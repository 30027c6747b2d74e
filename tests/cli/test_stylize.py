import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from fststyle.cli.main import main
from fststyle.images import decode, load_rgb
from fststyle.serving.stylizer import Stylizer


@pytest.fixture(autouse=True)
def _tiny_style(styles_folder: Path) -> None:
    """``--style tiny`` is there in every test."""


def stylize(*arguments: str | Path) -> int:
    return main(["stylize", "--style", "tiny", "--device", "cpu", "--threads", "1", *map(str, arguments)])


@pytest.fixture
def expected(photo_file: Path, tiny_style_file: Path) -> np.ndarray:
    return np.asarray(Stylizer(tiny_style_file, device="cpu", threads=1)(photo_file))


def test_one_photo(photo_file: Path, tmp_path: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize(photo_file, "-o", tmp_path / "out.png") == 0
    np.testing.assert_array_equal(load_rgb(tmp_path / "out.png"), expected)
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{photo_file} -> {tmp_path / 'out.png'} (40 x 30, ")
    assert printed.err == ""


def test_without_an_output_the_result_is_named_after_photo_and_style(photo_file: Path) -> None:
    assert stylize(photo_file) == 0
    assert load_rgb(photo_file.with_name("photo-tiny.jpg")).shape == (30, 40, 3)


def test_a_folder(photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.jpg"):
        (tmp_path / "in" / name).write_bytes(photo_file.read_bytes())
    assert stylize(tmp_path / "in", "-o", tmp_path / "out") == 0
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.jpg")) == [
        "a.jpg",
        "deep/b.jpg",
    ]
    assert capsys.readouterr().out.count(" -> ") == 2


def test_a_bad_photo_does_not_stop_a_batch(
    photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / "in" / name).write_bytes(photo_file.read_bytes())
    (tmp_path / "in" / "b.jpg").write_bytes(photo_file.read_bytes()[:400])
    assert stylize(tmp_path / "in", "-o", tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "out").glob("*.*g")) == ["a.jpg", "c.jpg"]
    assert printed.err.splitlines()[0].startswith(f"fststyle: error: {tmp_path / 'in' / 'b.jpg'} is damaged")
    assert printed.err.splitlines()[1:] == [f"fststyle: error: 1 of 3 pictures failed: {tmp_path / 'in' / 'b.jpg'}"]


def test_json_is_one_object_a_line(photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.jpg").write_text("text")
    assert stylize(photo_file, tmp_path / "bad.jpg", "-o", tmp_path / "out", "--json", "--max-size", "20") == 1
    good, bad = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert good.pop("milliseconds").keys() == {"decode", "resize", "network", "colour", "encode", "write"}
    assert good == {
        "input": str(photo_file),
        "output": str(tmp_path / "out" / "photo.jpg"),
        "style": "tiny",
        "status": "written",
        "size": [20, 15],
        "provider": "CPUExecutionProvider",
    }
    assert (bad["input"], bad["style"], bad["status"]) == (str(tmp_path / "bad.jpg"), "tiny", "failed")
    assert (bad["error"]["type"], bad["error"]["exit_code"]) == ("UnsupportedFormatError", 3)


def test_auto_says_on_standard_error_what_it_took(photo_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["stylize", str(photo_file), "--style", "tiny", "--force"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("fststyle: running on the ")
    assert printed.err.count("\n") == 1
    assert main([*arguments, "--json"]) == 0
    assert capsys.readouterr().err == ""


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "fststyle", "stylize", "--style", "tiny", "--device", "cpu", *arguments]
    return subprocess.run(command, capture_output=True, **options)


def test_standard_input_to_standard_output(photo_file: Path, expected: np.ndarray) -> None:
    done = run("-", input=photo_file.read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    picture = decode(done.stdout)
    assert picture.format == "JPEG"
    assert np.abs(picture.pixels.astype(int) - expected).mean() < 8


def test_a_stream_and_a_file_mix(photo_file: Path, tmp_path: Path, expected: np.ndarray) -> None:
    assert run("-", "-o", str(tmp_path / "out.png"), input=photo_file.read_bytes()).returncode == 0
    np.testing.assert_array_equal(load_rgb(tmp_path / "out.png"), expected)
    done = run(str(photo_file), "-o", "-", "--json")
    assert decode(done.stdout).size == (40, 30)
    assert json.loads(done.stderr)["output"] == "-"


def test_a_full_standard_output_is_an_output_error(photo_file: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("Linux has a device that is always full")
    with open("/dev/full", "wb") as full, photo_file.open("rb") as photo:  # noqa: PTH123
        command = [sys.executable, "-m", "fststyle", "stylize", "-", "--style", "tiny", "--device", "cpu"]
        done = subprocess.run(command, stdin=photo, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4
    assert done.stderr == b"fststyle: error: cannot write standard output: No space left on device\n"


def test_a_stream_is_one_picture(photo_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize("-", photo_file) == 2
    assert stylize(photo_file, photo_file, "-o", "-") == 2
    assert capsys.readouterr().err.count("one picture") == 2


def test_a_terminal_gets_no_picture(photo_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert stylize(photo_file, "-o", "-") == 2
    assert "terminal" in capsys.readouterr().err


def test_options_reach_the_network(photo_file: Path, tmp_path: Path, tiny_style_file: Path) -> None:
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    options = ["--strength", "0.4", "--keep-color", "--max-size", "24"]
    assert stylize(photo_file, "-o", tmp_path / "out.png", *options) == 0
    wanted = np.asarray(stylizer(photo_file, strength=0.4, keep_color=True, max_size=24))
    np.testing.assert_array_equal(load_rgb(tmp_path / "out.png"), wanted)


@pytest.mark.parametrize("keep", [True, False])
def test_location_is_left_out_unless_asked_for(tmp_path: Path, keep: bool) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "S"
    Image.new("RGB", (40, 30)).save(tmp_path / "in.jpg", exif=tags)
    assert stylize(tmp_path / "in.jpg", "-o", tmp_path / "out.jpg", *(["--keep-metadata"] if keep else [])) == 0
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (30, 40)
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert (ExifTags.GPS.GPSLatitudeRef in image.getexif().get_ifd(ExifTags.IFD.GPSInfo)) == keep


def test_nothing_is_overwritten_without_force(photo_file: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "out.png").write_bytes(b"mine")
    assert stylize(photo_file, "-o", tmp_path / "out.png") == 4
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    assert "exists already; --force" in capsys.readouterr().err
    assert stylize(photo_file, "-o", tmp_path / "out.png", "--force") == 0
    assert load_rgb(tmp_path / "out.png").shape == (30, 40, 3)


def test_a_batch_on_a_terminal_shows_progress(
    photo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    other = tmp_path / "other.jpg"
    other.write_bytes(photo_file.read_bytes())
    for inputs, shown in (([photo_file], False), ([photo_file, other], True)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        assert stylize(*inputs, "-o", tmp_path / f"out{len(inputs)}") == 0
        assert ("Stylising" in terminal.getvalue()) == shown
        assert ("files/s" in terminal.getvalue()) == shown


def test_tiles_are_said_and_give_the_same(
    photo_file: Path, tmp_path: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    big = tmp_path / "big.png"
    Image.open(photo_file).resize((150, 90)).save(big)
    assert stylize(big, "-o", tmp_path / "whole.png", "--tile", "off") == 0
    assert capsys.readouterr().err == ""
    assert stylize(big, "-o", tmp_path / "tiles.png", "--tile", "64") == 0
    assert capsys.readouterr().err == "fststyle: 150 x 90 pixels are run in 6 tiles of up to 64\n"
    whole, tiles = (load_rgb(tmp_path / name).astype(int) for name in ("whole.png", "tiles.png"))
    assert np.abs(whole - tiles).max() <= 1
    assert stylize(big, "-o", tmp_path / "json.png", "--tile", "64", "--json") == 0
    assert capsys.readouterr().err == ""


def test_metadata_and_profile_stay_with_tiles(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Artist] = "Somebody"
    tags[ExifTags.Base.Orientation] = 6
    Image.effect_noise((140, 90), 60).convert("RGB").save(tmp_path / "in.jpg", exif=tags)
    assert stylize(tmp_path / "in.jpg", "-o", tmp_path / "out.jpg", "--tile", "64", "--keep-metadata") == 0
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (90, 140)
        assert image.getexif()[ExifTags.Base.Artist] == "Somebody"
        assert image.info["icc_profile"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--tile", "atuo", "did you mean 'auto'?"),
        ("--tile", "12", "at least 64 pixels"),
        ("--tile", "1.5", "a side in pixels, got '1.5'"),
        ("--stroke-size", "0", "stroke_size must be 0.02 to 16, got 0.0"),
        ("--stroke-size", "nan", "stroke_size must be 0.02 to 16, got nan"),
        ("--stroke-size", "17", "got 17"),
    ],
)
def test_bad_tiles_and_strokes_are_one_line(
    photo_file: Path, option: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize(photo_file, option, value) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


def test_a_preview_looks_like_the_full_size_with_a_stroke_size(tmp_path: Path) -> None:
    """Both seen at the preview's size. Without it, strokes have so many pixels, and the two differ more."""
    clouds = Image.fromarray(np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    clouds.resize((512, 384), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    difference = {}
    for name, options in {"strokes": ["--stroke-size", "4"], "pixels": []}.items():
        full, preview = tmp_path / f"{name}-full.png", tmp_path / f"{name}-preview.png"
        assert stylize(tmp_path / "photo.png", "-o", full, *options) == 0
        assert stylize(tmp_path / "photo.png", "-o", preview, *options, "--max-size", "128") == 0
        seen = Image.open(full).resize((128, 96), Image.Resampling.LANCZOS)
        difference[name] = np.abs(np.asarray(seen).astype(int) - load_rgb(preview)).mean()
    assert difference["strokes"] < 4
    assert difference["strokes"] < difference["pixels"] / 2


def test_what_was_made_with_other_strokes_is_made_again(photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(photo_file.read_bytes())
    command = [tmp_path / "in", "-o", tmp_path / "out"]
    assert stylize(*command) == 0
    assert stylize(*command) == 0
    assert stylize(*command, "--stroke-size", "8") == 4
    assert stylize(*command, "--stroke-size", "8", "--force") == 0


def test_an_interrupted_picture_in_tiles_leaves_nothing(photo_file: Path, tmp_path: Path) -> None:
    with Image.open(photo_file) as image:
        image.resize((1500, 1100)).save(tmp_path / "big.png")
    (tmp_path / "out").mkdir()
    command = [
        sys.executable,
        "-m",
        "fststyle",
        "stylize",
        str(tmp_path / "big.png"),
        "-o",
        str(tmp_path / "out/a.png"),
    ]
    command += ["--style", "tiny", "--device", "cpu", "--threads", "1", "--tile", "64"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "out")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        assert "tiles" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not [*(tmp_path / "out").iterdir()]
