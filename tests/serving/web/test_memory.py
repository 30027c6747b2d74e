import ctypes
import subprocess
import sys

import pytest

from fststyle.serving.web.memory import keep_memory_flat

# Prints how many blocks of their own the system gives for a megabyte, asked for after a larger one was freed.
CODE = """
import ctypes, sys
from fststyle.serving.web.memory import keep_memory_flat

class Figures(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.mallinfo2.restype = Figures
if sys.argv[1] == "flat":
    assert keep_memory_flat()
libc.free(libc.malloc(20 * 2**20))
before = libc.mallinfo2().hblks
libc.malloc(2**20)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only the GNU C library tells"
)
@pytest.mark.parametrize(("how", "blocks"), [("flat", "1"), ("as it is", "0")])
def test_large_blocks_stay_on_their_own(how: str, blocks: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == blocks


def test_elsewhere_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_memory_flat() is False
