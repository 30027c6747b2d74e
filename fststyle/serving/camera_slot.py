"""A place for one item between two threads: what was not taken in time is dropped, never queued."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
_PATIENCE = 0.5  # seconds; on Windows a wait without a limit cannot be interrupted


class EndedError(Exception):
    """Nothing more will come."""


class Newest(Generic[T]):
    """The newest of the items that one thread puts, for one other thread to take.

    With ``lossless`` the putting thread waits until its last item was taken, so that none is dropped. ``dropped``
    counts the items that a newer one replaced.
    """

    def __init__(self, *, lossless: bool = False) -> None:
        self._lossless = lossless
        self._item: T | None = None
        self._ended: BaseException | None = None
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, item: T) -> None:
        """:raises EndedError: :meth:`end` was called."""
        with self._changed:
            while self._lossless and self._item is not None and self._ended is None:
                self._changed.wait(_PATIENCE)
            if self._ended is not None:
                raise EndedError
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify_all()

    def end(self, reason: BaseException | None = None) -> None:
        """What is inside can still be taken; after it :meth:`take` raises ``reason``, or :class:`EndedError`.

        The first reason stays.
        """
        with self._changed:
            self._ended = self._ended or reason or EndedError()
            self._changed.notify_all()

    def take(self, timeout: float | None = None, patience: Callable[[T], float] | None = None) -> T | None:
        """The newest item, once there is one; None if there is none after ``timeout`` seconds.

        ``patience`` says of an item how many seconds it pays to wait for a newer one that would replace it.
        """
        with self._changed:
            waits = _PATIENCE if timeout is None else timeout
            while self._item is None:
                if self._ended is not None:
                    raise self._ended
                if not self._changed.wait(waits) and timeout is not None:
                    return None
            first = self._item
            if patience is not None and (seconds := patience(first)) > 0:
                self._changed.wait_for(lambda: self._item is not first or self._ended is not None, seconds)
            taken, self._item = self._item, None
            self._changed.notify_all()
            return taken
