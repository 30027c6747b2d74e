"""How a process that runs for weeks gives memory back."""

from __future__ import annotations

import contextlib
import ctypes
import sys

# malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
LARGE = 128 * 1024
"""Bytes; the GNU C library's own first figures for both."""


def keep_memory_flat() -> bool:
    """Blocks from :data:`LARGE` on go back to the system as soon as they are freed; whether that could be arranged.

    The GNU C library does that at first, but takes each freed block as a reason to do it for larger ones only; from
    then on pictures lie between small objects, and over thousands of sizes the holes add up. It concerns the whole
    process, so that it is for the program to ask for, not for the server.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, LARGE) and mallopt(_M_TRIM_THRESHOLD, LARGE))
    return False
