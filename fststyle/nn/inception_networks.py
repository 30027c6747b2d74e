"""Frozen Inception networks of torchvision by the names of their layers: GoogLeNet and Inception v3.

Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015) and "Rethinking the Inception Architecture for Computer
Vision" (CVPR 2016).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fststyle.downloads import Remote
from fststyle.errors import WeightsError

_MODELS = "https://download.pytorch.org/models"
# Caffe's names of the parts of a GoogLeNet module, and torchvision's.
_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
_GOOGLENET_MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
_V3_MODULES = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
_V3_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")


@dataclass(frozen=True)
class InceptionArchitecture:
    """``builder`` is torchvision's function; ``stages`` are the model's children in the order in which a picture passes
    them. ``layers`` are those stages that can be asked for; ``branches`` are parts inside them, and ``aliases`` what
    other programs call both: Caffe, TensorFlow and Keras.
    """

    name: str
    builder: str
    remote: Remote
    stages: tuple[str, ...]
    branches: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(stage for stage in self.stages if not stage.startswith("maxpool"))

    @property
    def file_name(self) -> str:
        return self.remote.url.rpartition("/")[2]

    def place(self, layer: str) -> str:
        """Dotted path inside torchvision's model of a layer or a branch."""
        return self.branches.get(layer, layer)


def _googlenet_branches() -> dict[str, str]:
    return {
        f"inception{module}/{caffe}": f"inception{module}.{part}"
        for module in _GOOGLENET_MODULES
        for caffe, part in _BRANCHES.items()
    }


def _googlenet_aliases() -> dict[str, str]:
    aliases = {"conv1/7x7_s2": "conv1", "conv2/3x3_reduce": "conv2", "conv2/3x3": "conv3"}
    for module in _GOOGLENET_MODULES:
        aliases |= dict.fromkeys(
            (f"inception_{module}", f"inception_{module}/output", f"mixed{module}"), f"inception{module}"
        )
        aliases |= {f"inception_{module}/{branch}": f"inception{module}/{branch}" for branch in _BRANCHES}
    return aliases


INCEPTION_NETWORKS = {
    "googlenet": InceptionArchitecture(
        name="googlenet",
        builder="googlenet",
        remote=Remote(f"{_MODELS}/googlenet-1378be20.pth", checksum="sha256:1378be20"),
        stages=(
            *("conv1", "maxpool1", "conv2", "conv3", "maxpool2", "inception3a", "inception3b", "maxpool3"),
            *("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
            *("inception5a", "inception5b"),
        ),
        branches=_googlenet_branches(),
        aliases=_googlenet_aliases(),
    ),
    "inception_v3": InceptionArchitecture(
        name="inception_v3",
        builder="inception_v3",
        remote=Remote(f"{_MODELS}/inception_v3_google-0cc3c7bd.pth", checksum="sha256:0cc3c7bd"),
        stages=(*_V3_STEM[:3], "maxpool1", *_V3_STEM[3:], "maxpool2", *(f"Mixed_{module}" for module in _V3_MODULES)),
        aliases={f"mixed{number}": f"Mixed_{module}" for number, module in enumerate(_V3_MODULES)},
    ),
}


class InceptionFeatures(nn.Module):
    """Activations of a frozen Inception network, after their ReLU; used as :class:`~fststyle.nn.vgg.VGGFeatures` is.

    ``forward`` takes float [N, 3, H, W] RGB images in 0..1 and returns the activations of the ``layers`` asked for, by
    name, each [N, C, H', W']. Nothing beyond the deepest of them is kept or run.
    """

    def __init__(
        self, architecture: InceptionArchitecture, state: Mapping[str, Tensor], layers: Iterable[str], *, origin: str
    ) -> None:
        """``state`` is torchvision's state dict, ``origin`` what messages call the place that it is from; ``layers``
        are names of the architecture, not aliases.

        :raises WeightsError: ``state`` is not one of this architecture.
        """
        super().__init__()
        self.architecture = architecture
        with torch.device("meta"):  # the weights come from ``state``: random ones need not be drawn
            builder = getattr(torchvision.models, architecture.builder)
            model = builder(weights=None, aux_logits=False, transform_input=False, init_weights=False)
        own = {key: value for key, value in state.items() if not key.lower().startswith("aux")}
        try:
            model.load_state_dict(own, assign=True)
        except RuntimeError as error:
            raise WeightsError(f"{origin} does not hold the weights of {architecture.name}") from error
        deepest = max(architecture.stages.index(architecture.place(layer).partition(".")[0]) for layer in layers)
        self.stages = nn.ModuleDict({stage: getattr(model, stage) for stage in architecture.stages[: deepest + 1]})
        self.eval().requires_grad_(False)

    @property
    def first_kernels(self) -> Tensor:
        """[C, 3, height, width]; the first layer's kernels, on R, G and B."""
        return next(parameter for parameter in self.stages.parameters() if parameter.ndim == 4)

    def forward(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        handles = [self._listen(layer, found) for layer in set(layers)]
        try:
            features = 2 * images - 1  # torchvision's "transform_input" undoes its own normalisation to reach this
            for stage in self.stages.values():
                features = stage(features)
                if len(found) == len(handles):
                    break
        finally:
            for handle in handles:
                handle.remove()
        return found

    def _listen(self, layer: str, found: dict[str, Tensor]) -> RemovableHandle:
        def store(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[layer] = output

        return self.stages.get_submodule(self.architecture.place(layer)).register_forward_hook(store)
