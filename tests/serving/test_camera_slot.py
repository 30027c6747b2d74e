import threading

import pytest

from fststyle.serving.camera_slot import EndedError, Newest


def test_only_the_newest_is_taken_and_the_rest_counted() -> None:
    slot: Newest[int] = Newest()
    for number in range(5):
        slot.put(number)
    assert slot.take() == 4
    assert slot.dropped == 4
    assert slot.take(timeout=0) is None


def test_what_is_inside_at_the_end_is_still_taken() -> None:
    slot: Newest[str] = Newest()
    slot.put("last")
    slot.end()
    with pytest.raises(EndedError):
        slot.put("too late")
    assert slot.take() == "last"
    with pytest.raises(EndedError):
        slot.take()


def test_the_first_reason_to_end_stays() -> None:
    slot: Newest[str] = Newest()
    slot.end(KeyError("unplugged"))
    slot.end(ValueError("second"))
    with pytest.raises(KeyError, match="unplugged"):
        slot.take()


def test_patience_gets_the_item_that_comes_meanwhile() -> None:
    slot: Newest[str] = Newest()
    slot.put("old")

    def patience(item: str) -> float:
        assert item == "old"
        threading.Thread(target=slot.put, args=("new",)).start()
        return 60.0

    assert slot.take(patience=patience) == "new"
    assert slot.dropped == 1


def test_patience_that_is_not_rewarded_takes_what_there_is() -> None:
    slot: Newest[str] = Newest()
    slot.put("old")
    assert slot.take(patience=lambda item: 0.001) == "old"
    assert slot.dropped == 0


def test_lossless_waits_until_each_is_taken() -> None:
    slot: Newest[int] = Newest(lossless=True)

    def feed() -> None:
        for number in range(20):
            slot.put(number)
        slot.end()

    thread = threading.Thread(target=feed)
    thread.start()
    assert [slot.take() for _ in range(20)] == list(range(20))
    thread.join()
    assert slot.dropped == 0
