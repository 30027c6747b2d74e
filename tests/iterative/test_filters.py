"""Pictures of filters: each excites its own filter most, and each regulariser does what its name says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fststyle.errors import InputError, OptionError
from fststyle.iterative.ascent import Ascent
from fststyle.iterative.filters import FilterSettings, draw_filters, draw_kernels, shown, silent
from fststyle.iterative.objectives import ChannelActivations
from fststyle.iterative.regularizers import Regularizers, blurred, without_smallest
from fststyle.nn.vgg import VGGFeatures, layer_names
from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights

LAYER = "relu2_1"
NONE = Regularizers()
QUICK = FilterSettings(size=32, octaves=2, ascent=Ascent(steps=5, step_size=0.02, jitter=4), regularizers=NONE)


@pytest.fixture(scope="module")
def network() -> VGGFeatures:
    """Eight random filters in each layer, half of them the other half's negatives: some fire on anything."""
    generator = torch.Generator().manual_seed(4)
    tensors: dict[str, Tensor] = {}
    for layer in ARCHITECTURES["vgg16"].layers:
        inputs = 3 if layer == "conv1_1" else 8
        half = torch.randn(4, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        tensors[f"{layer}.weight"], tensors[f"{layer}.bias"] = torch.cat([half, -half]), torch.full((8,), 0.1)
    weights = VGGWeights("vgg16", tensors, Normalization((0.5,) * 3, (0.25,) * 3), "a test", "CC0", "")
    return VGGFeatures(weights, layer_names("vgg16"))


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0))


def activations(network: VGGFeatures, images: Tensor, channel: int) -> list[float]:
    with torch.no_grad():
        features = network(images, [LAYER])
        values: list[float] = ChannelActivations(LAYER, [channel] * len(images))(features).tolist()
    return values


def test_each_picture_excites_its_own_filter_most(network: VGGFeatures) -> None:
    channels = [0, 2, 3, 5, 6, 7]
    images = draw_filters(network, LAYER, channels, QUICK)
    assert images.shape == (6, 3, 32, 32)
    assert silent(network, LAYER, channels, images) == [False] * 6
    for place, channel in enumerate(channels):
        excited = activations(network, images, channel)
        assert max(excited) == excited[place] > 0


def test_a_filter_that_is_silent_on_the_noise_starts_from_another_kind(
    network: VGGFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert silent(network, LAYER, [4], draw_filters(network, LAYER, [4], QUICK)) == [False]
    monkeypatch.setattr("fststyle.iterative.filters.STARTS", ((1, 1),))
    assert silent(network, LAYER, [4], draw_filters(network, LAYER, [4], QUICK)) == [True]


def test_a_filter_that_nothing_excites_is_known_to_be_silent(network: VGGFeatures) -> None:
    images = draw_filters(network, LAYER, [0, 1], QUICK)
    assert silent(network, LAYER, [0, 1], images) == [False, True]


def test_a_picture_is_the_same_alone_and_among_others(network: VGGFeatures) -> None:
    together = draw_filters(network, LAYER, [1, 5], QUICK)
    torch.testing.assert_close(draw_filters(network, LAYER, [5], QUICK)[0], together[1], atol=1e-4, rtol=0)


def test_the_seed_decides_the_noise(network: VGGFeatures) -> None:
    first, again = (draw_filters(network, LAYER, [0], QUICK) for _ in range(2))
    other = draw_filters(network, LAYER, [0], FilterSettings(size=32, ascent=QUICK.ascent, seed=1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_l2_decay_takes_contrast(network: VGGFeatures, pictures: Tensor) -> None:
    decayed = Regularizers(l2_decay=0.25)(pictures, pictures, 0)
    torch.testing.assert_close(decayed - 0.5, (pictures - 0.5) * 0.75)
    settings = FilterSettings(size=32, ascent=QUICK.ascent, regularizers=Regularizers(l2_decay=0.3))
    assert draw_filters(network, LAYER, [0], settings).std() < draw_filters(network, LAYER, [0], QUICK).std()


def test_the_blur_comes_every_few_steps_and_smooths(pictures: Tensor) -> None:
    regularizer = Regularizers(blur_every=3, blur_sigma=1.0)
    changed = [not torch.allclose(regularizer(pictures, pictures, step), pictures, atol=1e-6) for step in range(7)]
    assert changed == [False, False, True, False, False, True, False]
    result = regularizer(pictures, pictures, 2)
    assert result.diff(dim=3).abs().mean() < pictures.diff(dim=3).abs().mean() / 2
    torch.testing.assert_close(result, blurred(pictures - 0.5, 1.0) + 0.5)


def test_the_blur_is_a_gaussian_of_its_width() -> None:
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 1
    spread = blurred(point, 2.0)[0, 0]
    places = torch.arange(31.0) - 15
    assert spread.sum().item() == pytest.approx(1, abs=1e-5)
    assert (spread.sum(dim=0) * places.square()).sum().sqrt().item() == pytest.approx(2, rel=0.02)
    torch.testing.assert_close(spread, spread.T)


def test_clipping_values_greys_the_faintest_pixels(pictures: Tensor) -> None:
    result = Regularizers(clip_values=30)(pictures, pictures, 0)
    strength = (pictures - 0.5).norm(dim=1)
    for before, after, measure in zip(pictures, result, strength, strict=True):
        grey = (after == 0.5).all(dim=0)
        assert grey.sum().item() == round(0.3 * 20 * 24)
        assert measure[grey].max() < measure[~grey].min()
        torch.testing.assert_close(after[:, ~grey], before[:, ~grey])


def test_clipping_gradients_greys_the_pixels_that_matter_least(pictures: Tensor) -> None:
    gradient = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(1))
    result = Regularizers(clip_gradients=40)(pictures, gradient, 0)
    effect = ((pictures - 0.5) * gradient).sum(dim=1).abs()
    for after, measure in zip(result, effect, strict=True):
        grey = (after == 0.5).all(dim=0)
        assert grey.sum().item() == round(0.4 * 20 * 24)
        assert measure[grey].max() < measure[~grey].min()


def test_no_regulariser_changes_nothing(pictures: Tensor) -> None:
    torch.testing.assert_close(NONE(pictures, pictures, 0), pictures)
    assert without_smallest(pictures, pictures[:, :1], 0.01) is pictures  # not even one pixel


def test_what_is_shown_has_one_contrast(pictures: Tensor) -> None:
    faint = torch.stack([pictures[0], 0.4 + pictures[0] * 0.01])
    strong, weak = shown(faint)
    torch.testing.assert_close(strong, weak, atol=1e-3, rtol=0)
    assert strong.mean().item() == pytest.approx(0.5, abs=0.01)


def test_kernels_are_drawn_as_they_are(network: VGGFeatures) -> None:
    drawn = draw_kernels(network, [3, 7], pixels=5)
    assert drawn.shape == (2, 3, 15, 15)
    kernel = network.get_buffer("relu1_1_weight")[3]
    small = drawn[0, :, 2::5, 2::5] - 0.5
    torch.testing.assert_close(small / small.abs().max(), kernel / kernel.abs().max())
    assert torch.equal(drawn[0, :, :5, :5], drawn[0, :, :1, :1].expand(-1, 5, 5))
    torch.testing.assert_close(drawn[0], 1 - drawn[1])  # its negative
    with pytest.raises(OptionError, match="the first layer has 8 channels, numbered 0 to 7; got 8"):
        draw_kernels(network, [8], pixels=5)


def test_pictures_too_small_for_a_layer_are_told_the_size_that_would_do(network: VGGFeatures) -> None:
    with pytest.raises(InputError, match="32 x 32 are too small for relu5_1: it needs 80 pixels"):
        draw_filters(network, "relu5_1", [0], QUICK)


def test_a_filter_that_is_not_there_is_refused(network: VGGFeatures) -> None:
    with pytest.raises(OptionError, match="relu2_1 has 8 channels, numbered 0 to 7; got 8"):
        draw_filters(network, LAYER, [0, 8], QUICK)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l2_decay", 1),
        ("l2_decay", -0.1),
        ("blur_every", -1),
        ("blur_sigma", 0),
        ("clip_values", 100),
        ("clip_gradients", -1),
    ],
)
def test_regularisers_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(OptionError, match=f"got .*{value}"):
        Regularizers(**{name: value})


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(OptionError, match=r"got 0, 0\.15"):
        FilterSettings(size=0)
    with pytest.raises(OptionError, match="got 128, 2"):
        FilterSettings(noise=2)
