"""Pretrained VGG convolutions as data: what they are, how they are named, and the files they are read from.

Tensors are float32 on the CPU, named ``conv1_1.weight`` ([out, in, height, width], correlation as torch computes it, so
no kernel is flipped) and ``conv1_1.bias`` ([out]); ``conv1_1`` takes its input channels in the order R, G, B.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fststyle.errors import OptionError, OutputError, WeightsError, did_you_mean

METADATA_KEY = "fststyle"


@dataclass(frozen=True)
class Normalization:
    """What the first convolution expects of an RGB image in [0, 1]: ``(image - mean) / std``, channel by channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        values = (*self.mean, *self.std)
        if len(self.mean) != 3 or len(self.std) != 3 or not all(math.isfinite(value) for value in values):
            raise OptionError(f"a normalization has three finite means and three finite stds, not {values}")
        if min(self.std) <= 0:
            raise OptionError(f"a normalization's stds are greater than 0, not {self.std}")


@dataclass(frozen=True)
class VGGArchitecture:
    """The convolutions of a VGG: ``blocks[i][j]`` is the number of output channels of ``conv{i+1}_{j+1}``, all 3 x 3.

    Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", table 1.
    """

    name: str
    blocks: tuple[tuple[int, ...], ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """``conv1_1``, ``conv1_2``, ``conv2_1`` ... in the order of the network."""
        return tuple(f"conv{i}_{j}" for i, block in enumerate(self.blocks, 1) for j in range(1, len(block) + 1))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by name, in the order of the network: the canonical order of :func:`digest`."""
        channels = (3, *(width for block in self.blocks for width in block))
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in zip(self.layers, pairwise(channels), strict=True):
            shapes[f"{layer}.weight"] = (outputs, inputs, 3, 3)
            shapes[f"{layer}.bias"] = (outputs,)
        return shapes

    @property
    def state_dict_indices(self) -> dict[str, int]:
        """N of torchvision's ``features.N`` for every layer: a ReLU follows each convolution, a pooling each block."""
        indices: dict[str, int] = {}
        position = 0
        for i, block in enumerate(self.blocks, 1):
            for j in range(1, len(block) + 1):
                indices[f"conv{i}_{j}"] = position
                position += 2
            position += 1
        return indices


ARCHITECTURES = {
    "vgg16": VGGArchitecture("vgg16", ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)),
    "vgg19": VGGArchitecture("vgg19", ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)),
}


def find_architecture(name: str) -> VGGArchitecture:
    """Raise :class:`~fststyle.errors.OptionError` for an unknown name; the message offers the nearest one."""
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise OptionError(f"no loss network named {name!r}; accepted: {known}{did_you_mean(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]


@dataclass(frozen=True)
class VGGWeights:
    """A VGG's convolutions with everything needed to use and to cite them.

    ``tensors`` are as the module's docstring says; ``sha256`` is their :func:`digest`.
    """

    architecture: str
    tensors: dict[str, Tensor]
    normalization: Normalization
    source: str
    licence: str
    sha256: str


def digest(tensors: Mapping[str, Tensor], architecture: VGGArchitecture) -> str:
    """SHA-256 of the tensors' content, independent of the file that holds them.

    For each tensor in the order of the network: the line ``name shape`` (``conv1_1.weight 64x3x3x3``) and then the
    values as little-endian float32 in C order.
    """
    total = hashlib.sha256()
    for name, shape in architecture.shapes.items():
        total.update(f"{name} {'x'.join(map(str, shape))}\n".encode())
        total.update(tensors[name].detach().contiguous().numpy().astype("<f4", copy=False).tobytes())
    return total.hexdigest()


def checked(tensors: Mapping[str, Tensor], architecture: VGGArchitecture, origin: str) -> dict[str, Tensor]:
    """The tensors as contiguous float32 in the order of the network.

    Raises :class:`~fststyle.errors.WeightsError` if one is missing, has another shape or holds a NaN or an infinity.
    """
    result: dict[str, Tensor] = {}
    for name, shape in architecture.shapes.items():
        if name not in tensors:
            raise WeightsError(f"{origin} holds no {name}: these are not the weights of {architecture.name}")
        tensor = tensors[name].detach().to("cpu", torch.float32).contiguous()
        if tuple(tensor.shape) != shape:
            got = tuple(tensor.shape)
            raise WeightsError(f"{name} in {origin} has shape {got}, but {architecture.name} has {shape}")
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{name} in {origin} holds values that are not finite")
        result[name] = tensor
    return result


def write_safetensors(weights: VGGWeights, path: Path) -> None:
    """Write a file that :func:`read_safetensors` reads; it states its own normalisation, source, licence and digest.

    Raises :class:`~fststyle.errors.OutputError` if it cannot be written.
    """
    about = {
        "architecture": weights.architecture,
        "mean": weights.normalization.mean,
        "std": weights.normalization.std,
        "source": weights.source,
        "licence": weights.licence,
        "sha256": weights.sha256,
    }
    # Views (a channel flip, a slice of a larger file) have to own their memory to be written.
    tensors = {name: tensor.contiguous() for name, tensor in weights.tensors.items()}
    try:
        save_file(tensors, path, metadata={METADATA_KEY: json.dumps(about)})
    except (SafetensorError, OSError) as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error


def read_safetensors(path: Path, architecture: VGGArchitecture) -> VGGWeights:
    """Read what :func:`write_safetensors` wrote.

    Raises :class:`~fststyle.errors.WeightsError` for any other file, another architecture or a wrong digest.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        normalization = Normalization(tuple(about["mean"]), tuple(about["std"]))
        name, source, licence, sha256 = (str(about[key]) for key in ("architecture", "source", "licence", "sha256"))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, OptionError) as error:
        raise WeightsError(f"{path} is not a file of VGG weights written by fststyle: {_reason(error)}") from error
    if name != architecture.name:
        raise WeightsError(f"{path} holds the weights of {name}, not of {architecture.name}")
    tensors = checked(tensors, architecture, str(path))
    actual = digest(tensors, architecture)
    if actual != sha256:
        raise WeightsError(f"{path} is damaged: its content has SHA-256 {actual}, but {sha256} was written")
    return VGGWeights(name, tensors, normalization, source, licence, sha256)


def read_state_dict(path: Path, architecture: VGGArchitecture) -> dict[str, Tensor]:
    """The convolutions of a torchvision state dict (``features.0.weight`` ...), loaded without running pickled code.

    Raises :class:`~fststyle.errors.WeightsError` for any other file and for another network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle ends in whatever its opcodes run into: IndexError, TypeError ...
        raise WeightsError(f"{path} cannot be read as a state dict: {_reason(error)}") from error
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a state dict")
    found: dict[str, Tensor] = {}
    for layer, index in architecture.state_dict_indices.items():
        for kind in ("weight", "bias"):
            tensor = state.get(f"features.{index}.{kind}")
            if isinstance(tensor, Tensor):
                found[f"{layer}.{kind}"] = tensor
    return checked(found, architecture, str(path))


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
