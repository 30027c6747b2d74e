"""A trained checkpoint -> an ONNX file that says what it is, written only if it computes what the network does."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

import fststyle
from fststyle.atomic import atomic_write, check_output, make_folder
from fststyle.errors import ModelError, OptionError, OutputError, ParityError
from fststyle.nn.multi_style_net import AnyNet
from fststyle.nn.networks import MINIMUM_SIDE, parameter_count
from fststyle.styles import METADATA_FORMAT, METADATA_KEY, PALETTE_FORMAT, PHOTO, PREVIEW_KEY
from fststyle.training.checkpoint import load_network
from fststyle.training.onnx_graph import INPUT, OUTPUT, STYLES, PictureNet, on_cpu, to_onnx
from fststyle.training.preview import LONG_SIDE, preview_jpeg
from fststyle.training.recipe import Recipe

PARITY_SHAPES = ((1, 16, 16), (2, 17, 33), (1, 31, 301), (3, 250, 131))
"""Batch, height and width of the pictures that both networks are given."""
LARGEST_DIFFERENCE, WITHIN_ONE = 3, 0.999
"""Limits of parity: steps of 1/255 for any value, and the share of values that are at most one step apart."""


@dataclass(frozen=True)
class Parity:
    """How far the exported network is from torch's: ``largest`` in steps of 1/255, and the share within one step."""

    largest: int
    within_one: float


@dataclass(frozen=True)
class Exported:
    path: Path
    bytes: int
    parity: Parity


def export(
    checkpoint: Path,
    output: Path,
    *,
    force: bool = False,
    figures: Mapping[str, Any] | None = None,
    preview_photo: Path | None = None,
) -> Path:
    """Export the network of a checkpoint to ``output``; see :func:`export_network`.

    :raises InputError: no such checkpoint, or the preview's photo cannot be read.
    :raises ModelError: the checkpoint is damaged or not one of ours.
    """
    _check_output(output, force=force)
    network, recipe = load_network(checkpoint)
    exported = export_network(network, recipe, output=output, force=force, figures=figures, preview_photo=preview_photo)
    return exported.path


def export_network(
    network: AnyNet,
    recipe: Recipe,
    *,
    output: Path,
    force: bool = False,
    figures: Mapping[str, Any] | None = None,
    preview_photo: Path | None = None,
) -> Exported:
    """Write an ONNX file with one input, ``image``, and one output, ``stylized``: uint8 [batch, height, width, 3] RGB.

    Every dimension is free, height and width from 16 pixels. A palette's file has a second input, ``styles``: float32
    weights of the photo itself and then of each style, in the order of ``styles`` in the metadata.

    Beside the network the file carries what :func:`describe` returns, as JSON under ``fststyle``, and a small JPEG in
    base64 under ``fststyle.preview``: what the network makes of ``preview_photo`` or, without one, of a scene drawn by
    this package. A palette's file has one for each style under ``fststyle.preview.NAME``, half as large. ``figures``
    are measurements of the style, of JSON's types.

    The file's bytes are run against ``network`` before they are written, atomically; nothing is written if that fails.

    :raises OptionError: ``output`` does not end in .onnx.
    :raises OutputError: ``output`` exists and ``force`` is False, or cannot be written.
    :raises InputError: the preview's photo cannot be read.
    :raises ModelError: the network holds values that are not finite.
    :raises ParityError: the exported network does not compute what ``network`` does.
    """
    _check_output(output, force=force)
    if not all(torch.isfinite(parameter).all() for parameter in network.parameters()):
        raise ModelError(f"the network of {recipe.name!r} holds values that are not finite; it cannot be exported")
    pictures = on_cpu(network)
    model = to_onnx(pictures)
    model.producer_name, model.producer_version = "fststyle", fststyle.__version__
    model.graph.name = recipe.name
    onnx.helper.set_model_props(
        model,
        {
            METADATA_KEY: json.dumps(describe(network, recipe, figures=figures or {}), ensure_ascii=False),
            **_previews(pictures, recipe, preview_photo),
        },
    )
    content = model.SerializeToString()
    parity = check_parity(content, pictures)
    make_folder(output.parent)
    atomic_write(output, content, overwrite=force)
    return Exported(output, len(content), parity)


def _previews(pictures: PictureNet, recipe: Recipe, photo: Path | None) -> dict[str, str]:
    if not pictures.styles:
        jpegs = {PREVIEW_KEY: preview_jpeg(pictures, photo)}
    else:
        rows = zip(recipe.styles, torch.eye(pictures.styles)[1:], strict=True)
        jpegs = {
            f"{PREVIEW_KEY}.{style.name}": preview_jpeg(pictures, photo, row, side=LONG_SIDE // 2)
            for style, row in rows
        }
    return {key: base64.b64encode(jpeg).decode("ascii") for key, jpeg in jpegs.items()}


def _check_output(output: Path, *, force: bool) -> None:
    """Find out before the work what would keep its result from being written."""
    if output.suffix != ".onnx":
        raise OptionError(f"an exported style's file ends in .onnx, got {output}")
    check_output(output, overwrite=force)
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {output}: {folder} is not a folder that can be written to")


def describe(network: AnyNet, recipe: Recipe, *, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says of itself, in JSON's types. Paths of the machine that trained it are reduced to names."""
    values = recipe.to_dict()
    for part in (values, *values.get("styles", ())):
        for key in {"file", "start"} & part.keys():
            if PurePath(part[key]).is_absolute():
                part[key] = PurePath(part[key]).name
    # A file of several styles has another format, so that a program which would not give their weights refuses it.
    return {
        "format": PALETTE_FORMAT if recipe.styles else METADATA_FORMAT,
        "name": recipe.name,
        "preset": recipe.preset,
        "painting": dataclasses.asdict(recipe.painting),
        **({"styles": [PHOTO, *(style.name for style in recipe.styles)]} if recipe.styles else {}),
        "recipe": values,
        "figures": dict(figures),
        "versions": {"fststyle": fststyle.__version__, "torch": torch.__version__, "onnx": onnx.__version__},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "weights_sha256": weights_digest(network),
        "parameters": parameter_count(network),
        "multiple": network.architecture.multiple,
        "minimum_side": MINIMUM_SIDE,
    }


def weights_digest(network: AnyNet) -> str:
    """SHA-256 of the network's tensors, which an exported file's initialisers of the same names have too.

    For each tensor, sorted by name: the line ``name shape`` (``head.1.weight 3x32x9x9``) and then the values as
    little-endian float32 in C order.
    """
    total = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        total.update(f"{name} {'x'.join(map(str, tensor.shape))}\n".encode())
        total.update(np.ascontiguousarray(tensor.cpu().float().numpy(), dtype="<f4").tobytes())
    return total.hexdigest()


def check_parity(content: bytes, pictures: PictureNet) -> Parity:
    """Run an ONNX file's bytes on the CPU against torch, over odd sizes and batches of noise and of smooth gradients.

    :raises ParityError: another shape or type, or values further apart than the limits above.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    counts = np.zeros(256, dtype=np.int64)
    for images, weights in product(parity_images(), parity_weights(pictures.styles)):
        with torch.no_grad():
            expected = pictures(torch.from_numpy(images), *map(torch.from_numpy, weights)).numpy()
        got = np.asarray(session.run([OUTPUT], {INPUT: images, **dict(zip([STYLES], weights, strict=False))})[0])
        if got.shape != expected.shape or got.dtype != expected.dtype:
            raise ParityError(
                f"the exported network gives {got.dtype} {list(got.shape)} for an image of {list(images.shape)}, "
                f"not {expected.dtype} {list(expected.shape)}"
            )
        difference = np.abs(got.astype(np.int16) - expected)
        counts += np.bincount(difference.ravel(), minlength=256)
    parity = Parity(int(counts.nonzero()[0].max()), float(counts[:2].sum() / counts.sum()))
    if parity.largest > LARGEST_DIFFERENCE or parity.within_one < WITHIN_ONE:
        raise ParityError(
            f"the exported network differs from the trained one by up to {parity.largest}/255, and "
            f"{parity.within_one:.2%} of values are within 1/255; "
            f"accepted: {LARGEST_DIFFERENCE}/255 and {WITHIN_ONE:.1%}"
        )
    return parity


def parity_weights(styles: int) -> Iterator[tuple[NDArray[np.float32], ...]]:
    """What a network takes beside pictures: nothing, or the weights of its styles, of one alone and of a mix of all."""
    if not styles:
        yield ()
        return
    random = np.random.default_rng(1)
    yield (np.eye(styles, dtype=np.float32)[random.integers(styles)],)
    yield (random.dirichlet(np.ones(styles)).astype(np.float32),)


def parity_images() -> Iterator[NDArray[np.uint8]]:
    """uint8 [N, H, W, 3] of every shape in :data:`PARITY_SHAPES`: noise, and gradients in every direction."""
    random = np.random.default_rng(0)
    for batch, height, width in PARITY_SHAPES:
        yield random.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
        directions = random.uniform(-1, 1, (2, batch, 1, 1, 3))
        down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
        slopes = directions[0] * down + directions[1] * across
        yield np.clip(127.5 + 127.5 * slopes, 0, 255).astype(np.uint8)
