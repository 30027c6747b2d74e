"""Networks by name, their layers by the names that people know, and weights that cannot be had."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from fststyle.downloads import Remote
from fststyle.errors import OptionError, WeightsError
from fststyle.nn import inception_networks
from fststyle.nn.feature_networks import (
    FEATURE_NETWORKS,
    find_layer,
    first_kernels,
    has_positions,
    load_network,
    network_layers,
    smallest_side,
)
from fststyle.nn.inception_networks import INCEPTION_NETWORKS, InceptionFeatures
from fststyle.nn.vgg import VGGFeatures
from tests.conftest import FileServer

pytestmark = pytest.mark.usefixtures("private_folders")


@pytest.fixture(scope="module", params=["googlenet", "inception_v3"])
def inception(request: pytest.FixtureRequest) -> torch.nn.Module:
    """torchvision's model with random weights."""
    torch.manual_seed(0)
    model: torch.nn.Module = getattr(torchvision.models, request.param)(weights=None, init_weights=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # not the identity
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
    return model.eval()


def architecture_of(model: torch.nn.Module) -> inception_networks.InceptionArchitecture:
    return INCEPTION_NETWORKS["googlenet" if hasattr(model, "inception3a") else "inception_v3"]


def test_inception_layers_are_those_of_torchvision(inception: torch.nn.Module) -> None:
    """Every layer and branch, against torchvision's own forward on the normalised picture."""
    architecture = architecture_of(inception)
    wanted = [*architecture.layers, *architecture.branches]
    picture = torch.rand(2, 3, 96, 96)
    expected: dict[str, Tensor] = {}
    handles = [
        inception.get_submodule(architecture.place(name)).register_forward_hook(
            lambda module, inputs, output, name=name: expected.__setitem__(name, output)
        )
        for name in wanted
    ]
    with torch.no_grad():
        # As torchvision's weights have it: normalised for ImageNet, and that turned into -1..1 by transform_input.
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        inception.transform_input = True
        inception((picture - mean) / std)
        for handle in handles:
            handle.remove()
        found = InceptionFeatures(architecture, inception.state_dict(), wanted, origin="a test")(picture, wanted)
    assert found.keys() == expected.keys() == set(wanted)
    for name in wanted:
        torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=1e-4)


def test_nothing_beyond_the_deepest_layer_is_kept(inception: torch.nn.Module) -> None:
    architecture = architecture_of(inception)
    layer = architecture.layers[4]
    network = InceptionFeatures(architecture, inception.state_dict(), [layer], origin="a test")
    assert list(network.stages)[-1] == layer
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(network.first_kernels, inception.state_dict()[f"{architecture.layers[0]}.conv.weight"])


def test_other_weights_are_refused(inception: torch.nn.Module) -> None:
    architecture = architecture_of(inception)
    with pytest.raises(WeightsError, match=rf"^a file does not hold the weights of {architecture.name}$"):
        InceptionFeatures(architecture, {"conv.weight": torch.zeros(1)}, architecture.layers, origin="a file")


@pytest.mark.parametrize(
    ("network", "layer", "own"),
    [
        ("vgg16", "relu4_3", "relu4_3"),
        ("vgg19", "ReLU5_4", "relu5_4"),
        ("googlenet", "inception_4c/output", "inception4c"),
        ("googlenet", "mixed4c", "inception4c"),
        ("googlenet", "inception_3b/5x5_reduce", "inception3b/5x5_reduce"),
        ("googlenet", "conv2/3x3", "conv3"),
        ("inception_v3", "mixed0", "Mixed_5b"),
        ("inception_v3", "mixed10", "Mixed_7c"),
        ("inception_v3", "mixed_6e", "Mixed_6e"),
    ],
)
def test_layers_are_found_by_the_names_people_know(network: str, layer: str, own: str) -> None:
    assert find_layer(network, layer) == own


@pytest.mark.parametrize(
    ("network", "layer", "near"),
    [
        ("vgg16", "relu4_4", "relu4_"),
        ("googlenet", "inception_4f", "inception_4"),
        ("inception_v3", "mixed11", "mixed1"),
    ],
)
def test_a_wrong_layer_gets_the_list_and_the_nearest(network: str, layer: str, near: str) -> None:
    with pytest.raises(OptionError) as raised:
        load_network(network, [layer])
    message = str(raised.value)
    assert f"{network} has no layer named {layer!r}; layers: {', '.join(network_layers(network))}" in message
    assert f"; did you mean '{near}" in message


def test_a_wrong_network_gets_the_list_and_the_nearest() -> None:
    with pytest.raises(OptionError, match="'inception'; accepted: vgg16, vgg19, googlenet, inception_v3; did you mean"):
        network_layers("inception")
    assert [len(network_layers(name)) for name in FEATURE_NETWORKS] == [13, 16, 12, 16]


def test_no_layer_at_all_is_refused() -> None:
    with pytest.raises(OptionError, match="no layer of googlenet asked for"):
        load_network("googlenet", [])


def test_vgg_is_the_one_of_training(vgg_file: Path) -> None:
    network = load_network("vgg16", ["RELU1_2"], file=vgg_file)
    assert isinstance(network, VGGFeatures)
    assert first_kernels(network).shape == (64, 3, 3, 3)
    assert smallest_side(network, ["relu1_2"], 5) == 5


def test_the_smallest_side_is_just_enough(inception: torch.nn.Module) -> None:
    architecture = architecture_of(inception)
    layer = architecture.layers[6]
    network = InceptionFeatures(architecture, inception.state_dict(), [layer], origin="a test")
    side = smallest_side(network, [layer], 2)
    assert has_positions(network, [layer], torch.zeros(1, 3, side, side), 2)
    assert not has_positions(network, [layer], torch.zeros(1, 3, side - 1, side), 2)
    assert not has_positions(network, [layer], torch.zeros(1, 3, 4, 4), 1)


def test_a_failure_that_has_nothing_to_do_with_size_is_not_hidden(vgg_file: Path) -> None:
    network = load_network("vgg16", ["relu1_1"], file=vgg_file)
    with pytest.raises(RuntimeError, match="dimension 1"):
        has_positions(network, ["relu1_1"], torch.zeros(1, 5, 9, 9), 1)


def served(model: torch.nn.Module, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """``model`` becomes what its architecture's source has; the file's name."""
    architecture = architecture_of(model)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    prefix = hashlib.sha256(buffer.getvalue()).hexdigest()[:8]
    name = f"{architecture.name}-{prefix}.pth"
    server.files[f"/{name}"] = buffer.getvalue()
    remote = Remote(server.url(f"/{name}"), checksum=f"sha256:{prefix}")
    other = dataclasses.replace(architecture, remote=remote)
    monkeypatch.setitem(INCEPTION_NETWORKS, architecture.name, other)
    return name


def test_weights_are_fetched_once(
    inception: torch.nn.Module, file_server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = served(inception, file_server, monkeypatch)
    architecture = architecture_of(inception)
    layer = architecture.layers[0]
    for _ in range(2):
        kernels = first_kernels(load_network(architecture.name, [layer]))
        assert torch.equal(kernels, inception.state_dict()[f"{layer}.conv.weight"])
    assert len(file_server.requests) == 1
    kept = tmp_path / "cache" / "weights" / name
    other = first_kernels(load_network(architecture.name, [layer], file=kept))
    assert torch.equal(other, kernels)


def test_what_cannot_be_downloaded_is_one_line(
    inception: torch.nn.Module, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = served(inception, file_server, monkeypatch)
    file_server.files.clear()
    architecture = architecture_of(inception)
    with pytest.raises(WeightsError) as raised:
        load_network(architecture.name, architecture.layers[:1])
    message = str(raised.value)
    assert message.startswith(f"no source of {architecture.name} weights worked; tried: (1) the cache")
    assert "HTTP status 404" in message
    assert message.endswith(f"Supply a file with --weights: {name}")
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"no state dict"])
def test_a_file_that_is_no_state_dict_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.pth is not a state dict of torchvision"):
        load_network("googlenet", ["conv1"], file=path)


def test_a_file_that_is_missing_is_told() -> None:
    with pytest.raises(WeightsError, match=r"there is no file nowhere\.pth"):
        load_network("googlenet", ["conv1"], file=Path("nowhere.pth"))
