"""Real threads, as root may schedule them. What encoders do is tried with whole videos."""

import os
import sys
import threading

import pytest

from fststyle.serving.scheduling import scheduling_kept

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems schedule otherwise")
LOWEST = os.sched_param(1) if sys.platform == "linux" else None


def may_be_real_time() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, LOWEST)
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


@pytest.mark.skipif(sys.platform == "linux" and not may_be_real_time(), reason="needs to be allowed real-time priority")
def test_only_what_became_real_time_inside_is_set_back() -> None:
    begun, end = threading.Barrier(3), threading.Event()

    def work() -> None:
        begun.wait()
        end.wait()

    def start() -> int:
        thread = threading.Thread(target=work)
        thread.start()
        assert thread.native_id is not None
        return thread.native_id

    earlier = start()
    os.sched_setscheduler(earlier, os.SCHED_RR, LOWEST)
    with scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_FIFO, LOWEST)
        inside = start()
        begun.wait()
    found = [os.sched_getscheduler(thread) for thread in (0, inside, earlier)]
    end.set()
    assert found == [os.SCHED_OTHER, os.SCHED_OTHER, os.SCHED_RR]
