"""Dreams through a narrow network: what rises, what is put back, what is undone, and what moves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from fststyle.errors import DeviceError, InputError, OptionError
from fststyle.iterative import footprint, memory
from fststyle.iterative.ascent import Ascent, ascend, jittered_gradient
from fststyle.iterative.dream import DreamSettings, dream, usable_sizes
from fststyle.iterative.objectives import (
    ChannelActivations,
    GuidedActivation,
    LayerActivation,
    Objective,
    guide_activation,
    inner,
)
from fststyle.iterative.octaves import lost_detail, octave_sizes, resize
from fststyle.iterative.zoom import Motion, dream_frames, moved
from fststyle.nn.vgg import VGGFeatures, layer_names
from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights

LAYER = "relu3_1"
QUICK = DreamSettings(octaves=2, ascent=Ascent(steps=4, jitter=4))


def narrow_weights(channels: int = 4) -> VGGWeights:
    """Random weights of VGG-16's layers with a few channels each, scaled so that activations neither fade nor grow."""
    generator = torch.Generator().manual_seed(2)
    tensors: dict[str, Tensor] = {}
    for layer in ARCHITECTURES["vgg16"].layers:
        inputs = 3 if layer == "conv1_1" else channels
        scale = (2 / (9 * inputs)) ** 0.5
        tensors[f"{layer}.weight"] = torch.randn(channels, inputs, 3, 3, generator=generator) * scale
        tensors[f"{layer}.bias"] = torch.rand(channels, generator=generator) * 0.2
    normalization = Normalization((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return VGGWeights("vgg16", tensors, normalization, "a test", "CC0", "")


@pytest.fixture(scope="module")
def network() -> VGGFeatures:
    return VGGFeatures(narrow_weights(), layer_names("vgg16"))


def clouds(height: int = 64, width: int = 80, seed: int = 0) -> Tensor:
    coarse = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(seed))
    return resize(coarse, (height, width)) * 0.6 + 0.2


def activation(network: VGGFeatures, objective: Objective, images: Tensor) -> float:
    with torch.no_grad():
        return float(objective(network(images, objective.layers)).mean())


def live_channels(network: VGGFeatures, photo: Tensor) -> list[int]:
    return [channel for channel in range(4) if activation(network, LayerActivation({LAYER: 1}, channel), photo) > 0]


@pytest.mark.parametrize("normalization", ["mean-absolute", "l2", "std", "laplacian"])
def test_a_dream_raises_what_it_dreams_of(network: VGGFeatures, normalization: str) -> None:
    photo, objective = clouds(), LayerActivation({LAYER: 1})
    settings = replace(QUICK, ascent=replace(QUICK.ascent, normalization=normalization))
    result = dream(photo, network, objective, settings)
    assert result.shape == photo.shape
    assert activation(network, objective, result) > 1.2 * activation(network, objective, photo)


def test_the_result_stays_within_the_range_of_pixels(network: VGGFeatures) -> None:
    strong = replace(QUICK, ascent=Ascent(steps=4, jitter=4, step_size=0.5))
    result = dream(clouds(), network, LayerActivation({LAYER: 1}), strong)
    assert (result.min(), result.max()) == (0, 1)


def test_no_steps_give_the_photo_through_any_octaves(network: VGGFeatures) -> None:
    """All that the smallest octave cannot hold is put back."""
    photo = torch.rand(1, 3, 61, 83, generator=torch.Generator().manual_seed(0))
    settings = DreamSettings(octaves=3, octave_scale=1.7, ascent=Ascent(steps=0))
    result = dream(photo, network, LayerActivation({"relu1_1": 1}), settings)
    torch.testing.assert_close(result, photo, atol=1e-5, rtol=0)
    blurred = resize(resize(photo, (21, 29)), (61, 83))
    assert (blurred - photo).abs().mean() > 0.1  # without it, this is what would come


def test_lost_detail_is_none_for_what_a_smaller_size_holds() -> None:
    assert lost_detail(torch.full((1, 3, 40, 40), 0.3), (20, 20), (40, 40)).abs().max() < 1e-6


def test_octaves_grow_by_their_scale_to_the_photo() -> None:
    assert octave_sizes((140, 280), 3, 1.4) == [(71, 143), (100, 200), (140, 280)]
    assert octave_sizes((140, 280), 1, 1.4) == [(140, 280)]


def test_octaves_too_small_for_a_layer_are_left_out(network: VGGFeatures) -> None:
    settings = DreamSettings(octaves=4, octave_scale=2.0)
    # relu3_1 sees a quarter of the size, of which five rows are needed.
    assert usable_sizes(clouds(), network, LayerActivation({LAYER: 1}), settings) == [(32, 40), (64, 80)]


def test_a_photo_too_small_for_a_layer_is_told_the_size_that_would_do(network: VGGFeatures) -> None:
    objective = LayerActivation({"relu5_1": 1})
    with pytest.raises(InputError, match=r"80 x 64 is too small for relu5_1: both sides need 80 pixels"):
        dream(clouds(64, 80), network, objective, QUICK)
    dream(clouds(80, 80), network, objective, replace(QUICK, ascent=Ascent(steps=0)))


def test_the_border_of_a_layer_does_not_count() -> None:
    features = torch.zeros(1, 2, 7, 7)
    features[..., 2:-2, 2:-2] = 3
    framed = features.clone()
    framed[..., :2, :] = framed[..., -2:, :] = framed[..., :2] = framed[..., -2:] = 100
    objective = LayerActivation({LAYER: 1})
    assert objective({LAYER: framed}).item() == objective({LAYER: features}).item() == 9


def test_layers_are_added_up_by_their_weights() -> None:
    features = {"relu1_1": torch.full((1, 2, 6, 6), 2.0), "relu2_1": torch.full((1, 2, 5, 5), 3.0)}
    assert LayerActivation({"relu1_1": 0.5, "relu2_1": -2})(features).item() == 0.5 * 4 - 2 * 9


def test_one_channel_rises_most(network: VGGFeatures) -> None:
    """Whichever channel is dreamt of, no dream of another one raises it as much."""
    photo = clouds()
    rises = np.zeros((3, 3))
    settings = replace(QUICK, ascent=Ascent(steps=8, jitter=0))
    live = live_channels(network, photo)[:3]
    for row, dreamt in enumerate(live):
        result = dream(photo, network, LayerActivation({LAYER: 1}, dreamt), settings)
        for column, channel in enumerate(live):
            objective = LayerActivation({LAYER: 1}, channel)
            rises[row, column] = activation(network, objective, result) / activation(network, objective, photo)
    assert rises.argmax(axis=0).tolist() == [0, 1, 2]


def test_a_guided_dream_moves_towards_its_guide(network: VGGFeatures) -> None:
    """Features turn to the direction that the guide's have, more than in the dream of another guide."""
    photo, live = clouds(), live_channels(network, clouds())[:2]
    directions = [torch.eye(4)[channel] for channel in live]
    settings = replace(QUICK, ascent=Ascent(steps=10, jitter=4))

    def nearness(images: Tensor, direction: Tensor) -> float:
        with torch.no_grad():
            places = inner(network(images, [LAYER])[LAYER]).flatten(2)[0]
        return float((direction @ places).sum() / places.norm(dim=0).sum())

    dreams = []
    for direction in directions:
        guide = {LAYER: direction.view(1, 4, 1, 1).expand(1, 4, 6, 6)}
        dreams.append(dream(photo, network, GuidedActivation({LAYER: 1}, guide), settings))
    near = np.array([[nearness(result, direction) for result in dreams] for direction in directions])
    assert near.argmax(axis=1).tolist() == [0, 1]
    assert all(near.diagonal() > [nearness(photo, direction) for direction in directions])


def test_a_dream_fits_the_picture_that_guides_it(network: VGGFeatures) -> None:
    photo, objective = clouds(), guide_activation(network, clouds(seed=5).flip(1), {LAYER: 1})
    result = dream(photo, network, objective, QUICK)
    assert activation(network, objective, result) > 1.2 * activation(network, objective, photo)


def test_each_place_of_a_guided_dream_takes_the_guides_best() -> None:
    guide = torch.zeros(1, 2, 5, 6)
    guide[0, :, 2, 2], guide[0, :, 2, 3] = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    here = torch.zeros(1, 2, 5, 5)
    here[0, :, 2, 2] = torch.tensor([3.0, 1.0])  # products 3 and 2: the first fits better
    assert GuidedActivation({LAYER: 1}, {LAYER: guide})({LAYER: here}).item() == pytest.approx(3 / 2)


def test_many_places_are_matched_in_parts(network: VGGFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = guide_activation(network, clouds(seed=5), {LAYER: 1})
    whole = activation(network, objective, clouds())
    monkeypatch.setattr("fststyle.iterative.objectives._MATCHED_AT_ONCE", 1)
    assert activation(network, objective, clouds()) == pytest.approx(whole, rel=1e-6)


def test_jitter_is_undone() -> None:
    """A gradient comes back to the place that it belongs to, whatever the shift was."""

    def look(images: Tensor, layers: object) -> dict[str, Tensor]:
        return {LAYER: images * images}

    class Everywhere:
        layers = (LAYER,)

        def __call__(self, features: dict[str, Tensor]) -> Tensor:
            return features[LAYER].sum(dim=(1, 2, 3)) / 2

    photo = torch.rand(1, 3, 9, 11)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        gradient, _ = jittered_gradient(photo, look, Everywhere(), 4, generator)  # type: ignore[arg-type]
        torch.testing.assert_close(gradient, photo)


def test_jitter_changes_what_a_step_does_and_the_seed_repeats_it(network: VGGFeatures) -> None:
    def result(seed: int, jitter: int) -> Tensor:
        settings = replace(QUICK, seed=seed, ascent=replace(QUICK.ascent, jitter=jitter))
        return dream(clouds(), network, LayerActivation({LAYER: 1}), settings)

    assert torch.equal(result(1, 4), result(1, 4))
    assert not torch.equal(result(1, 4), result(2, 4))
    assert torch.equal(result(1, 0), result(2, 0))


def test_a_maximum_ends_an_octave(network: VGGFeatures) -> None:
    photo, objective = clouds(), LayerActivation({LAYER: 1})
    limit = 1.1 * activation(network, objective, photo)
    told: list[float] = []
    settings = Ascent(steps=30, jitter=0, max_loss=limit)
    generator = torch.Generator()
    ascend(photo, network, objective, settings, generator=generator, progress=told.append)
    assert 0 < len(told) < 30
    assert max(told) <= limit


def test_moving_zooms_turns_and_shifts() -> None:
    picture = torch.zeros(1, 3, 41, 61)
    picture[..., 15:18, 40:43] = 1  # centre 4 above and 11 right of the middle

    def place(motion: Motion) -> list[float]:
        weights = moved(picture, motion)[0, 0]
        rows, columns = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(61.0) - 30, indexing="ij")
        return [float((weights * axis).sum() / weights.sum()) for axis in (columns, rows)]

    assert place(Motion(zoom=1)) == pytest.approx([11, -4], abs=0.1)
    assert place(Motion(zoom=1.5)) == pytest.approx([16.5, -6], abs=0.3)
    assert place(Motion(zoom=1, shift=(3, -2))) == pytest.approx([14, -6], abs=0.1)
    assert place(Motion(zoom=1, rotate=90)) == pytest.approx([4, 11], abs=0.3)  # clockwise: right becomes down


def test_each_frame_is_the_last_one_moved_and_dreamt_again(network: VGGFeatures) -> None:
    photo, motion, objective = clouds(), Motion(zoom=1.1), LayerActivation({LAYER: 1})
    frames = list(dream_frames(photo, network, objective, QUICK, frames=3, frame_steps=0, motion=motion))
    assert torch.equal(frames[0], dream(photo, network, objective, QUICK))
    torch.testing.assert_close(frames[1], moved(frames[0], motion), atol=1e-5, rtol=0)
    torch.testing.assert_close(frames[2], moved(frames[1], motion), atol=1e-5, rtol=0)
    again = list(dream_frames(photo, network, objective, QUICK, frames=2, frame_steps=2, motion=motion))
    assert activation(network, objective, again[1]) > activation(network, objective, frames[1])


def test_too_little_memory_is_told_before_the_work_with_a_size_that_fits(
    network: VGGFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_pixel = footprint.bytes_per_pixel(network, [LAYER])
    free = int(memory.FIXED + per_pixel * 500 * 400)
    monkeypatch.setattr(memory, "available_bytes", lambda device: free)
    with footprint.enough_memory(network, [LAYER], (500, 400)):
        pass
    with (
        pytest.raises(DeviceError, match=r"not enough memory for 1000 x 800 pixels: .*; --size 496 would fit"),
        footprint.enough_memory(network, [LAYER], (1000, 800)),
    ):
        pytest.fail("the work began")
    with (
        pytest.raises(DeviceError, match=r"not enough memory for 500 x 400 pixels"),
        footprint.enough_memory(network, [LAYER], (500, 400)),
    ):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")


def test_deeper_layers_need_more_memory(network: VGGFeatures) -> None:
    estimates = [footprint.bytes_per_pixel(network, [layer]) for layer in ("relu1_1", "relu2_2", "relu4_3")]
    assert estimates == sorted(estimates)
    # At least the three activations of four channels in float32, of which one is half as wide and high.
    assert estimates[1] > 4 * 4 * (2 + 2 / 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ascent(steps=-1), "steps"),
        (lambda: Ascent(step_size=0), "step size"),
        (lambda: Ascent(jitter=-1), "jitter"),
        (lambda: Ascent(normalization="laplace"), "did you mean 'laplacian'"),
        (lambda: Ascent(max_loss=0), "maximum loss"),
        (lambda: DreamSettings(octaves=0), "at least 1 octave"),
        (lambda: DreamSettings(octave_scale=1), "above 1"),
        (lambda: LayerActivation({}), "at least one layer"),
        (lambda: LayerActivation({LAYER: math.inf}), "at least one layer"),
        (lambda: LayerActivation({LAYER: 0}), "at least one layer"),
        (lambda: Motion(zoom=0), "zoom is above 0"),
        (lambda: Motion(shift=(math.nan, 0)), "finite"),
    ],
)
def test_values_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("channel", [-1, 4])
def test_a_channel_that_is_not_there_is_refused(network: VGGFeatures, channel: int) -> None:
    for objective in (LayerActivation({LAYER: 1}, channel), ChannelActivations(LAYER, [channel])):
        with pytest.raises(OptionError, match=rf"relu3_1 has 4 channels, numbered 0 to 3; got {channel}"):
            dream(clouds(), network, objective, QUICK)
