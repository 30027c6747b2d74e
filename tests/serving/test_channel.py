import threading
import time
from collections.abc import Callable

import pytest

from fststyle.serving.channel import Channel, StoppedError, beside


def test_items_come_out_in_order_and_the_end_ends_them() -> None:
    channel: Channel[int] = Channel(2)
    taken: list[int] = []
    with beside(lambda: taken.extend(channel), channel):
        give(channel, 100)
    assert taken == list(range(100))


def give(channel: Channel[int], count: int) -> None:
    for number in range(count):
        channel.put(number)
    channel.finish()


def break_off(channel: Channel[int], error: type[BaseException]) -> None:
    channel.put(1)
    raise error


def waits(work: Callable[[], object]) -> bool:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(0.1)
    return thread.is_alive()


def test_a_full_channel_makes_the_giver_wait() -> None:
    channel: Channel[int] = Channel(10, weight=lambda item: item)
    channel.put(9)
    channel.put(50)  # there was room left, so even a heavy item goes in
    assert waits(lambda: channel.put(1))
    items = iter(channel)
    assert [next(items), next(items), next(items)] == [9, 50, 1]


def test_an_error_of_the_thread_reaches_the_block() -> None:
    channel: Channel[int] = Channel(1)

    def fail() -> None:
        for item in channel:
            raise ValueError(f"cannot do {item}")

    with pytest.raises(ValueError, match="cannot do 0"), beside(fail, channel):
        give(channel, 1000)


def test_an_error_after_the_last_item_is_not_lost() -> None:
    channel: Channel[int] = Channel(5)

    def fail_late() -> None:
        for _ in channel:
            time.sleep(0.05)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"), beside(fail_late, channel):
        give(channel, 1)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_of_the_block_ends_the_thread_first(error: type[BaseException]) -> None:
    channel: Channel[int] = Channel(1)
    ended: list[str] = []

    def work() -> None:
        try:
            for _ in channel:
                time.sleep(0.05)
        except StoppedError:
            ended.append("stopped")

    with pytest.raises(error), beside(work, channel):
        break_off(channel, error)
    assert ended == ["stopped"]
