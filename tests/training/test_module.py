"""The training step: schedules, and precision where it counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from fststyle.training.module import schedule, style_share, to_float
from fststyle.training.recipe import Recipe

RECIPE = Recipe(name="night", file="night.jpg", steps=200, warm_up=0.1, style_rise=0.25)


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    factors = [schedule(RECIPE)(step) for step in range(RECIPE.steps + 1)]
    assert factors[19] == max(factors) == 1
    assert all(a < b for a, b in pairwise(factors[:20]))
    assert all(a > b for a, b in pairwise(factors[20:]))
    assert factors[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_learning_rate_stays_in_range_at_the_extremes(share: float) -> None:
    factor = schedule(replace(RECIPE, warm_up=share))
    assert all(0 <= factor(step) <= 1 for step in range(RECIPE.steps + 1))


def test_style_rises_to_its_full_share_and_stays() -> None:
    shares = [style_share(RECIPE, step) for step in range(RECIPE.steps)]
    assert shares[0] == pytest.approx(1 / 50)
    assert all(a < b for a, b in pairwise(shares[:50]))
    assert set(shares[49:]) == {1.0}


def test_without_a_rise_style_counts_from_the_first_step() -> None:
    assert style_share(replace(RECIPE, style_rise=0.0), 0) == 1


def test_photos_become_floats_between_0_and_1_channel_first() -> None:
    photos = torch.zeros(1, 2, 3, 3, dtype=torch.uint8)
    photos[0, 1, 2] = torch.tensor([255, 51, 0])
    images = to_float(photos)
    assert images.shape == (1, 3, 2, 3)
    assert images[0, :, 1, 2].tolist() == pytest.approx([1, 0.2, 0])
    assert images.is_contiguous(memory_format=torch.channels_last)
