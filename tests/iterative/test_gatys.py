"""Style transfer on a tiny real VGG: losses fall, paintings and masks count as asked, colours stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fststyle.errors import InputError, OptionError
from fststyle.iterative.descent import Descent, Position, Stage, descend, evaluate
from fststyle.iterative.gatys import SMALLEST, Style, StyleTransfer, Transfer
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.pixels import to_pixels
from fststyle.nn.weight_files import VGGWeights

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")
PLAIN = Descent(precision="float32", device="cpu")
SIZE = (64, 48)
SHALLOW = Transfer(content_layers={"relu2_1": 1.0}, style_layers={"relu1_1": 1.0, "relu2_1": 2.0})


def transfer_of(weights: VGGWeights, photo: Pixels, styles: list[Style], transfer: Transfer = SHALLOW) -> StyleTransfer:
    return StyleTransfer(photo, styles, weights, transfer, device=CPU)


def descended(task: StyleTransfer, start: str = "photo", iterations: int = 25) -> Position:
    position = Position(task.start(start, SIZE))  # type: ignore[arg-type]
    assert descend(task, [Stage(SIZE, iterations)], position, PLAIN, lambda moment: False)
    return position


@pytest.mark.parametrize("start", ["photo", "noise", "painting"])
def test_the_loss_falls(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels, start: str) -> None:
    curve = descended(transfer_of(narrow_vgg, photo, [Style(painting)]), start).curve
    assert curve[-1]["total"] < 0.6 * curve[0]["total"]
    for entry in curve:
        assert entry["total"] == pytest.approx(entry["content"] + entry["style"] + entry["total_variation"], rel=1e-5)


def test_the_loss_is_that_of_training(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels) -> None:
    task = transfer_of(narrow_vgg, photo, [Style(painting)])
    image, plain = task.start("noise", SIZE), task.start("photo", SIZE)
    resized = task._encoded(painting, (62, 48))
    loss = PerceptualLoss(task.vgg, SHALLOW.loss_weights(), [resized])
    expected = loss(image, loss.content_features(plain)).named()
    parts, _ = evaluate(task.objective(SIZE), image, bfloat16=False)
    assert parts == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-5)


def test_each_start_is_what_it_says(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels) -> None:
    task = transfer_of(narrow_vgg, photo, [Style(painting)])
    assert np.array_equal(to_pixels(task.start("photo", SIZE)), photo)
    assert to_pixels(task.start("painting", (32, 32))).shape == (32, 32, 3)
    assert np.array_equal(to_pixels(task.start(photo[::-1], SIZE)), photo[::-1])
    noise = task.start("noise", SIZE, seed=4)
    assert torch.equal(noise, task.start("noise", SIZE, seed=4))
    assert not torch.equal(noise, task.start("noise", SIZE, seed=5))
    with pytest.raises(OptionError, match="did you mean 'noise'"):
        task.start("noisy", SIZE)  # type: ignore[arg-type]


def test_several_paintings_count_by_their_weights(
    narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels, spots: Pixels
) -> None:
    transfer = replace(SHALLOW, tv_weight=0.0)
    image = transfer_of(narrow_vgg, photo, [Style(painting)]).start("noise", SIZE)

    def style_part(*styles: Style) -> float:
        objective = transfer_of(narrow_vgg, photo, [*styles], transfer).objective(SIZE)
        return evaluate(objective, image, bfloat16=False)[0]["style"]

    one, other = style_part(Style(painting)), style_part(Style(spots))
    both = style_part(Style(painting, 1.0), Style(spots, 3.0))
    assert both == pytest.approx((one + 3 * other) / 4, rel=1e-5)
    assert style_part(Style(painting), Style(spots, 0.0)) == pytest.approx(one, rel=1e-6)


def test_a_mask_confines_its_painting(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels) -> None:
    """Each layer sees a few pixels beyond its own position; beyond those the gradient of the style is exactly zero."""
    mask = np.zeros(photo.shape[:2], dtype=np.uint8)
    mask[:, :24] = 255
    only_style = replace(SHALLOW, content_weight=0.0, tv_weight=0.0)
    task = transfer_of(narrow_vgg, photo, [Style(painting, mask=mask)], only_style)
    _, gradient = evaluate(task.objective(SIZE), task.start("photo", SIZE), bfloat16=False)
    assert gradient[..., :24].abs().amax(dim=1).min() > 0
    assert gradient[..., 24 + 6 :].abs().max() == 0


def test_two_masks_share_the_picture(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels, spots: Pixels) -> None:
    left = np.zeros(photo.shape[:2], dtype=np.uint8)
    left[:, :32] = 255
    only_style = replace(SHALLOW, content_weight=0.0, tv_weight=0.0)
    task = transfer_of(narrow_vgg, photo, [Style(painting, mask=left), Style(spots, mask=255 - left)], only_style)
    result = descended(task, "noise", 40).image

    def style_part(style: Style) -> float:
        objective = transfer_of(narrow_vgg, photo, [style], only_style).objective(SIZE)
        return evaluate(objective, result, bfloat16=False)[0]["style"]

    assert style_part(Style(painting, mask=left)) < 0.2 * style_part(Style(spots, mask=left))
    assert style_part(Style(spots, mask=255 - left)) < 0.2 * style_part(Style(painting, mask=255 - left))


def test_luminance_keeps_the_photos_chroma(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels) -> None:
    muted = (photo // 2 + 64).astype(np.uint8)  # far enough from black and white that nothing is clipped
    task = transfer_of(narrow_vgg, muted, [Style(painting)], replace(SHALLOW, keep_color="luminance"))
    assert np.ptp(task.paintings[0], axis=2).max() == 0
    grey = task.start("photo", SIZE)
    result = task.finished((grey + 0.1 * torch.sin(torch.arange(64) / 3)).clamp(0, 1)).astype(int)
    difference = result - muted
    assert np.ptp(difference, axis=2).max() <= 1
    assert np.abs(difference).max() > 10


def test_histogram_matches_every_painting(
    narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels, spots: Pixels
) -> None:
    task = transfer_of(narrow_vgg, photo, [Style(painting), Style(spots)], replace(SHALLOW, keep_color="histogram"))
    for recoloured, before in zip(task.paintings, (painting, spots), strict=True):
        distance = np.abs(recoloured.mean(axis=(0, 1)) - photo.mean(axis=(0, 1))).max()
        assert distance < np.abs(before.mean(axis=(0, 1)) - photo.mean(axis=(0, 1))).max() / 2


def test_a_larger_style_scale_takes_a_larger_painting(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels) -> None:
    variations = []
    for scale in (1.0, 3.0):
        task = transfer_of(narrow_vgg, photo, [Style(painting)], replace(SHALLOW, style_scale=scale))
        variations.append(task._loss(painting, SIZE).style_variation.item())
    assert variations[1] < variations[0] / 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"content_layers": {"relu4_9": 1.0}}, "no layer named 'relu4_9'.*did you mean 'relu4_"),
        ({"style_layers": {}}, "style layers"),
        ({"style_weight": -1.0}, "at least 0"),
        ({"style_scale": 0.0}, "style_scale must be above 0"),
        ({"keep_color": "all"}, "luminance, histogram"),
        ({"vgg": "vgg17"}, "no loss network named 'vgg17'"),
    ],
)
def test_a_bad_value_is_an_option_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Transfer(**changes)


def test_bad_pictures_are_refused(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels) -> None:
    small, black = np.full((20, 30), 255, np.uint8), np.zeros(photo.shape[:2], np.uint8)
    with pytest.raises(InputError, match="the photo's size, 64 x 48 pixels; this one has 30 x 20"):
        transfer_of(narrow_vgg, photo, [Style(painting, mask=small)])
    with pytest.raises(OptionError, match="black everywhere"):
        transfer_of(narrow_vgg, photo, [Style(painting, mask=black)])
    with pytest.raises(OptionError, match="no painting counts"):
        transfer_of(narrow_vgg, photo, [Style(painting, 0.0)])
    with pytest.raises(OptionError, match="at least 0"):
        Style(painting, -1.0)
    with pytest.raises(OptionError, match=f"the result would be 16 px .* {SMALLEST}"):
        transfer_of(narrow_vgg, photo, [Style(painting)]).objective((21, 16))
