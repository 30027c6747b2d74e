import signal
import threading
from types import FrameType

import pytest

from fststyle.signals import STOPPING, Terminated, signals_handled, terminable


def test_signals_are_handled_for_as_long_as_the_block_runs() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    came: list[int] = []
    with signals_handled(lambda number, frame: came.append(number)):
        for number in STOPPING:
            signal.raise_signal(number)
    assert came == [*STOPPING]
    assert [signal.getsignal(number) for number in STOPPING] == before


def test_only_those_named_are_handled_and_given_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in STOPPING]

    def handle(number: int, frame: FrameType | None) -> None:
        assert signal.getsignal(signal.SIGINT) == before[0]
        raise InterruptedError(number)

    with pytest.raises(InterruptedError), signals_handled(handle, signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in STOPPING] == before


def test_other_threads_leave_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with signals_handled(lambda number, frame: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_sigterm_is_raised_where_the_program_is() -> None:
    before, cleaned = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(True)

    with pytest.raises(Terminated), terminable():
        work()
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) == before
