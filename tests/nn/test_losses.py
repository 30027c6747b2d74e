"""The losses against references written from the papers' equations in NumPy, and the invariances that they promise."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fststyle.errors import OptionError
from fststyle.nn.losses import (
    LossParts,
    LossWeights,
    PerceptualLoss,
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
    total_variation_loss,
    weighted_mean,
)
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weight_files import VGGWeights

Array = NDArray[np.float64]
CONTENT = {"relu2_1": 1.0}
STYLE = {"relu1_1": 1.0, "relu2_1": 3.0}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference_gram(features: Array) -> Array:
    """Gatys et al. (2016), equation 3: G_ij = sum_k F_ik F_jk, here over the number of positions k."""
    batch, channels, height, width = features.shape
    gram = np.zeros((batch, channels, channels))
    for n in range(batch):
        for i in range(channels):
            for j in range(channels):
                gram[n, i, j] = sum(
                    features[n, i, y, x] * features[n, j, y, x] for y in range(height) for x in range(width)
                )
    gram /= height * width
    return gram


def reference_content(features: Array, target: Array) -> float:
    """Equation 1, as a mean, over the variance of the target's channels over space; the mean over the batch."""
    losses = []
    for one, other in zip(features, target, strict=True):
        variance = np.mean([np.var(channel) for channel in other])
        losses.append(np.mean((one - other) ** 2) / variance)
    return float(np.mean(losses))


def reference_style(gram: Array, target: Array) -> float:
    """Equation 4 without its constant: the squared Frobenius distance, over the target's squared norm."""
    targets = np.broadcast_to(target, gram.shape)
    losses = [np.linalg.norm(a - b) ** 2 / np.linalg.norm(b) ** 2 for a, b in zip(gram, targets, strict=True)]
    return float(np.mean(losses))


def reference_variation(images: Array) -> Array:
    """Mahendran and Vedaldi (2015), exponent 2, each direction as a mean over its pairs of neighbours."""
    batch, channels, height, width = images.shape
    result = np.zeros(batch)
    for n in range(batch):
        vertical = [
            (images[n, c, y + 1, x] - images[n, c, y, x]) ** 2 for c, y, x in np.ndindex(channels, height - 1, width)
        ]
        across = [
            (images[n, c, y, x + 1] - images[n, c, y, x]) ** 2 for c, y, x in np.ndindex(channels, height, width - 1)
        ]
        result[n] = np.mean(vertical) + np.mean(across)
    return result


def test_gram_matrix_is_the_papers() -> None:
    features = random(2, 3, 4, 5)
    np.testing.assert_allclose(gram_matrix(features).numpy(), reference_gram(features.numpy()), rtol=1e-12)


def test_content_loss_is_the_papers_over_the_variance() -> None:
    features, target = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    expected = reference_content(features.numpy(), target.numpy())
    assert content_loss(features, target).item() == pytest.approx(expected, rel=1e-6)  # the guard against zero: 1e-8


@pytest.mark.parametrize("targets", [1, 2])
def test_style_loss_is_the_papers_over_the_targets_norm(targets: int) -> None:
    gram, target = random(2, 4, 4), random(targets, 4, 4, seed=1)
    expected = reference_style(gram.numpy(), target.numpy())
    assert style_loss(gram, target).item() == pytest.approx(expected, rel=1e-6)


def test_total_variation_is_the_papers_with_exponent_two() -> None:
    images = random(2, 3, 4, 5)
    np.testing.assert_allclose(total_variation(images).numpy(), reference_variation(images.numpy()), rtol=1e-12)


def test_total_variation_loss_is_over_the_paintings() -> None:
    images = random(2, 3, 4, 5)
    expected = reference_variation(images.numpy()).mean() / 0.25
    got = total_variation_loss(images, torch.tensor(0.25, dtype=torch.float64))
    assert got.item() == pytest.approx(expected, rel=1e-6)


def test_weighted_mean_divides_by_the_sum_of_the_shares() -> None:
    losses = {"a": torch.tensor(2.0), "b": torch.tensor(5.0), "unused": torch.tensor(100.0)}
    assert weighted_mean(losses, {"a": 1.0, "b": 3.0}).item() == pytest.approx((2 + 3 * 5) / 4)


def test_gradients_are_the_functions_own() -> None:
    features, target = random(2, 3, 4, 5).requires_grad_(), random(2, 3, 4, 5, seed=1)
    gram = gram_matrix(random(1, 3, 6, 6, seed=2))
    roughness = torch.tensor(0.3, dtype=torch.float64)
    assert torch.autograd.gradcheck(gram_matrix, features)
    assert torch.autograd.gradcheck(lambda x: content_loss(x, target), features)
    assert torch.autograd.gradcheck(lambda x: style_loss(gram_matrix(x), gram), features)
    assert torch.autograd.gradcheck(lambda x: total_variation_loss(x, roughness), features)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_losses_are_computed_in_full_precision(dtype: torch.dtype) -> None:
    features, target = (random(1, 3, 8, 8, seed=seed).to(dtype) for seed in (0, 1))
    values = [gram_matrix(features), content_loss(features, target), total_variation(features)]
    assert [value.dtype for value in values] == [torch.float32] * 3
    expected = [gram_matrix(features.double()), content_loss(features.double(), target.double())]
    for value, reference in zip(values, expected, strict=False):
        torch.testing.assert_close(value.double(), reference, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_a_gram_matrix_keeps_the_features_precision_and_memory_layout() -> None:
    features = random(2, 4, 6, 5).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(gram_matrix(features).square().sum(), features)
    assert gradient.dtype == torch.bfloat16
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    exact = features.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(gram_matrix(exact).square().sum(), exact)
    torch.testing.assert_close(gradient.double(), expected, rtol=2e-2, atol=2e-2 * expected.abs().max().item())


def test_autocast_does_not_lower_the_precision_of_gram_matrices() -> None:
    features = random(1, 4, 16, 16).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = gram_matrix(features)
    assert torch.equal(gram, gram_matrix(features))


def test_gram_matrix_does_not_know_where_things_are() -> None:
    features = random(1, 3, 6, 7)
    order = torch.randperm(42, generator=torch.Generator().manual_seed(3))
    shuffled = features.flatten(2)[..., order].view_as(features)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features), rtol=1e-12, atol=0)


@pytest.mark.parametrize("times", [(1, 2), (3, 2)])
def test_gram_matrix_of_a_repeated_pattern_does_not_know_how_often(times: tuple[int, int]) -> None:
    features = random(1, 3, 5, 4)
    torch.testing.assert_close(gram_matrix(features.tile(times)), gram_matrix(features), rtol=1e-12, atol=0)


def test_content_loss_is_zero_for_equal_features_only() -> None:
    features = random(1, 3, 4, 5)
    other = features.clone()
    other[0, 1, 2, 3] += 1e-3
    assert content_loss(features, features).item() == 0
    assert content_loss(other, features).item() > 0


def test_content_loss_is_one_for_the_photos_mean() -> None:
    target = random(2, 3, 6, 5)
    mean = target.mean(dim=(2, 3), keepdim=True).expand_as(target)
    assert content_loss(mean, target).item() == pytest.approx(1, rel=1e-6)


def test_style_loss_is_one_for_a_picture_without_features() -> None:
    assert style_loss(torch.zeros(2, 3, 3), gram_matrix(random(1, 3, 4, 5))).item() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("scale", [0.5, 7.0])
def test_losses_have_no_unit(scale: float) -> None:
    features, target = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    assert content_loss(scale * features, scale * target).item() == pytest.approx(
        content_loss(features, target).item(), rel=1e-4
    )
    gram, painting = gram_matrix(features), gram_matrix(target)
    assert style_loss(scale**2 * gram, scale**2 * painting).item() == pytest.approx(
        style_loss(gram, painting).item(), rel=1e-4
    )
    rough = total_variation(target).mean()
    assert total_variation_loss(scale * features, scale**2 * rough).item() == pytest.approx(
        total_variation_loss(features, rough).item(), rel=1e-4
    )


def test_a_uniform_picture_has_no_variation_and_finite_losses() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert total_variation(flat).item() == 0
    assert torch.isfinite(content_loss(flat + 0.1, flat))
    assert torch.isfinite(total_variation_loss(flat, torch.tensor(0.0)))
    assert torch.isfinite(style_loss(torch.ones(1, 3, 3), torch.zeros(1, 3, 3)))


@pytest.mark.parametrize(
    ("content_layers", "style_layers", "content"),
    [
        ({}, {"relu1_1": 1.0}, 1.0),
        ({"relu1_1": 1.0}, {}, 1.0),
        ({"relu1_1": -1.0, "relu1_2": 2.0}, {"relu1_1": 1.0}, 1.0),
        ({"relu1_1": 0.0}, {"relu1_1": 1.0}, 1.0),
        ({"relu1_1": 1.0}, {"relu1_1": 1.0}, -1.0),
    ],
)
def test_weights_that_mean_nothing_are_refused(
    content_layers: dict[str, float], style_layers: dict[str, float], content: float
) -> None:
    with pytest.raises(OptionError, match="at least 0"):
        LossWeights(content_layers, style_layers, content=content, style=1.0, total_variation=0.0)


def perceptual_loss(
    vgg: VGGWeights,
    paintings: Sequence[Tensor],
    *,
    content: float = 1.0,
    style: float = 1.0,
    variation: float = 1.0,
) -> PerceptualLoss:
    weights = LossWeights(CONTENT, STYLE, content=content, style=style, total_variation=variation)
    return PerceptualLoss(VGGFeatures(vgg, [*CONTENT, *STYLE]), weights, paintings)


def evaluate(loss: PerceptualLoss, images: Tensor, photos: Tensor) -> LossParts:
    parts: LossParts = loss(images, loss.content_features(photos))
    return parts


@pytest.fixture
def painting() -> Tensor:
    return random(1, 3, 32, 40, seed=10).float()


@pytest.fixture
def photos() -> Tensor:
    return random(2, 3, 24, 24, seed=11).float()


def test_perceptual_loss_is_made_of_the_functions(narrow_vgg: VGGWeights, painting: Tensor, photos: Tensor) -> None:
    images = random(2, 3, 24, 24, seed=12).float()
    parts = evaluate(perceptual_loss(narrow_vgg, [painting], content=2.0, style=3.0, variation=5.0), images, photos)
    vgg = VGGFeatures(narrow_vgg, ["relu2_1"])
    seen, wanted, target = (
        {name: value.double().numpy() for name, value in vgg(x, STYLE).items()} for x in (images, photos, painting)
    )
    content = reference_content(seen["relu2_1"], wanted["relu2_1"])
    shallow, deep = (
        reference_style(reference_gram(seen[name]), reference_gram(target[name])) for name in ("relu1_1", "relu2_1")
    )
    roughness = reference_variation(images.double().numpy()) / reference_variation(painting.double().numpy())
    assert parts.content.item() == pytest.approx(2 * content, rel=1e-4)
    assert parts.style.item() == pytest.approx(3 * (shallow + 3 * deep) / 4, rel=1e-4)
    assert parts.total_variation.item() == pytest.approx(5 * roughness.mean(), rel=1e-4)


def test_parts_are_named_and_add_up(narrow_vgg: VGGWeights, painting: Tensor, photos: Tensor) -> None:
    named = evaluate(perceptual_loss(narrow_vgg, [painting]), photos, photos).named()
    assert list(named) == ["total", "content", "style", "total_variation"]
    total = sum(named[part].item() for part in ("content", "style", "total_variation"))
    assert named["total"].item() == pytest.approx(total, rel=1e-6)


def test_the_photo_itself_has_no_content_loss(narrow_vgg: VGGWeights, painting: Tensor, photos: Tensor) -> None:
    assert evaluate(perceptual_loss(narrow_vgg, [painting]), photos, photos).content.item() == 0


def test_the_painting_itself_has_no_style_loss(narrow_vgg: VGGWeights, painting: Tensor) -> None:
    parts = evaluate(perceptual_loss(narrow_vgg, [painting]), painting, painting)
    assert parts.style.item() == pytest.approx(0, abs=1e-10)
    assert parts.total_variation.item() == pytest.approx(1, rel=1e-5)


def test_each_weight_scales_its_part_alone(narrow_vgg: VGGWeights, painting: Tensor, photos: Tensor) -> None:
    images = random(2, 3, 24, 24, seed=12).float()
    plain = evaluate(perceptual_loss(narrow_vgg, [painting]), images, photos)
    scaled = evaluate(perceptual_loss(narrow_vgg, [painting], content=2, style=3, variation=0), images, photos)
    assert scaled.content.item() == pytest.approx(2 * plain.content.item(), rel=1e-6)
    assert scaled.style.item() == pytest.approx(3 * plain.style.item(), rel=1e-6)
    assert scaled.total_variation.item() == 0


def test_targets_of_several_pictures_are_averaged(narrow_vgg: VGGWeights, painting: Tensor) -> None:
    other = random(1, 3, 48, 32, seed=13).float()
    both, first, second = (perceptual_loss(narrow_vgg, images) for images in ([painting, other], [painting], [other]))
    for name in ("gram_relu1_1", "gram_relu2_1", "style_variation"):
        mean = (first.get_buffer(name) + second.get_buffer(name)) / 2
        torch.testing.assert_close(both.get_buffer(name), mean)


def test_a_painting_of_a_repeated_pattern_weighs_the_same_at_any_size(narrow_vgg: VGGWeights, photos: Tensor) -> None:
    """Only the outermost pixels see the zero padding of the VGG, so the sizes agree but for a few percent."""
    pattern = random(1, 3, 16, 16, seed=14).float()
    small, large = (
        evaluate(perceptual_loss(narrow_vgg, [pattern.tile(times, times)]), photos, photos) for times in (6, 12)
    )
    assert large.style.item() == pytest.approx(small.style.item(), rel=0.05)
    assert large.total_variation.item() == pytest.approx(small.total_variation.item(), rel=0.05)


def test_the_photos_size_does_not_change_what_style_weighs(narrow_vgg: VGGWeights, painting: Tensor) -> None:
    loss = perceptual_loss(narrow_vgg, [painting])
    pattern = 0.2 * random(1, 3, 16, 16, seed=15).float()
    small, large = (evaluate(loss, pattern.tile(times, times), pattern.tile(times, times)) for times in (6, 12))
    assert large.style.item() == pytest.approx(small.style.item(), rel=0.05)


def test_nothing_of_the_loss_is_saved_or_trained(narrow_vgg: VGGWeights, painting: Tensor) -> None:
    loss = perceptual_loss(narrow_vgg, [painting])
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []


def test_targets_follow_the_module(narrow_vgg: VGGWeights, painting: Tensor) -> None:
    """Buffers, so that a module that moves to a device or a precision takes them along."""
    buffers = {name for name, _ in perceptual_loss(narrow_vgg, [painting]).double().named_buffers(recurse=False)}
    assert buffers == {"style_variation", "gram_relu1_1", "gram_relu2_1"}


def test_content_features_need_no_deeper_layer(narrow_vgg: VGGWeights, painting: Tensor, photos: Tensor) -> None:
    features = perceptual_loss(narrow_vgg, [painting]).content_features(photos)
    assert set(features) == {"relu2_1"}
    assert not features["relu2_1"].requires_grad


def test_the_gradient_reaches_the_image(narrow_vgg: VGGWeights, painting: Tensor, photos: Tensor) -> None:
    images = photos.clone().requires_grad_()
    total = evaluate(perceptual_loss(narrow_vgg, [painting]), images, photos).total
    (gradient,) = torch.autograd.grad(total, images)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().amax(dim=(1, 2, 3)).min() > 0


def test_the_perceptual_gradient_is_right(narrow_vgg: VGGWeights, painting: Tensor) -> None:
    loss = perceptual_loss(narrow_vgg, [painting]).double()
    photo = random(1, 3, 4, 4, seed=16)
    content = loss.content_features(photo)
    image = random(1, 3, 4, 4, seed=17).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, content).total, image)


def test_autocast_keeps_the_parts_close_and_in_full_precision(
    narrow_vgg: VGGWeights, painting: Tensor, photos: Tensor
) -> None:
    loss = perceptual_loss(narrow_vgg, [painting])
    images = random(2, 3, 24, 24, seed=12).float()
    exact = evaluate(loss, images, photos).named()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = evaluate(loss, images, photos).named()
    for name, value in rough.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact[name].item(), rel=0.05)


def test_a_masked_gram_matrix_is_that_of_the_region_alone() -> None:
    features = random(1, 3, 6, 8, seed=18)
    mask = torch.zeros(1, 1, 6, 8, dtype=features.dtype)
    mask[..., 2:5, :4] = 0.5
    torch.testing.assert_close(gram_matrix(features, mask), gram_matrix(features[..., 2:5, :4]))


def test_a_grey_mask_weighs_positions() -> None:
    features, mask = random(1, 3, 4, 5, seed=19), random(1, 1, 4, 5, seed=20).abs()
    flat, shares = features[0].flatten(1).numpy(), (mask / mask.sum()).flatten().numpy()
    expected = np.einsum("ip,jp,p->ij", flat, flat, shares)
    np.testing.assert_allclose(gram_matrix(features, mask)[0].numpy(), expected, rtol=1e-6)


def test_nothing_outside_a_mask_gets_a_gradient_from_the_style(narrow_vgg: VGGWeights, painting: Tensor) -> None:
    loss = perceptual_loss(narrow_vgg, [painting])
    features = {name: random(1, 4, 6, 6, seed=21).float().requires_grad_() for name in STYLE}
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., :3] = 1
    loss.style_part(features, dict.fromkeys(STYLE, mask)).backward()
    for value in features.values():
        assert value.grad is not None
        assert value.grad[..., 3:].abs().max() == 0
        assert value.grad[..., :3].abs().min() > 0
