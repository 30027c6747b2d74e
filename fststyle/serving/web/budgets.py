"""Memory that all requests share: encoded bytes held by the event loop, pixels being decoded by the workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fststyle.serving.web.problems import Refusal


class ByteBudget:
    """Encoded bodies and answers, counted in the event loop's thread; over the limit there is no waiting but a 429."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    @contextmanager
    def account(self) -> Iterator[ByteAccount]:
        """What is added inside the block is given back at its end."""
        account = ByteAccount(self)
        try:
            yield account
        finally:
            self.used -= account.held


class ByteAccount:
    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self.held = budget, 0

    def add(self, count: int) -> None:
        """:class:`Refusal` with status 429 if that is more than there is room for."""
        if self._budget.used + count > self._budget.limit:
            raise Refusal(429, "Busy", "the server holds as many pictures as it may", retry_after=1)
        self.record(count)

    def record(self, count: int) -> None:
        """For what is there already: it counts, whether there is room or not."""
        self._budget.used += count
        self.held += count


class PixelBudget:
    """Pixels of the pictures that are being decoded; a worker waits until there is room for its own."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @contextmanager
    def reserved(self, pixels: int) -> Iterator[None]:
        """``pixels`` above the limit count as the limit: such a picture is alone."""
        pixels = min(pixels, self.limit)
        with self._turn, self._changed:  # in turn, or small pictures would slip past a large one for ever
            self._changed.wait_for(lambda: self.used + pixels <= self.limit)
            self.used += pixels
        try:
            yield
        finally:
            with self._changed:
                self.used -= pixels
                self._changed.notify_all()
