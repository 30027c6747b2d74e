import io
import json
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
