import platform
import subprocess
import sys

import pytest

TOUCHED_PAGES = """
import ctypes, resource, sys
from fststyle.nn.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def touch():
    block = c.malloc(64 << 20)
    ctypes.memset(block, 1, 64 << 20)
    c.free(block)

touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told anything")
def test_blocks_that_were_freed_are_used_again_without_new_pages() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", TOUCHED_PAGES, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("kept") < 100
    assert faults("default") > 8 * 16  # at least one fault for each 4 MiB, however large the system's pages are
