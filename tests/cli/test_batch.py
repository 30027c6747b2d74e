"""Whole batches through ``fststyle stylize``: cut off, resumed, watched, and full of bad files."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fststyle.cli.main import main
from fststyle.images import load_rgb
from fststyle.serving import stylizer
from fststyle.serving.engine import Engine

PATIENCE = 60


@pytest.fixture(autouse=True)
def _work(styles_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The style ``tiny``, and ``in`` with photos ``0.jpg`` to ``5.jpg`` in it and two in ``in/deep``."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["0", "1", "2", "3", "4", "5", "deep/6", "deep/7"]):
        write_photo(f"in/{name}.jpg", seed=number)


def write_photo(path: str, *, seed: int, size: tuple[int, int] = (64, 48)) -> None:
    clouds = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    clouds.resize(size, Image.Resampling.BICUBIC).save(path, format="JPEG", quality=90)


def stylize(*arguments: str) -> int:
    return main(["stylize", *(arguments or ("in", "-o", "out")), *OPTIONS])


OPTIONS = ["--style", "tiny", "--device", "cpu", "--threads", "1"]


def results(folder: str = "out") -> dict[str, bytes]:
    files = [path for path in Path(folder).rglob("[!.]*.*") if path.is_file() and ".fststyle" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def half_written() -> list[Path]:
    return [*Path("out").rglob(".fststyle-*")]


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "fststyle", "stylize", *arguments, *OPTIONS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_run_does_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize() == 0
    first = results()
    Path("out/3.jpg").unlink()
    write_photo("in/new.jpg", seed=9)
    times = {name: Path("out", name).stat().st_mtime_ns for name in results()}
    capsys.readouterr()
    assert stylize() == 0
    printed = capsys.readouterr()
    assert printed.err == "fststyle: 7 of 9 are done already and skipped\n"
    assert [line.split(" ")[0] for line in printed.out.splitlines()] == ["in/3.jpg", "in/new.jpg"]
    assert {name: Path("out", name).stat().st_mtime_ns for name in times} == times
    second = results()
    assert second.pop("new.jpg")
    assert second == first


def test_nothing_left_to_do_loads_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stylize() == 0
    monkeypatch.setattr("fststyle.serving.stylizer.Engine", None)
    assert stylize() == 0


def test_a_batch_that_is_killed_goes_on_where_it_stopped() -> None:
    for number in range(40):
        write_photo(f"in/more/{number}.jpg", seed=number, size=(400, 300))
    with running("in", "-o", "out") as process:
        wait_until(lambda: len(results()) >= 4)
        process.kill()
        process.wait()
    # A kill in the middle of a write leaves a file of this kind; most kills do not hit one.
    Path("out/deep").mkdir(exist_ok=True)
    Path("out/deep/.fststyle-0123456789ab.jpg").write_bytes(b"half")
    written = results()
    assert 4 <= len(written) < 48
    for name in written:
        with Image.open(Path("out", name)) as image:
            image.load()
    times = {name: Path("out", name).stat().st_mtime_ns for name in written}
    assert stylize() == 0
    assert len(results()) == 48
    assert not half_written()
    assert {name: Path("out", name).stat().st_mtime_ns for name in times} == times
    assert stylize("in", "-o", "fresh") == 0
    assert results("fresh") == results("out")


def test_a_batch_that_is_interrupted_says_so_and_keeps_what_it_made() -> None:
    for number in range(60):
        write_photo(f"in/more/{number}.jpg", seed=number, size=(400, 300))
    with running("in", "-o", "out") as process:
        wait_until(lambda: len(results()) >= 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert said.strip() == "fststyle: error: interrupted"  # after the line that a terminal ended with ^C
    assert not half_written()
    count = len(results())
    lines = Path("out/.fststyle/journal.jsonl").read_text().splitlines()
    assert len(lines) == count


def test_what_the_journal_does_not_know_is_never_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/3.jpg").write_text("mine")
    assert stylize() == 4
    assert "out/3.jpg exists already; --force" in capsys.readouterr().err
    assert results() == {"3.jpg": b"mine"}
    assert stylize("in", "-o", "out", "--force") == 0
    assert len(results()) == 8


def test_other_settings_need_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize() == 0
    before = results()
    assert stylize("in", "-o", "out", "--strength", "0.5") == 4
    assert "made with other settings; --force" in capsys.readouterr().err
    assert results() == before
    assert stylize("in", "-o", "out", "--strength", "0.5", "--force") == 0
    assert all(results()[name] != data for name, data in before.items())
    assert stylize("in", "-o", "out", "--strength", "0.5") == 0


def test_several_styles_at_once(styles_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (styles_folder / "other.onnx").write_bytes((styles_folder / "tiny.onnx").read_bytes())
    assert stylize("in/deep", "-o", "out", "--style", "other", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["output"], line["style"]) for line in lines] == [
        ("out/6-other.jpg", "other"),
        ("out/6-tiny.jpg", "tiny"),
        ("out/7-other.jpg", "other"),
        ("out/7-tiny.jpg", "tiny"),
    ]
    assert results()["6-other.jpg"] == results()["6-tiny.jpg"]
    assert stylize("in/0.jpg", "--style", "other") == 0
    assert Path("in/0-tiny.jpg").exists()
    assert Path("in/0-other.jpg").exists()


def test_names_that_meet_are_told_apart() -> None:
    for path in ("twins/x.gif", "twins/x.png", "twins/X.jpg", "twins/x.jpg"):
        image = Image.new("RGB", (20, 20), "red")
        Path(path).parent.mkdir(exist_ok=True)
        image.save(path)
    assert stylize("twins", "-o", "out") == 0
    assert sorted(results()) == ["X.jpg", "x-2.jpg", "x-gif.png", "x.png"]
    assert stylize("twins", "-o", "out") == 0
    assert len(results()) == 4


def test_a_report_has_a_line_for_each_picture_of_each_run() -> None:
    Path("in/1.jpg").write_text("text")
    assert stylize("in", "-o", "out", "--report", "log/report.jsonl") == 1
    with Path("log/report.jsonl").open("a") as file:
        file.write('{"cut')
    assert stylize("in", "-o", "out", "--report", "log/report.jsonl") == 1
    lines = Path("log/report.jsonl").read_text().splitlines()
    assert lines.pop(8) == '{"cut'
    parsed = [json.loads(line) for line in lines]
    assert [line["status"] for line in parsed] == ["written", "failed"] + ["written"] * 6 + ["skipped"] * 7 + ["failed"]
    assert parsed[1]["input"] == "in/1.jpg"
    assert parsed[1]["error"]["type"] == "UnsupportedFormatError"
    assert parsed[0]["size"] == [64, 48]


def test_json_lists_what_was_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize("in/deep", "-o", "out") == 0
    capsys.readouterr()
    assert stylize("in/deep", "-o", "out", "--json") == 0
    printed = capsys.readouterr()
    assert [json.loads(line) for line in printed.out.splitlines()] == [
        {"input": f"in/deep/{name}", "output": f"out/{name}", "style": "tiny", "status": "skipped"}
        for name in ("6.jpg", "7.jpg")
    ]
    assert printed.err == ""


def test_a_long_list_of_failures_ends(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(15):
        Path(f"in/bad{number:02}.jpg").touch()
    assert stylize() == 1
    *lines, last = capsys.readouterr().err.splitlines()
    assert len(lines) == 15
    assert last.startswith("fststyle: error: 15 of 23 pictures failed: in/bad00.jpg, ")
    assert last.endswith("in/bad09.jpg and 5 more")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_stylises_what_arrives_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with running("in", "-o", "in/out", "--watch", "--report", "report.jsonl") as process:
        wait_until(lambda: len(results("in/out")) == 8)
        Path("in/bad.jpg").write_text("text")
        write_photo("in/later/9.jpg", seed=9)
        wait_until(lambda: "later/9.jpg" in results("in/out") and Path("report.jsonl").read_text().count("\n") == 10)
        process.send_signal(number)
        printed, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1  # because of the bad one
    assert printed.count(" -> ") == 9
    assert said.splitlines() == [
        "fststyle: watching in; Ctrl-C stops",
        "fststyle: error: in/bad.jpg is not a picture of a known format; accepted: JPEG, PNG, WEBP, TIFF, AVIF, HEIF, "
        "GIF, BMP, PPM",
        "fststyle: error: 1 of 10 pictures failed: in/bad.jpg",
    ]


def test_watching_may_begin_before_there_is_anything() -> None:
    Path("inbox").mkdir()
    with running("inbox", "-o", "out", "--watch") as process:
        wait_until(lambda: Path("out/.fststyle/lock").exists())
        process.send_signal(signal.SIGTERM)
        printed, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed) == (0, "")
    assert said == "fststyle: watching inbox; Ctrl-C stops\n"


def test_two_runs_do_not_write_to_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("inbox").mkdir()
    with running("inbox", "-o", "out", "--watch") as process:
        wait_until(lambda: "watching" in (process.stderr.readline() if process.stderr else ""))
        wait_until(lambda: Path("out/.fststyle/lock").exists())
        assert stylize() == 4
    assert "another fststyle is writing to out" in capsys.readouterr().err


def encoded(format_name: str, **options: Any) -> bytes:
    clouds = Image.fromarray(np.random.default_rng(5).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    buffer = BytesIO()
    clouds.resize((70, 50), Image.Resampling.BICUBIC).save(buffer, format_name, **options)
    return buffer.getvalue()


def fuzzed(count: int) -> Iterator[tuple[str, bytes]]:
    """Pictures with bits flipped, cut short, or both, the same at every run."""
    source = random.Random(20)
    originals = [
        ("jpg", encoded("JPEG")),
        ("jpg", encoded("JPEG", progressive=True)),
        ("png", encoded("PNG")),
        ("webp", encoded("WEBP")),
        ("tif", encoded("TIFF", compression="tiff_lzw")),
        ("gif", encoded("GIF")),
        ("bmp", encoded("BMP")),
        ("ppm", encoded("PPM")),
        ("avif", encoded("AVIF")),
    ]
    for number in range(count):
        suffix, original = originals[number % len(originals)]
        data = bytearray(original)
        if number % 3 != 0:
            for _ in range(source.choice([1, 3, 20])):
                data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        if number % 3 != 1:
            del data[source.randrange(1, len(data)) :]
        yield f"{number:02}.{suffix}", bytes(data)


def test_damaged_pictures_end_in_a_result_or_an_error_each() -> None:
    Path("fuzz").mkdir()
    for name, data in fuzzed(50):
        Path("fuzz", name).write_bytes(data)
    command = [sys.executable, "-m", "fststyle", "stylize", "fuzz", "-o", "out", "--json", "--max-size", "32", *OPTIONS]
    command += ["--max-pixels", "1000000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["input"] for line in lines] == sorted(str(path) for path in Path("fuzz").iterdir())
    failed = [line for line in lines if line["status"] == "failed"]
    assert 10 < len(failed) < 50
    assert done.stderr.count("fststyle: error: ") == len(failed) + 1  # libtiff may add words of its own
    assert {line["error"]["exit_code"] for line in failed} == {3}
    assert len(results()) == 50 - len(failed)
    for name in results():
        assert max(load_rgb(Path("out", name)).shape[:2]) <= 32


def test_every_kind_of_bad_file_in_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/empty.jpg").touch()
    Path("in/text.png").write_text("text")
    Path("in/cut.jpg").write_bytes(Path("in/0.jpg").read_bytes()[:300])
    Path("in/page.gif").write_text("<html></html>")
    Path("in/zeros.webp").write_bytes(bytes(1000))
    Image.new("F", (20, 20)).save("in/float.tif")
    Path("in/folder.jpg").mkdir()
    Path("in/link.jpg").symlink_to("nowhere.jpg")
    os.mkfifo("in/pipe.jpg")
    bad = ["cut.jpg", "empty.jpg", "float.tif", "link.jpg", "page.gif", "pipe.jpg", "text.png", "zeros.webp"]
    assert stylize() == 1
    *lines, last = capsys.readouterr().err.splitlines()
    assert [next(name for name in bad if f"in/{name}" in line) for line in lines] == bad
    assert last.startswith("fststyle: error: 8 of 16 pictures failed: ")
    assert len(results()) == 8


@pytest.fixture
def palette(styles_folder: Path, palette_file: Path) -> Path:
    """The styles ``dawn`` and ``dusk`` beside ``tiny``."""
    return Path(shutil.copyfile(palette_file, styles_folder / "pair.onnx"))


def batch(*arguments: str) -> int:
    return main(["stylize", *arguments, "--device", "cpu", "--threads", "1"])


def test_mixes_of_one_palette_load_it_once(palette: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []

    def note(model: Path, **options: Any) -> Engine:
        loaded.append(model)
        return Engine(model, **options)

    monkeypatch.setattr(stylizer, "Engine", note)
    assert batch("in/deep", "-o", "out", "--style", "dawn", "--style", "dawn:7,dusk:3") == 0
    assert loaded == [palette]
    assert sorted(results()) == ["6-dawn-7+dusk-3.jpg", "6-dawn.jpg", "7-dawn-7+dusk-3.jpg", "7-dawn.jpg"]
    assert batch("in/deep/6.jpg", "-o", "mixed.jpg", "--style", "dawn:0.7,dusk:0.3") == 0
    assert Path("mixed.jpg").read_bytes() == results()["6-dawn-7+dusk-3.jpg"] != results()["6-dawn.jpg"]


def test_another_mix_or_blend_is_another_result(palette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weak = ["--strength", "0.5"]
    assert batch("in/deep", "-o", "out", "--style", "dawn:1,dusk:1", *weak) == 0
    before = results()
    for options in (["--style", "dawn:1,dusk:2"], ["--style", "dawn:1,dusk:1", "--blend", "network"]):
        assert batch("in/deep", "-o", "out", *options, *weak) == 4
        assert "made with other settings; --force" in capsys.readouterr().err
        assert results() == before
        assert batch("in/deep", "-o", "fresh", "--force", *options, *weak) == 0
        assert all(data != before[name] for name, data in results("fresh").items())
    assert batch("in/deep", "-o", "out", "--style", "dawn:2,dusk:2", *weak) == 0
    assert results() == before


def test_photos_get_the_styles_in_turn(palette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--style", "dusk", "--style", "tiny", "--style", "dawn:1,dusk:1", "--cycle", "--json"]
    assert batch("in", "-o", "out", *options) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["style"] for line in lines] == (["dusk", "tiny", "dawn:1,dusk:1"] * 3)[:8]
    assert sorted(results()) == [f"{number}.jpg" for number in range(6)] + ["deep/6.jpg", "deep/7.jpg"]
    assert batch("in/1.jpg", "-o", "alone.jpg", "--style", "tiny") == 0
    first = results()
    assert Path("alone.jpg").read_bytes() == first["1.jpg"]
    write_photo("in/00.jpg", seed=9)
    Path("out/4.jpg").unlink()
    capsys.readouterr()
    assert batch("in", "-o", "out", *options) == 0
    made = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    styles = {line["input"]: line["style"] for line in made if line["status"] == "written"}
    assert styles.keys() == {"in/00.jpg", "in/4.jpg"}
    assert styles["in/00.jpg"] == "tiny"  # the second by name
    assert results() | first == results() | {"4.jpg": first["4.jpg"]}


def test_blending_in_the_network_takes_a_palette(capsys: pytest.CaptureFixture[str]) -> None:
    assert batch("in", "-o", "out", "--style", "tiny", "--blend", "network") == 2
    assert "tiny is a network of one style" in capsys.readouterr().err
    assert not Path("out").exists()
