"""Reading a style's network in order to change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fststyle.errors import DependencyError, ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

NORM = "InstanceNormalization"
INPUT, OUTPUT, STYLES = "image", "stylized", "styles"
"""Names of the networks' inputs and output."""


def read_network(model: Path | bytes, *, purpose: str, extra: str) -> ModelProto:
    """The ONNX network in the file ``model``, or in the bytes of one. ``purpose`` says what needs it, ``extra`` which
    of fststyle's extras brings onnx.

    :raises DependencyError: the package onnx is not installed.
    :raises ModelError: the file cannot be read.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise DependencyError(f'{purpose} needs onnx: pip install "fststyle[{extra}]"') from error

    try:
        return onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(str(model))
    except (OSError, DecodeError) as error:
        named = "the network" if isinstance(model, bytes) else model
        raise ModelError(f"{named} is damaged or not an ONNX file") from error
