"""Progress bars for bytes that come from somewhere, drawn on standard error if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fststyle.downloads import Progress


def _silent(done: int, total: int | None) -> None:
    """Where there is no terminal there is no bar."""


@contextmanager
def transfer_progress() -> Iterator[Callable[[str], Progress]]:
    """Give a function that makes a named bar; the bar shows itself with its first byte."""
    if not sys.stderr.isatty():
        yield lambda description: _silent
        return

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def track(description: str) -> Progress:
            task = bars.add_task(description, total=None, visible=False)

            def show(done: int, total: int | None) -> None:
                bars.update(task, completed=done, total=total, visible=True)

            return show

        yield track
