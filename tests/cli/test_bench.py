import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fststyle.cli.bench_table import HEADINGS
from fststyle.cli.main import main
from fststyle.machine import processor

TOO_LARGE = "90000x80000"


@pytest.fixture(autouse=True)
def _one_style(styles_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``tiny`` is the only style there is."""
    monkeypatch.setattr("fststyle.styles.shipped_folder", lambda: styles_folder / "none")


def bench(*arguments: str, device: str = "cpu") -> int:
    return main(["bench", "--device", device, "--threads", "1", "--runs", "2", *arguments])


def table(printed: str) -> list[list[str]]:
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_table_with_a_row_for_each_combination(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--size", "40x24", "--size", "64x32", "--threads", "2") == 0
    printed = capsys.readouterr().out
    assert processor() in printed.splitlines()[0]
    assert "engine alone" in printed.splitlines()[1]
    heading, rule, *rows = table(printed)
    assert heading == [*HEADINGS]
    assert {*"".join(rule)} == {"-", ":"}
    shown = [(row[0], row[2], row[3], row[4], row[5]) for row in rows]
    assert shown == [("tiny", size, "CPU", threads, "2") for size in ("40x24", "64x32") for threads in "12"]
    for row in rows:
        low, median, high = (float(figure) for figure in (*row[7].split(" to ")[:1], row[6], row[7].split(" to ")[1]))
        assert low <= median <= high
        assert float(row[8]) > 0
        assert re.fullmatch(r"\d+ MiB|-", row[9])
    lengths = {len(line) for line in printed.splitlines() if line.startswith("|")}
    assert len(lengths) == 1


def test_what_is_named_twice_is_measured_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--style", "tiny", "--style", "tiny", "--size", "40x24", "--size", "40x24") == 0
    assert len(table(capsys.readouterr().out)) == 3


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--size", "40x24", "--json", "-o", str(tmp_path / "new" / "bench.json")) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    report = json.loads(printed.out)
    assert report == json.loads((tmp_path / "new" / "bench.json").read_text())
    assert processor() in report["machine"]
    (row,) = report["rows"]
    milliseconds = row.pop("milliseconds")
    assert 0 < milliseconds["low"] <= milliseconds["median"] <= milliseconds["high"]
    assert row.pop("fps") == pytest.approx(1000 / milliseconds["median"], rel=0.1)
    assert row.pop("peak_bytes") is None or sys.platform in {"linux", "darwin"}
    assert row.pop("preset")
    assert row == {
        "style": "tiny",
        "size": [40, 24],
        "device": "cpu",
        "threads": 1,
        "status": "measured",
        "provider": "CPUExecutionProvider",
        "runs": 2,
    }


def test_a_row_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--size", TOO_LARGE, "--size", "40x24", "-o", str(tmp_path / "bench.json")) == 1
    printed = capsys.readouterr()
    _, _, failed, measured = table(printed.out)
    assert failed[2] == TOO_LARGE
    assert failed[-1] == "failed: not enough memory for a picture of 90000 x 80000"
    assert measured[2] == "40x24"
    assert printed.err == f"fststyle: error: 1 of 2 rows could not be measured: tiny at {TOO_LARGE} on cpu\n"
    first, second = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert (first["status"], first["error"]["type"], first["error"]["exit_code"]) == ("failed", "DeviceError", 7)
    assert second["status"] == "measured"


def test_an_only_row_that_fails_is_its_own_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--size", TOO_LARGE) == 7
    assert capsys.readouterr().err == "fststyle: error: not enough memory for a picture of 90000 x 80000\n"


def test_a_gpu_that_does_not_run_is_left_out_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["bench", "--runs", "1", "--size", "40x24", "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("fststyle: the GPU is left out: ")
    assert [row[3] for row in table(printed.out)[2:]] == ["CPU"]
    assert bench("--size", "40x24", device="cuda") == 7
    assert table(capsys.readouterr().out)[2][3] == "CUDA"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--size 1920", 2, "'1920' is no width x height in pixels, as 1920x1080"),
        ("--size 0x10", 2, "a picture has at least 1 x 1 pixels, got 0 x 10"),
        ("--size 10x-1", 2, "'10x-1' is no width x height"),
        ("--threads 0", 2, "threads must be at least 1, got 0"),
        ("--threads many", 2, "'many' is not a valid integer"),
        ("--runs 0", 2, "runs must be at least 1, got 0"),
        ("--seconds 3", 2, "--seconds and --runs both say"),
        ("--device tpu", 2, "'tpu' is not one of 'cpu', 'cuda'"),
        ("--style tinny", 5, "did you mean 'tiny'?"),
        ("--style missing.onnx", 5, "no style file missing.onnx"),
        ("-o /dev/null", 4, "not a regular file"),
        ("-o /proc/nowhere/bench.json", 4, "cannot make the folder"),
        ("stray", 2, "unexpected extra argument"),
    ],
)
def test_a_bad_option_is_one_line_before_anything_is_measured(
    arguments: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*arguments.split()) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_seconds_out_of_range(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--seconds", seconds]) == 2
    assert "seconds must be above 0" in capsys.readouterr().err


def test_a_file_is_not_replaced_unless_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "bench.json"
    target.write_text("mine")
    assert bench("--size", "40x24", "-o", str(target)) == 4
    assert capsys.readouterr().out == ""
    assert target.read_text() == "mine"
    assert bench("--size", "40x24", "-o", str(target), "--force") == 0
    assert json.loads(target.read_text())["rows"]


def test_without_a_style_there_is_nothing_to_measure(styles_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (styles_folder / "tiny.onnx").unlink()
    assert bench() == 5
    assert "there are no styles" in capsys.readouterr().err


def is_running(pid: str) -> bool:
    """On Linux; a process that ended and was not asked after has no command line any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interruption_ends_the_measurement_too(
    number: signal.Signals, code: int, said: str, tmp_path: Path, tiny_style_file: Path
) -> None:
    target = tmp_path / "bench.json"
    command = [sys.executable, "-m", "fststyle", "bench", "--style", str(tiny_style_file), "--size", "64x64"]
    program = subprocess.Popen(
        [*command, "--device", "cpu", "--threads", "1", "--seconds", "600", "-o", str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        while not program.stdout.readline().startswith("| -"):
            assert program.poll() is None
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children")
        measuring: list[str] = []
        while children.exists() and not measuring:
            measuring = children.read_text().split()
        os.killpg(program.pid, number)
        assert program.wait(60) == code
        assert program.stderr.read().strip() == f"fststyle: error: {said}"
    deadline = time.monotonic() + 60  # it would measure for ten minutes
    while any(is_running(pid) for pid in measuring):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not list(tmp_path.glob("*.json"))
