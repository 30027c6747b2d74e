"""A loss for results that move along with their photo."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from fststyle.nn.losses import EPSILON
from fststyle.nn.stability_loss import BORDER, LARGEST_OFFSET, moved, random_offset, stability_loss

OFFSET = torch.tensor([2, 3])


@pytest.fixture
def photos() -> Tensor:
    return torch.rand(2, 3, 48, 56, generator=torch.Generator().manual_seed(0))


def test_a_moved_picture_shows_the_same_further_up_and_to_the_left(photos: Tensor) -> None:
    later = moved(photos, OFFSET)
    assert later.shape == photos.shape
    assert torch.equal(later[..., :-2, :-3], photos[..., 2:, 3:])
    assert torch.equal(later[..., -1, 0], photos[..., -1, 3])


def test_a_result_that_moves_along_costs_nothing(photos: Tensor) -> None:
    results = 1 - photos
    later = moved(photos, OFFSET)
    assert stability_loss(results, photos, 1 - later, later, OFFSET).item() == 0


def test_a_result_that_stands_still_while_its_photo_moves_changes_as_much_as_a_photo(photos: Tensor) -> None:
    later = moved(photos, OFFSET)
    # Its own pixels stay, so that besides moving along it changes by what the photo changes.
    assert stability_loss(photos, photos, photos, later, OFFSET).item() == pytest.approx(1, rel=0.1)


def test_the_loss_is_the_ratio_of_mean_squares_inside_the_border(photos: Tensor) -> None:
    results, again = photos.flip(2), photos.flip(3)
    later = moved(photos, OFFSET)
    x, y, x2, y2 = (tensor.numpy().astype(np.float64) for tensor in (photos, results, later, again))
    inner = np.s_[..., BORDER:-BORDER, BORDER:-BORDER]
    rows, columns = OFFSET.tolist()
    along = np.roll(y, (-rows, -columns), (2, 3))  # what comes in at the far end lies in the border
    expected = ((y2 - along)[inner] ** 2).mean() / (((x2 - x)[inner] ** 2).mean() + EPSILON)
    assert stability_loss(results, photos, again, later, OFFSET).item() == pytest.approx(expected, rel=1e-5)


def test_changes_at_the_edge_do_not_count(photos: Tensor) -> None:
    later, again = moved(photos, OFFSET), moved(photos, OFFSET)
    again[..., : BORDER // 2, :] = 0
    assert stability_loss(photos, photos, again, later, OFFSET).item() == 0


def test_both_results_learn(photos: Tensor) -> None:
    results, again = photos.clone().requires_grad_(), photos.flip(3).requires_grad_()
    stability_loss(results, photos, again, moved(photos, OFFSET), OFFSET).backward()
    for tensor in (results, again):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def test_offsets_are_drawn_from_nothing_to_the_largest() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([random_offset(generator) for _ in range(100)])
    assert set(drawn.flatten().tolist()) == {*range(LARGEST_OFFSET + 1)}
