from pathlib import Path

import pytest

from fststyle.serving.memory import fits


def test_where_nothing_is_told_a_picture_fits(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fststyle.serving.memory.available_memory", lambda: None)
    assert fits(tiny_style_file, 10**9)
