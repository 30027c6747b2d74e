"""How a live picture goes: what came, what was left out, how fast and how late."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

_KEPT = 10_000  # of the latest latencies, for the percentile
_RATE_SECONDS = 2.0


class Figures:
    """Counted by several threads, each of which writes its own numbers alone.

    ``captured``: frames that the camera gave; ``dropped``: those that a newer one replaced before their turn came;
    ``stylised``: pictures made; ``shown``: pictures that the main thread took.
    """

    def __init__(self) -> None:
        self.captured = self.dropped = self.stylised = self.shown = 0
        self.latency = 0.0
        """Seconds from taking the frame to having shown the picture, of the last one."""
        self._latencies: deque[float] = deque(maxlen=_KEPT)
        self._latency_sum = self._network_sum = 0.0
        self._times: deque[float] = deque(maxlen=240)
        self._began = self._ended = time.perf_counter()

    def begin(self) -> None:
        self._began = time.perf_counter()

    def end(self, *, dropped: int) -> None:
        self.dropped, self._ended = dropped, time.perf_counter()

    def stylise(self, network: float) -> None:
        """A picture was made, for which the network alone took ``network`` seconds."""
        self.stylised += 1
        self._network_sum += network

    def show(self, latency: float) -> None:
        """A picture was shown ``latency`` seconds after its frame was taken."""
        self.shown += 1
        self.latency = latency
        self._latency_sum += latency
        self._latencies.append(latency)
        self._times.append(time.perf_counter())

    @property
    def rate(self) -> float:
        """Pictures per second, over the last two seconds or so."""
        now = time.perf_counter()
        recent = [moment for moment in self._times if now - moment < _RATE_SECONDS] or list(self._times)[-2:]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON types; times in milliseconds, except ``seconds``. Of latencies None where nothing was shown."""
        seconds = self._ended - self._began
        ordered = sorted(self._latencies)
        return {
            "captured": self.captured,
            "dropped": self.dropped,
            "stylised": self.stylised,
            "shown": self.shown,
            "seconds": round(seconds, 3),
            "fps": round(self.stylised / seconds, 2) if seconds > 0 else 0.0,
            "latency": {
                "mean": round(self._latency_sum / self.shown * 1000, 1) if self.shown else None,
                "p95": round(ordered[int(0.95 * (len(ordered) - 1))] * 1000, 1) if ordered else None,
            },
            "network": round(self._network_sum / self.stylised * 1000, 1) if self.stylised else None,
        }
