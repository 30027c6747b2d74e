import pytest

from fststyle.errors import OptionError
from fststyle.serving.camera_pace import SizeController, next_side, patience


def test_a_fresh_frame_is_taken() -> None:
    assert patience(0.0, 0.033, 0.1) == 0
    assert patience(0.03, 0.033, 0.1) == 0  # a third of the time it takes
    assert patience(0.5, None, 0.1) == 0


def test_an_old_frame_is_left_for_one_that_is_due_sooner_than_it_is_old() -> None:
    assert patience(0.06, 0.1, 0.12) == pytest.approx(0.04)
    assert patience(0.045, 0.1, 0.12) == 0  # the next one is further off than this one is old


def test_a_camera_that_is_late_is_not_waited_for_long() -> None:
    assert patience(0.2, 0.1, 0.12) == pytest.approx(0.025)


@pytest.mark.parametrize("ratio", [1.0, 1.02, 1.3, 1.5, 1.9, 2.0, 2.5, 3.1, 7.7])
def test_where_frames_come_faster_than_pictures_none_is_older_than_half_a_picture(ratio: float) -> None:
    """An exact camera and network in turns, over two hundred pictures."""
    interval, busy, now = 1.0, ratio, 0.0
    for _ in range(200):
        age = now % interval
        now += patience(age, interval, busy)
        assert now % interval <= busy / 2 + 1e-9 or interval - now % interval < 1e-9
        now += busy


def test_the_size_stays_within_the_band() -> None:
    for share in (0.75, 0.9, 1.0, 1.05):
        assert next_side(400, share / 10, target=10, highest=640) == 400


def test_the_size_falls_and_grows_with_the_root_of_the_time() -> None:
    assert next_side(640, 0.4, target=10, highest=640) == 304  # 640 * sqrt(0.92 / 4) = 306.9
    assert next_side(304, 0.05, target=10, highest=640) == 400  # 304 * sqrt(0.92 / 0.5) = 412.4


def test_the_size_keeps_its_limits() -> None:
    assert next_side(640, 0.01, target=10, highest=640) == 640
    assert next_side(600, 0.01, target=10, highest=640) == 640
    assert next_side(128, 9, target=10, highest=640) == 96
    assert next_side(64, 9, target=10, highest=64) == 64


def test_a_little_too_slow_is_a_step_down() -> None:
    assert next_side(320, 0.106, target=10, highest=640) < 320


@pytest.mark.parametrize("cost", [2e-7, 9e-7, 3e-6])
def test_the_controller_settles_in_reach_of_its_target(cost: float) -> None:
    controller = SizeController(640, 12)
    sides = []
    for _ in range(100):
        controller.note(controller.side**2 * 0.75 * cost)
        sides.append(controller.side)
    assert len(set(sides[40:])) == 1
    assert sides[-1] == 640 or 0.7 < sides[-1] ** 2 * 0.75 * cost * 12 <= 1.05


def test_one_slow_picture_changes_nothing() -> None:
    controller = SizeController(640, 10)
    for number in range(60):
        controller.note(3.0 if number % 6 == 5 else 0.09)
    assert controller.side == 640


def test_without_a_target_the_size_stays() -> None:
    controller = SizeController(640, None)
    for _ in range(50):
        controller.note(5.0)
    assert controller.side == 640
    with pytest.raises(OptionError, match="above 0"):
        SizeController(640, 0)
