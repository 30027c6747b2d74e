"""One network for several styles: each style is the single network with its rows, and mixes are those of the rows."""

import pytest
import torch
from torch import Tensor, nn

from fststyle.errors import OptionError
from fststyle.nn.fast_net import FastArchitecture
from fststyle.nn.johnson_net import Architecture
from fststyle.nn.layers import StyleNorm
from fststyle.nn.multi_style_net import MultiStyleNet
from fststyle.nn.networks import initial_network
from fststyle.nn.transformer_net import NetworkShape

SHAPES = [Architecture(width=4, blocks=1), FastArchitecture(half=4, quarter=5, trunk=6, blocks=1, fine=1)]
both = pytest.mark.parametrize("shape", SHAPES, ids=["johnson", "fast"])


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 33, 40, generator=torch.Generator().manual_seed(1))


def several(shape: NetworkShape, styles: int = 3) -> MultiStyleNet:
    """Whose styles differ."""
    torch.manual_seed(0)
    network = MultiStyleNet(shape.network(), styles)
    with torch.no_grad():
        for table in network.tables().values():
            table.add_(0.5 * torch.randn(table.shape))
    return network.eval()


@both
@torch.no_grad()
def test_a_one_alone_is_the_single_style(shape: NetworkShape) -> None:
    network, given = several(shape), images()
    for row in torch.eye(3):
        torch.testing.assert_close(network(given, row), network.single(row.tolist())(given))


@both
@torch.no_grad()
def test_every_picture_can_have_a_style_of_its_own(shape: NetworkShape) -> None:
    network, given = several(shape), images(3)
    together = network(given, torch.eye(3)[[2, 0, 1]])
    for picture, style in enumerate([2, 0, 1]):
        alone = network.single(torch.eye(3)[style].tolist())
        torch.testing.assert_close(together[picture], alone(given)[picture], rtol=1e-4, atol=1e-5)


@both
@torch.no_grad()
def test_a_mix_is_the_network_of_the_mixed_rows(shape: NetworkShape) -> None:
    network, weights = several(shape), torch.tensor([0.2, 0.3, 0.5])
    torch.testing.assert_close(network(images(), weights), network.single(weights.tolist())(images()))


@both
def test_the_gradient_reaches_only_the_style_drawn(shape: NetworkShape) -> None:
    network = several(shape)
    network(images(), torch.eye(3)[[2, 2]]).square().mean().backward()
    for table in network.tables().values():
        assert table.grad is not None
        assert not table.grad[:2].any()
        assert table.grad[2].any()


@both
@torch.no_grad()
def test_more_styles_leave_the_old_ones_as_they_were(shape: NetworkShape) -> None:
    network = several(shape)
    larger = network.grown(2)
    assert larger.styles == 5
    for style in range(3):
        assert torch.equal(larger(images(), torch.eye(5)[style]), network(images(), torch.eye(3)[style]))
    for name, table in larger.tables().items():
        torch.testing.assert_close(table[3], network.tables()[name][1:].mean(dim=0))


@both
@torch.no_grad()
def test_it_begins_with_a_network_of_one_style(shape: NetworkShape) -> None:
    network, one = MultiStyleNet(initial_network(shape, 5), 2), initial_network(shape, 5).eval()
    for row in torch.eye(2):
        torch.testing.assert_close(network(images(), row), one(images()))


def test_a_network_of_no_style_is_refused() -> None:
    with pytest.raises(OptionError, match="at least one style, got 0"):
        MultiStyleNet(SHAPES[0].network(), 0)


def test_a_norm_of_one_style_is_torchs() -> None:
    features = torch.randn(2, 5, 7, 6, generator=torch.Generator().manual_seed(2))
    norm = StyleNorm(5)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    theirs = nn.InstanceNorm2d(5, affine=True)
    theirs.load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm(features), theirs(features))
