"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def processor() -> str:
    """The processor's name as its maker writes it, as far as the system tells."""
    if platform.system() == "Linux":
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if named := re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE):
            return named[1]
    return platform.processor() or platform.machine()


def cores() -> int:
    """How many logical cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine(*packages: str) -> str:
    """One line: processor, cores, system, Python, and the versions of those of ``packages`` that are installed."""
    versions = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{processor()}, {cores()} cores, {platform.system()} {platform.machine()}; {', '.join(versions)}"
