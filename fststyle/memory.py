"""Main memory of the machine, or of the container where that has less. Linux alone tells."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path


def available_memory() -> int | None:
    """Bytes that could still be taken without swapping; None where the system does not tell."""
    found = _machine("MemAvailable")
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or "max": no limit
        found.append(max(0, _container("memory.max") - _container("memory.current")))
    return min(found, default=None)


def total_memory() -> int | None:
    """Bytes that there are, taken or not; None where the system does not tell."""
    found = _machine("MemTotal")
    with contextlib.suppress(OSError, ValueError):
        found.append(_container("memory.max"))
    return min(found, default=None)


def peak_memory() -> int | None:
    """The most bytes of main memory that this process ever held; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # no Linux
        # getrusage would count what the parent held when it made this process.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def _machine(entry: str) -> list[int]:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        return [int(text.partition(f"{entry}:")[2].split()[0]) * 1024]
    except (OSError, ValueError, IndexError):
        return []


def _container(name: str) -> int:
    return int((Path("/sys/fs/cgroup") / name).read_text(encoding="ascii"))
