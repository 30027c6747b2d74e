"""Answering signals for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)
TERMINATED = 128 + signal.SIGTERM
"""The exit code, as shells have it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came: raised wherever the program is, as Python does for Ctrl-C."""


@contextmanager
def signals_handled(handle: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Iterator[None]:
    """``handle`` answers ``numbers``, or :data:`STOPPING` if none are named, while the block runs; whoever did before
    does so again afterwards. Does nothing outside the main thread, where none can be caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in numbers or STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises :class:`Terminated` in the block, so that it cleans up on its way out, as after Ctrl-C."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise Terminated

    with signals_handled(handle, signal.SIGTERM):
        yield
