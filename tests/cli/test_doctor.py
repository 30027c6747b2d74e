import json
from pathlib import Path

import pytest

from fststyle.cli.main import main


@pytest.fixture(autouse=True)
def _one_style(styles_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``tiny`` is the only style there is."""
    monkeypatch.setattr("fststyle.styles.shipped_folder", lambda: styles_folder / "none")
    monkeypatch.setattr("fststyle.serving.doctor.shipped_folder", lambda: styles_folder / "none")


def doctor(*arguments: str) -> int:
    return main(["doctor", "--style", "tiny", "--threads", "1", *arguments])


def test_what_works_is_said_and_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--device", "cpu") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "ok   codec JPEG: written and read" in lines
    assert "ok   network on the CPU: tiny runs with CPUExecutionProvider" in lines
    assert not [line for line in lines if line.startswith("FAIL")]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--device", "cpu", "--json", "--size", "768x384") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["works"] is True
    assert {check["status"] for check in report["checks"]} <= {"works", "absent"}
    assert {"name", "status", "found", "mend"} == report["checks"][0].keys()
    assert (report["estimate"]["width"], report["estimate"]["height"]) == (768, 384)
    assert report["estimate"]["seconds"] > 0


def test_what_fails_names_what_mends_it(styles_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (styles_folder / "broken.onnx").write_text("text")
    assert doctor("--device", "cpu") == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    failed = next(number for number, line in enumerate(lines) if line.startswith("FAIL style"))
    assert "broken.onnx" in lines[failed]
    assert lines[failed + 1].strip().startswith("mend: ")
    assert printed.err.startswith("fststyle: error: 1 of ")


def test_without_a_style_nothing_can_be_tried(styles_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (styles_folder / "tiny.onnx").unlink()
    assert doctor("--device", "cpu") == 1
    assert "FAIL network: there is no style in" in capsys.readouterr().out


def test_an_estimate_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--device", "cpu", "--size", "1920x1080") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("1920 x 1080: about ")
    assert "an estimate, from a run at 384 x 384" in last


@pytest.mark.parametrize("size", ["1920", "0x10", "axb", "-3x4", "1920x1080x3"])
def test_a_size_is_two_numbers(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--device", "cpu", "--size", size) == 2
    assert "pixels" in capsys.readouterr().err
