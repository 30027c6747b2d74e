"""How far something is that takes minutes: a bar on a terminal, and when a line is due where there is none."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

LINE_SECONDS = 30.0

Tell = Callable[[int, int, str], None]
"""Called with what is done, with all there is to do, and with what to say of it."""


@contextlib.contextmanager
def iterations_bar(label: str = "", *, transient: bool = False) -> Iterator[Tell]:
    """On standard error: ``label``, a bar, the numbers, what is said, and the time left. A ``transient`` one is gone in
    the end.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    labels = [TextColumn(label)] if label else []
    columns = (*labels, BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=transient) as bars:
        task = bars.add_task("", total=None)
        yield lambda done, total, text: bars.update(task, completed=done, total=total, description=text)


def line_due() -> Callable[[], bool]:
    """Whether :data:`LINE_SECONDS` went by since the last time that the answer was yes, or since the beginning."""
    spoken = time.monotonic()

    def due() -> bool:
        nonlocal spoken
        if time.monotonic() - spoken < LINE_SECONDS:
            return False
        spoken = time.monotonic()
        return True

    return due
