"""Bars are drawn for people, and for nobody else."""

from __future__ import annotations

import io
import sys

import pytest

from fststyle.cli.transfers import transfer_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_drawn_on_a_terminal_only(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with transfer_progress() as track:
        show, unused = track("Downloading photos"), track("Unpacking photos")
        show(0, None)
        show(1_000_000, 2_000_000)
        show(2_000_000, 2_000_000)
    assert callable(unused)
    assert ("Downloading photos" in stream.getvalue()) == terminal
    assert ("2.0/2.0 MB" in stream.getvalue()) == terminal
    assert "Unpacking" not in stream.getvalue()
