"""VGG features: against torchvision's modules, and what is built, run and trained of them."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from fststyle.errors import OptionError
from fststyle.nn.vgg import Pooling, VGGFeatures, check_layers, layer_names, max_of_neighbours, max_pool
from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights

VGG16_BLOCKS = (2, 2, 3, 3, 3)
VGG19_BLOCKS = (2, 2, 4, 4, 4)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 35, 32, generator=torch.Generator().manual_seed(0))


def torchvision_weights(name: str, features: nn.Sequential) -> VGGWeights:
    """The tensors of an untrained network of torchvision under our names."""
    convolutions = [module for module in features if isinstance(module, nn.Conv2d)]
    layers = ARCHITECTURES[name].layers
    tensors = {f"{layer}.weight": conv.weight.detach() for layer, conv in zip(layers, convolutions, strict=True)}
    tensors |= {
        f"{layer}.bias": conv.bias.detach()
        for layer, conv in zip(layers, convolutions, strict=True)
        if conv.bias is not None
    }
    normalization = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return VGGWeights(name, tensors, normalization, "a test", "CC0", "")


@pytest.mark.parametrize(("name", "blocks"), [("vgg16", VGG16_BLOCKS), ("vgg19", VGG19_BLOCKS)])
def test_layers_are_named_by_block_and_place(name: str, blocks: tuple[int, ...]) -> None:
    expected = [f"relu{block}_{place}" for block, count in enumerate(blocks, 1) for place in range(1, count + 1)]
    assert list(layer_names(name)) == expected


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_features_are_torchvisions(name: str, images: Tensor) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # Only the convolutions are made: the classifier would be 0.5 GB of random numbers.
        configuration = torchvision.models.vgg.cfgs["D" if name == "vgg16" else "E"]
        modules = torchvision.models.vgg.make_layers(configuration).eval()
    for module in modules.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=torch.Generator().manual_seed(1))
    weights = torchvision_weights(name, modules)
    names = layer_names(name)
    features = VGGFeatures(weights, names)(images, names)

    normalize = torchvision.transforms.Normalize(weights.normalization.mean, weights.normalization.std)
    expected: dict[str, Tensor] = {}
    order = iter(names)
    current = normalize(images)
    with torch.no_grad():
        for module in modules:
            current = module(current).clone()
            if isinstance(module, nn.ReLU):
                expected[next(order)] = current
    assert list(features) == list(names)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_normalisation_is_inside(narrow_vgg: VGGWeights, images: Tensor) -> None:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.1, 0.2, 0.3), (0.5, 2.0, 0.25)))
    plain = VGGWeights("vgg16", narrow_vgg.tensors, Normalization((0, 0, 0), (1, 1, 1)), "", "", "")
    other = VGGWeights("vgg16", narrow_vgg.tensors, Normalization((0.1, 0.2, 0.3), (0.5, 2.0, 0.25)), "", "", "")
    expected = VGGFeatures(plain, ["relu1_2"])((images - mean) / std, ["relu1_2"])["relu1_2"]
    got = VGGFeatures(other, ["relu1_2"])(images, ["relu1_2"])["relu1_2"]
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(("pooling", "kind"), [("max", nn.MaxPool2d(2)), ("average", nn.AvgPool2d(2))])
def test_pooling_is_of_the_kind_asked_for(
    narrow_vgg: VGGWeights, images: Tensor, pooling: Pooling, kind: nn.Module
) -> None:
    vgg = VGGFeatures(narrow_vgg, ["relu2_1"], pooling=pooling)
    features = vgg(images, ["relu1_2", "relu2_1"])
    weight, bias = narrow_vgg.tensors["conv2_1.weight"], narrow_vgg.tensors["conv2_1.bias"]
    expected = nn.functional.conv2d(kind(features["relu1_2"]), weight, bias, padding=1).relu()
    torch.testing.assert_close(features["relu2_1"], expected)


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_pooling_by_comparisons_is_max_pooling(size: tuple[int, int]) -> None:
    features = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pooled = [max_of_neighbours(max_of_neighbours(features, 2), 3), max_pool(features)]
    torch.testing.assert_close(*pooled, rtol=0, atol=0)
    gradients = [torch.autograd.grad(result.square().sum(), features)[0] for result in pooled]
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_nothing_is_built_beyond_the_deepest_layer(narrow_vgg: VGGWeights) -> None:
    vgg = VGGFeatures(narrow_vgg, ["relu2_1", "relu1_1"])
    tensors = {name.removesuffix("_weight") for name, _ in vgg.named_buffers() if name.endswith("_weight")}
    assert tensors == {"relu1_1", "relu1_2", "relu2_1"}


def test_nothing_is_run_beyond_the_deepest_layer_asked_for(narrow_vgg: VGGWeights) -> None:
    """A picture of 8 pixels has nothing left to pool after the third block, so running on would raise."""
    tiny = torch.rand(1, 3, 8, 8)
    vgg = VGGFeatures(narrow_vgg, ["relu5_1"])
    assert set(vgg(tiny, ["relu3_3"])) == {"relu3_3"}
    with pytest.raises(RuntimeError):
        vgg(tiny, ["relu5_1"])


def test_only_the_layers_asked_for_are_returned(narrow_vgg: VGGWeights, images: Tensor) -> None:
    features = VGGFeatures(narrow_vgg, ["relu1_1", "relu2_2"])(images, ["relu2_2"])
    assert set(features) == {"relu2_2"}
    assert features["relu2_2"].shape == (2, 4, 17, 16)


def test_a_layer_taken_on_the_way_is_not_changed_by_those_behind_it(narrow_vgg: VGGWeights, images: Tensor) -> None:
    vgg = VGGFeatures(narrow_vgg, ["relu3_1"])
    alone, beside = vgg(images, ["relu1_1"]), vgg(images, ["relu1_1", "relu3_1"])
    assert torch.equal(alone["relu1_1"], beside["relu1_1"])


def test_frozen_but_differentiable(narrow_vgg: VGGWeights, images: Tensor) -> None:
    vgg = VGGFeatures(narrow_vgg, ["relu3_3"])
    assert list(vgg.parameters()) == []
    assert vgg.state_dict() == {}
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(vgg(images, ["relu3_3"])["relu3_3"].square().mean(), images)
    assert gradient.abs().sum() > 0


def test_the_input_is_not_changed(narrow_vgg: VGGWeights, images: Tensor) -> None:
    before = images.clone()
    VGGFeatures(narrow_vgg, ["relu2_1"])(images, ["relu2_1"])
    assert torch.equal(images, before)


def test_weights_are_copied(narrow_vgg: VGGWeights) -> None:
    vgg = VGGFeatures(narrow_vgg, ["relu1_1"])
    vgg.get_buffer("relu1_1_weight").zero_()
    assert narrow_vgg.tensors["conv1_1.weight"].abs().sum() > 0


@pytest.mark.parametrize(("layer", "nearest"), [("relu4_4", "relu4_"), ("relu3-3", "relu3_3"), ("Relu3_3", "relu3_3")])
def test_an_unknown_layer_offers_the_nearest(layer: str, nearest: str) -> None:
    with pytest.raises(OptionError, match=f"no layer named '{layer}'.*did you mean '{nearest}"):
        check_layers("vgg16", ["relu1_1", layer])


def test_an_unknown_network_offers_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"'vgg-16'.*did you mean 'vgg16'"):
        layer_names("vgg-16")


def test_no_layer_or_an_unknown_pooling_is_an_error(narrow_vgg: VGGWeights) -> None:
    with pytest.raises(OptionError, match="at least one"):
        VGGFeatures(narrow_vgg, [])
    with pytest.raises(OptionError, match="'max' or 'average', got 'mean'"):
        VGGFeatures(narrow_vgg, ["relu1_1"], pooling="mean")  # type: ignore[arg-type]


def test_circular_padding_sees_the_opposite_edge(narrow_vgg: VGGWeights) -> None:
    """A shift of the picture shifts the features, pooled ones by as much as pooling divides it."""
    vgg = VGGFeatures(narrow_vgg, ["relu3_1"], padding="circular")
    image = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(4))
    plain, shifted = (vgg(x, ["relu1_1", "relu3_1"]) for x in (image, image.roll((4, 8), (2, 3))))
    torch.testing.assert_close(shifted["relu1_1"], plain["relu1_1"].roll((4, 8), (2, 3)))
    torch.testing.assert_close(shifted["relu3_1"], plain["relu3_1"].roll((1, 2), (2, 3)))
