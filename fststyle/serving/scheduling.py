"""How the system schedules this process's threads, where libraries change it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scheduling_kept() -> Iterator[None]:
    """Afterwards the calling thread is scheduled as before, and so are all others that became real-time inside.

    SVT-AV1 gives the highest real-time priority to its threads, and to the one that opens it, where it is allowed to:
    as root, in any container. What the process starts later inherits it, and while a few such threads compute, the
    machine answers nobody else, not even to end them.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _real_time()
    try:
        yield
    finally:
        for thread in _real_time() - before:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.sched_setscheduler(thread, policy, parameters)


def _real_time() -> set[int]:
    """The threads of this process that go before all others."""
    found = set()
    for entry in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            if os.sched_getscheduler(int(entry.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(entry.name))
    return found
