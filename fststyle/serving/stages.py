"""Where the time of one picture goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stages:
    """How long each part of the road took, in milliseconds, in the order in which they came."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + (time.perf_counter() - started) * 1000

    def add(self, other: Stages) -> None:
        for stage, spent in other.milliseconds.items():
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + spent
