"""How the C library hands out memory."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_MAX`` of glibc's ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Let this process keep what it frees for its next allocation; whether that could be arranged.

    glibc asks the system for every large block and gives it back at once (mallopt(3)), so that each training step
    touches gigabytes of new pages: a tenth of its time on a CPU. Nothing is changed where another C library runs.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))
