"""What is told on the way: by a bar on a terminal, by a line now and then elsewhere."""

from __future__ import annotations

import io
import sys
import time

import pytest
import torch

from fststyle.cli import progress
from fststyle.cli.descent import progress as descent_progress
from fststyle.cli.evaluate import progress as evaluation_progress
from fststyle.cli.looking import ascent_progress
from fststyle.cli.progress import iterations_bar, line_due
from fststyle.iterative.descent import Moment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal that is wide enough for a line."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_bar_tells_the_label_the_numbers_and_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with iterations_bar("Drawing") as tell:
        tell(3, 12, "loss 0.5")
    last = stream.getvalue().rpartition("Drawing")[2]
    assert "3/12" in last
    assert "loss 0.5" in last


def test_an_ascent_counts_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with ascent_progress(4, "Dreaming") as tell:
        assert tell is not None
        tell(0.25)
        tell(0.5)
    last = stream.getvalue().rpartition("Dreaming")[2]
    assert "2/4" in last
    assert "activation 0.5" in last


def test_a_descent_tells_the_parts_of_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = Moment(number=3, total=12, size=(64, 48), parts={"total": 2.5}, image=torch.zeros(1, 3, 48, 64))
    stream = terminal(monkeypatch)
    with descent_progress() as tell:
        tell(moment)
    assert "3/12" in stream.getvalue()
    assert "64 px | total 2.5000" in stream.getvalue()


def test_without_a_terminal_a_descent_says_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with descent_progress(first=4) as tell:
        for now[0], number in ((110.0, 5), (140.0, 8), (141.0, 9), (142.0, 12)):
            tell(Moment(number=number, total=12, size=(64, 48), parts={"total": 2.5}, image=torch.zeros(1, 3, 48, 64)))
    assert capsys.readouterr().err.splitlines() == [
        "iteration 8/12 | 64 px | total 2.5000 | 0.7 min left",
        "iteration 12/12 | 64 px | total 2.5000 | 0.0 min left",
    ]


def test_without_a_terminal_an_ascent_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with ascent_progress(4, "Dreaming") as tell:
        assert tell is None


def test_a_line_is_due_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    due, found = line_due(), []
    for now[0] in (129.0, 130.0, 131.0, 159.0, 161.0):
        found.append(due())
    assert found == [False, True, False, False, True]


def test_without_a_terminal_an_evaluation_says_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with evaluation_progress() as tell:
        tell(3, 12, "photo 1 of 2")
    assert capsys.readouterr().err == "iteration 3 of 12: photo 1 of 2\n"
