"""The transformer networks: sizes, borders, seeds, and what they are made of."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fststyle.errors import OptionError
from fststyle.nn.fast_net import FastArchitecture
from fststyle.nn.layers import BlockConv2d, ConvNorm, DoublingConv2d, StyleNorm, Upsample, doubled, doubled_along
from fststyle.nn.networks import (
    MINIMUM_SIDE,
    PRESETS,
    Architecture,
    NetworkShape,
    TransformerNet,
    initial_network,
    parameter_count,
    preset,
)

TINY = Architecture(width=4, blocks=1)
FAST = FastArchitecture(half=4, quarter=5, trunk=6, blocks=1, fine=1)
both = pytest.mark.parametrize("architecture", [TINY, FAST], ids=["johnson", "fast"])


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def stylize(network: TransformerNet, images: Tensor) -> Tensor:
    with torch.no_grad():
        stylized: Tensor = network(images)
    return stylized


@given(
    height=st.integers(MINIMUM_SIDE, 70),
    width=st.integers(MINIMUM_SIDE, 70),
    batch=st.integers(1, 2),
    downsampling=st.integers(0, 3),
    kernel=st.sampled_from([1, 3, 9, 15]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_output_has_exactly_the_inputs_size(
    height: int, width: int, batch: int, downsampling: int, kernel: int
) -> None:
    network = initial_network(Architecture(width=2, blocks=1, downsampling=downsampling, kernel=kernel), 0)
    images = random_images(batch, 3, height, width)
    stylized = stylize(network, images)
    assert stylized.shape == images.shape
    assert torch.isfinite(stylized).all()


@given(height=st.integers(MINIMUM_SIDE, 70), width=st.integers(MINIMUM_SIDE, 70), batch=st.integers(1, 2))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_fast_networks_output_too(height: int, width: int, batch: int) -> None:
    images = random_images(batch, 3, height, width)
    stylized = stylize(initial_network(FAST, 0), images)
    assert stylized.shape == images.shape
    assert torch.isfinite(stylized).all()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_takes_the_smallest_picture(name: str) -> None:
    images = random_images(1, 3, MINIMUM_SIDE, MINIMUM_SIDE + 1)
    assert stylize(initial_network(preset(name), 0), images).shape == images.shape


def test_an_unknown_preset_offers_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"no preset named 'qualty'.*did you mean 'quality'"):
        preset("qualty")


@pytest.mark.parametrize(
    ("width", "blocks", "downsampling", "kernel", "message"),
    [
        (0, 5, 2, 9, "width"),
        (8, -1, 2, 9, "blocks"),
        (8, 5, 4, 9, "downsampling"),
        (8, 5, -1, 9, "downsampling"),
        (8, 5, 2, 8, "odd"),
        (8, 5, 2, 17, "below 16"),
    ],
)
def test_an_architecture_that_cannot_work_is_refused(
    width: int, blocks: int, downsampling: int, kernel: int, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        Architecture(width=width, blocks=blocks, downsampling=downsampling, kernel=kernel)


@pytest.mark.parametrize(
    ("half", "quarter", "trunk", "blocks", "fine"),
    [(0, 1, 1, 1, 1), (1, 0, 1, 1, 1), (1, 1, 0, 1, 1), (1, 1, 1, -1, 0), (1, 1, 1, 0, -1)],
)
def test_a_fast_architecture_that_cannot_work_is_refused(
    half: int, quarter: int, trunk: int, blocks: int, fine: int
) -> None:
    with pytest.raises(OptionError, match=r"at least 1 and blocks at least 0, got \(.*\) and \(.*\)"):
        FastArchitecture(half, quarter, trunk, blocks, fine)


@pytest.mark.parametrize("architecture", [Architecture(width=32, blocks=5), TINY], ids=["quality", "tiny"])
def test_parameters_are_those_of_the_layers_in_the_paper(architecture: Architecture) -> None:
    """Johnson et al. (2016), supplementary table 1, without the biases that normalisation takes away again."""
    width, kernel = architecture.width, architecture.kernel
    bottom = width * 2**architecture.downsampling
    stem = 3 * width * kernel**2 + 2 * width
    down = sum(9 * w * 2 * w + 2 * (2 * w) for w in (width, 2 * width))
    blocks = architecture.blocks * 2 * (9 * bottom**2 + 2 * bottom)
    up = sum(9 * 2 * w * w + 2 * w for w in (width, 2 * width))
    head = width * 3 * kernel**2 + 3
    assert parameter_count(architecture.network()) == stem + down + blocks + up + head


@pytest.mark.parametrize(("name", "most"), [("balanced", 450_000), ("realtime", 350_000)])
def test_small_presets_are_small(name: str, most: int) -> None:
    """At four bytes each, and 20 thousand for graph, description and preview, ``realtime`` stays below 1.5 MB."""
    assert parameter_count(preset(name).network()) < most


def test_quality_has_the_names_that_its_files_have() -> None:
    names = list(preset("quality").network().state_dict())
    assert len(names) == 47
    assert names[:4] == ["stem.1.weight", "stem.2.weight", "stem.2.bias", "down.0.1.weight"]
    assert names[9:12] == ["blocks.0.first.1.weight", "blocks.0.first.2.weight", "blocks.0.first.2.bias"]
    assert names[-5:] == [
        "up.1.conv.1.weight",
        "up.1.conv.2.weight",
        "up.1.conv.2.bias",
        "head.1.weight",
        "head.1.bias",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_no_transposed_convolution_and_no_normalisation_over_the_batch(name: str) -> None:
    kinds = {type(module) for module in preset(name).network().modules()}
    assert not kinds & {nn.ConvTranspose2d, nn.BatchNorm2d}


def test_every_convolution_pads_by_reflection() -> None:
    """Zero padding darkens the border of the picture, and the darkness wanders inwards block by block."""
    network = preset("quality").network()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    paddings = [module for module in network.modules() if isinstance(module, nn.ReflectionPad2d)]
    assert all(convolution.padding == (0, 0) for convolution in convolutions)
    assert [padding.padding[0] for padding in paddings] == [
        convolution.kernel_size[0] // 2 for convolution in convolutions
    ]


@both
def test_a_uniform_picture_stays_uniform_to_its_border(architecture: NetworkShape) -> None:
    """No zeros that pad show, and no pixel of a block differs from its neighbours: there is no grid to unlearn."""
    network = initial_network(architecture, 0)
    for module in network.modules():
        if isinstance(module, StyleNorm):
            module.eps = 1.0  # a norm of next to no variance makes 300 times as much of a rounding error
    stylized = stylize(network, torch.full((1, 3, 33, 50), 0.3))
    spread = stylized.amax(dim=(2, 3)) - stylized.amin(dim=(2, 3))
    assert spread.max() < 1e-4


@both
def test_a_periodic_picture_is_stylised_periodically_away_from_its_border(architecture: NetworkShape) -> None:
    """Moving by the network's multiple moves the result; the border's reach is a few dozen pixels."""
    stripes = random_images(1, 3, 16, 16).tile(1, 1, 12, 12)
    network = initial_network(architecture, 0)
    inner = stylize(network, stripes)[..., 64:-64, 64:-64]
    torch.testing.assert_close(inner[..., 16:, :], inner[..., :-16, :], rtol=0, atol=1e-4)
    torch.testing.assert_close(inner[..., 16:], inner[..., :-16], rtol=0, atol=1e-4)


def test_upsampling_prints_no_checkerboard() -> None:
    """The average over a uniform field is the same for all four pixels that come from one: kernels overlap evenly."""
    layer = Upsample(3, 5)
    with torch.no_grad():
        enlarged = layer.conv[1](layer.conv[0](nn.functional.interpolate(torch.ones(1, 3, 6, 7), scale_factor=2.0)))
    torch.testing.assert_close(enlarged, enlarged[..., :1, :1].expand_as(enlarged))


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
def test_doubling_by_sums_is_bilinear_doubling(size: tuple[int, int]) -> None:
    features = random_images(2, 3, *size).double().requires_grad_()
    sums, interpolated = doubled_along(doubled_along(features, 2), 3), doubled(features)
    torch.testing.assert_close(sums, interpolated)
    upstream = random_images(*sums.shape, seed=1).double()
    gradients = [torch.autograd.grad(result, features, upstream)[0] for result in (sums, interpolated)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_by_blocks_is_the_convolution(block: int, bias: bool) -> None:
    blocked = BlockConv2d(5, 3, 9, block)
    if not bias:
        blocked.bias = None
    features = random_images(2, 5, 8 + 16, 8 + 12)
    with torch.no_grad():
        expected = nn.functional.conv2d(features, blocked.weight, blocked.bias)
        torch.testing.assert_close(blocked(features), expected, rtol=1e-5, atol=1e-5)


def test_a_convolution_of_the_doubled_map_is_that_of_the_doubled_map() -> None:
    """But for two pixels at the edges, where the map is continued by zeros and not by what doubling makes there."""
    layer = DoublingConv2d(5, 3)
    features = random_images(2, 5, 6, 9)
    with torch.no_grad():
        expected = nn.functional.conv2d(doubled(features), layer.weight, layer.bias)
        found = layer(features)
    assert found.shape == (2, 3, 12, 18)
    torch.testing.assert_close(found[..., 2:-2, 2:-2], expected[..., 1:-1, 1:-1], rtol=1e-5, atol=1e-5)


def test_the_fast_networks_end_is_one_convolution_at_full_resolution() -> None:
    """Of the doubled features beside the picture, but for the two pixels that see zeros."""
    network = initial_network(FAST, 0)
    half, picture = random_images(1, 4, 12, 14), random_images(1, 3, 26, 30, seed=1)
    beside = torch.cat([doubled(half), picture[..., 1:-1, 1:-1]], dim=1)
    with torch.no_grad():
        kernel = torch.cat([network.get_parameter("head.weight"), network.get_parameter("detail.weight")], dim=1)
        expected = nn.functional.conv2d(beside, kernel, network.get_parameter("head.bias")) / 4 + 0.5
        found = network._pixels(half, picture)  # type: ignore[operator]
    assert found.shape == (1, 3, 24, 28)
    torch.testing.assert_close(found[..., 2:-2, 2:-2], expected[..., 1:-1, 1:-1], rtol=1e-5, atol=1e-5)


@both
def test_pictures_of_a_batch_do_not_know_each_other(architecture: NetworkShape) -> None:
    network = initial_network(architecture, 0)
    images = random_images(3, 3, 20, 24)
    alone = torch.cat([stylize(network, image[None]) for image in images])
    torch.testing.assert_close(stylize(network, images), alone, rtol=0, atol=1e-5)


@both
def test_training_and_evaluation_compute_the_same(architecture: NetworkShape) -> None:
    network = initial_network(architecture, 0)
    images = random_images(1, 3, 20, 24)
    assert torch.equal(stylize(network.train(), images), stylize(network.eval(), images))


def test_flat_areas_are_normalised_without_blowing_up() -> None:
    stem = ConvNorm(3, 4, 9)
    with torch.no_grad():
        assert torch.isfinite(stem(torch.zeros(1, 3, 16, 16))).all()


def test_the_start_depends_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = initial_network(TINY, 1).state_dict()
    torch.manual_seed(6)
    again, other = initial_network(TINY, 1).state_dict(), initial_network(TINY, 2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.1.weight"], other["stem.1.weight"])


def test_making_a_network_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    initial_network(TINY, 1)
    assert torch.equal(torch.rand(3), expected)


@both
def test_every_parameter_learns(architecture: NetworkShape) -> None:
    network = initial_network(architecture, 0)
    loss = (network(random_images(1, 3, 18, 22)) - random_images(1, 3, 18, 22, seed=1)).square().mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
