"""Networks to look through, by name, with the layer names that people know: vgg16, vgg19, googlenet, inception_v3."""

from __future__ import annotations

import pickle
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from fststyle.downloads import Progress, download, matches
from fststyle.errors import DownloadError, OptionError, OutputError, WeightsError, did_you_mean
from fststyle.nn.vgg import VGGFeatures, layer_names
from fststyle.nn.weight_files import ARCHITECTURES
from fststyle.nn.weights import cache_path, load_vgg_weights

if TYPE_CHECKING:
    from fststyle.nn.inception_networks import InceptionArchitecture, InceptionFeatures

FeatureNetwork: TypeAlias = "VGGFeatures | InceptionFeatures"
FEATURE_NETWORKS = (*ARCHITECTURES, "googlenet", "inception_v3")
_TOO_SMALL = re.compile("Kernel size can't be greater|Output size is too small")
LARGEST_FIELD = 256
"""Pixels; no layer of these networks needs a larger picture to have five positions."""


def network_layers(network: str) -> tuple[str, ...]:
    """The layers of a network, from the picture inwards; raises :class:`~fststyle.errors.OptionError` if there is no
    such network.
    """
    if network in ARCHITECTURES:
        return layer_names(network)
    return _inception(network).layers


def find_layer(network: str, layer: str) -> str:
    """The network's own name of a layer, which may be asked for in any case and as Caffe, TensorFlow or Keras call it:
    of googlenet ``inception_4c/output``, ``mixed4c`` and branches as ``inception_4c/3x3_reduce``; of inception_v3
    ``mixed0`` to ``mixed10``.

    Raises :class:`~fststyle.errors.OptionError` for another name; the message lists the layers and the nearest one.
    """
    layers = network_layers(network)
    known = {name: name for name in layers}
    branches = ""
    if network not in ARCHITECTURES:
        architecture = _inception(network)
        known |= {**{name: name for name in architecture.branches}, **architecture.aliases}
        if architecture.branches:
            branches = f", and branches as {next(iter(architecture.branches))}"
    folded = {name.casefold(): own for name, own in known.items()}
    if layer.casefold() in folded:
        return folded[layer.casefold()]
    raise OptionError(
        f"{network} has no layer named {layer!r}; layers: {', '.join(layers)}{branches}{did_you_mean(layer, known)}"
    )


def load_network(
    network: str, layers: Iterable[str], *, file: Path | None = None, progress: Progress | None = None
) -> FeatureNetwork:
    """A frozen network that gives the activations of ``layers``, with weights from ``file``, the cache or the network's
    source.

    Raises :class:`~fststyle.errors.OptionError` for an unknown network or layer, or none, and
    :class:`~fststyle.errors.WeightsError` if the weights cannot be had; the message lists what was tried.
    """
    wanted = [find_layer(network, layer) for layer in layers]
    if not wanted:
        raise OptionError(f"no layer of {network} asked for; name at least one")
    if network in ARCHITECTURES:
        return VGGFeatures(load_vgg_weights(network, file=file, progress=progress), wanted)
    from fststyle.nn.inception_networks import InceptionFeatures

    architecture = _inception(network)
    state, origin = _inception_state(architecture, file, progress)
    return InceptionFeatures(architecture, state, wanted, origin=origin)


def first_kernels(network: FeatureNetwork) -> Tensor:
    """The kernels of the first layer, [C, 3, height, width], which look at R, G and B."""
    if isinstance(network, VGGFeatures):
        kernels: Tensor = network.get_buffer("relu1_1_weight")
        return kernels
    return network.first_kernels


def has_positions(network: FeatureNetwork, layers: Iterable[str], images: Tensor, positions: int) -> bool:
    """Whether each layer has at least ``positions`` rows and columns on float ``images`` [N, 3, H, W]."""
    try:
        with torch.no_grad():
            features = network(images, layers)
    except RuntimeError as error:
        if not _TOO_SMALL.search(str(error)):
            raise
        return False
    return all(min(layer.shape[2:]) >= positions for layer in features.values())


def smallest_side(network: FeatureNetwork, layers: Iterable[str], positions: int) -> int:
    """The side in pixels of the smallest square on which each layer has at least ``positions`` rows and columns."""
    wanted, device = list(layers), next(network.buffers()).device
    too_small, enough = 0, LARGEST_FIELD
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        fits = has_positions(network, wanted, torch.zeros(1, 3, middle, middle, device=device), positions)
        too_small, enough = (too_small, middle) if fits else (middle, enough)
    return enough


def _inception(network: str) -> InceptionArchitecture:
    if network not in FEATURE_NETWORKS:
        near = did_you_mean(network, FEATURE_NETWORKS)
        raise OptionError(f"no network named {network!r}; accepted: {', '.join(FEATURE_NETWORKS)}{near}")
    from fststyle.nn.inception_networks import INCEPTION_NETWORKS  # torchvision takes a second to import

    return INCEPTION_NETWORKS[network]


def _inception_state(
    architecture: InceptionArchitecture, file: Path | None, progress: Progress | None
) -> tuple[dict[str, Tensor], str]:
    if file is not None:
        if not file.is_file():
            raise WeightsError(f"there is no file {file} to read the weights of {architecture.name} from")
        return _read_state(file), str(file)
    hub = Path(torch.hub.get_dir()) / "checkpoints" / architecture.file_name
    if hub.is_file() and matches(hub, architecture.remote.checksum):
        return _read_state(hub), str(hub)
    folder = cache_path(architecture.name).parent
    try:
        path = download(architecture.remote, folder / architecture.file_name, progress=progress)
        return _read_state(path), str(path)
    except OutputError:  # a cache that cannot be written to is done without
        with tempfile.TemporaryDirectory(prefix="fststyle-") as temporary:
            return _downloaded(architecture, Path(temporary), progress)
    except DownloadError as error:
        raise _unavailable(architecture, error) from error


def _downloaded(
    architecture: InceptionArchitecture, folder: Path, progress: Progress | None
) -> tuple[dict[str, Tensor], str]:
    try:
        path = download(architecture.remote, folder / architecture.file_name, progress=progress)
    except (DownloadError, OutputError) as error:
        raise _unavailable(architecture, error) from error
    return _read_state(path), architecture.remote.url


def _unavailable(architecture: InceptionArchitecture, error: Exception) -> WeightsError:
    return WeightsError(
        f"no source of {architecture.name} weights worked; tried: (1) the cache: no sound "
        f"{cache_path(architecture.name).with_name(architecture.file_name)}; (2) {error}. "
        f"Supply a file with --weights: {architecture.file_name}"
    )


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} is not a state dict of torchvision, or it is damaged") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} is not a state dict of torchvision: it holds a {type(state).__name__}")
    return state
