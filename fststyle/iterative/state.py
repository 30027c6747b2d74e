"""A descent on disk: where it is, and what it was a descent of."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fststyle.atomic import atomic_write
from fststyle.errors import InputError, ModelError
from fststyle.iterative.descent import Position

VERSION = 1


@dataclass(frozen=True)
class Saved:
    """``frames``: the pictures of an animation so far."""

    position: Position
    frames: list[NDArray[np.uint8]]


def describe(settings: Mapping[str, Any], pictures: Mapping[str, NDArray[np.uint8]]) -> dict[str, str]:
    """One text for each setting and each picture, equal where they are equal: what :func:`load_state` compares."""
    texts = {name: json.dumps(value, sort_keys=True) for name, value in settings.items()}
    digests = {
        name: hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
        for name, pixels in pictures.items()
    }
    return texts | digests


def save_state(path: Path, saved: Saved, description: Mapping[str, str]) -> None:
    """:raises OutputError: it cannot be written."""
    position = saved.position
    content = {
        "version": VERSION,
        "description": dict(description),
        "position": {**vars(position), "image": position.image.cpu()},
        "frames": [torch.from_numpy(frame.copy()) for frame in saved.frames],
    }
    buffer = BytesIO()
    torch.save(content, buffer)
    atomic_write(path, buffer.getvalue())


def load_state(path: Path, description: Mapping[str, str], device: torch.device) -> Saved:
    """
    :raises InputError: there is no such file.
    :raises ModelError: it is damaged, or of a descent with other settings or pictures.
    """
    if not path.is_file():
        raise InputError(f"nothing to resume: there is no {path}")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        version, saved_description = content["version"], content["description"]
        position, frames = Position(**content["position"]), [frame.cpu().numpy() for frame in content["frames"]]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path} is damaged or no saved state: {type(error).__name__}") from error
    differing = sorted(
        name for name in {*saved_description, *description} if saved_description.get(name) != description.get(name)
    )
    if version != VERSION or differing:
        raise ModelError(f"{path} is of another run ({', '.join(differing) or 'version'} differ); start afresh")
    return Saved(position, frames)
