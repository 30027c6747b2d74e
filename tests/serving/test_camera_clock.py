import numpy as np
import pytest
from PIL import Image

from fststyle.serving.camera_clock import RANGE, TICK, SyntheticScene, burn, read, seconds_between, ticks


@pytest.mark.parametrize("reading", [0, 1, 0x555555, RANGE - 1])
def test_what_is_burned_in_is_read(reading: int) -> None:
    pixels = np.full((120, 160, 3), 77, np.uint8)
    burn(pixels, reading)
    assert read(pixels) == reading


def test_the_clock_survives_scaling_noise_and_a_change_of_tone() -> None:
    pixels, moment = SyntheticScene((640, 480), clock=lambda: 12.5).draw()
    small = np.asarray(Image.fromarray(pixels).resize((320, 240), Image.Resampling.BILINEAR))
    noise = np.random.default_rng(0).normal(0, 20, small.shape)
    changed = (small * 0.6 + 40 + noise).clip(0, 255).astype(np.uint8)
    assert moment == 12.5
    assert read(changed) == ticks(12.5) == 125_000


def test_a_picture_without_a_clock_is_not_read() -> None:
    assert read(np.full((120, 160, 3), 128, np.uint8)) is None
    assert read(np.zeros((2, 160, 3), np.uint8)) is None
    assert read(np.zeros((40, 40, 3), np.uint8)) is None


def test_one_wrong_bit_is_noticed() -> None:
    pixels = np.zeros((120, 160, 3), np.uint8)
    burn(pixels, 1234)
    pixels[:10, 35:40] = 255 - pixels[:10, 35:40]
    assert read(pixels) is None


def test_the_difference_goes_over_the_end_of_the_range() -> None:
    assert seconds_between(RANGE - 10, 30) == pytest.approx(40 * TICK)
    assert seconds_between(30, RANGE - 10) == pytest.approx(-40 * TICK)
    assert ticks(RANGE * TICK + 0.5) == pytest.approx(5000, abs=1)


def test_the_scene_moves() -> None:
    scene = SyntheticScene((64, 48))
    first, second = scene.draw()[0], scene.draw()[0]
    assert first.shape == (48, 64, 3)
    assert (first[10:] != second[10:]).any()
