"""A bounded queue between two threads that also carries the end and an error, and the thread at the other side."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
_PATIENCE = 0.5  # seconds; on Windows a wait without a limit cannot be interrupted


class StoppedError(Exception):
    """The other side has given up; whoever gets this ends without a word."""


class Channel(Generic[T]):
    """Items in order, for one thread that puts and one that takes.

    ``weight`` says how much of ``capacity`` an item takes up while it waits; an item goes in whenever there is any room
    left, so that none is too heavy.
    """

    def __init__(self, capacity: int, weight: Callable[[T], int] = lambda item: 1) -> None:
        self._capacity, self._weight = capacity, weight
        self._items: deque[T] = deque()
        self._load = 0
        self._finished = False
        self.error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Waits for room; raises what :meth:`stop` was given."""
        with self._changed:
            while self._load >= self._capacity and self.error is None:
                self._changed.wait(_PATIENCE)
            if self.error is not None:
                raise self.error
            self._items.append(item)
            self._load += self._weight(item)
            self._changed.notify_all()

    def finish(self) -> None:
        """There is no more to come; what is inside is still taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def stop(self, error: BaseException) -> None:
        """Both sides get ``error`` from now on, and what is inside is lost; the first error stays."""
        with self._changed:
            self.error = self.error or error
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not self._items and not self._finished and self.error is None:
                    self._changed.wait(_PATIENCE)
                if self.error is not None:
                    raise self.error
                if not self._items:
                    return
                item = self._items.popleft()
                self._load -= self._weight(item)
                self._changed.notify_all()
            yield item


@contextmanager
def beside(work: Callable[[], None], channel: Channel[T]) -> Iterator[None]:
    """Runs ``work``, which reads or fills ``channel``, in a thread for as long as the block runs, and then to its end.

    An error of ``work`` stops the channel, and is raised here at the latest. An error of the block, an interruption
    above all, stops the channel too, and goes on once the thread has ended: nothing runs on behind it.
    """

    def run() -> None:
        try:
            work()
        except BaseException as error:
            channel.stop(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
        thread.join()
    except BaseException:
        channel.stop(StoppedError())
        while thread.is_alive():
            with contextlib.suppress(KeyboardInterrupt):  # what the thread works on must not be taken away from it
                thread.join()
        raise
    if channel.error is not None:
        raise channel.error
