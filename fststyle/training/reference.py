"""The iterative optimiser that a fast network is measured against, as Johnson et al. (2016, section 4.1) do it.

``torch.optim.LBFGS`` with learning rate 1, a history of 100 and no line search goes down the loss that the network was
trained with, one photo at a time, from white noise (each value uniform in 0..1, the same for every photo) or from the
photo itself. One iteration is one evaluation of loss and gradient and one step, so entry ``i`` of a curve is the loss
after ``i`` iterations and entry 0 that of the start.

Departures. Johnson et al. clip the picture to its valid range at every iteration. torch's L-BFGS would not know of
that and take a wrong curvature from it, so nothing is clipped here, and the loss is that of the picture as optimised,
beyond 0..1 where it goes there: a little lower than that of the clipped picture, which favours the optimiser. And the
loss is minimised as a sum over the picture's values instead of a mean: for L-BFGS both are the same, but torch
compares curvature with a fixed 1e-10, which the mean of many pixels is below.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fststyle.atomic import atomic_path, atomic_write, make_folder
from fststyle.cache import cache_folder
from fststyle.errors import InputError, TrainingError
from fststyle.images import load_rgb
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.pixels import noise, to_image, to_pixels

Start = Literal["noise", "photo"]
STARTS: tuple[Start, ...] = ("noise", "photo")
HISTORY = 100
SNAPSHOTS = (100,)
"""Iterations after which the picture is kept, besides the last one."""
_VERSION = 1
"""Of what this module computes: raised when the same settings would give another curve."""

Watch = Callable[[int, float], None]
"""Called after each iteration with its number and the loss that it began with."""


@dataclass(frozen=True)
class Descent:
    """``losses``: by name for the start and after each iteration. ``pictures``: uint8 [H, W, 3] by iteration.
    ``seconds`` is the time of one iteration on ``machine``.
    """

    losses: Sequence[Mapping[str, float]]
    seconds: float
    machine: str
    pictures: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)


def descend(
    loss: PerceptualLoss,
    photo: NDArray[np.uint8],
    start: Start,
    *,
    iterations: int,
    seed: int,
    machine: str,
    bfloat16: bool = False,
    watch: Watch = lambda number, total: None,
) -> Descent:
    """The loss of ``photo``, uint8 [H, W, 3], on the way down; on the device that ``loss`` is on.

    With ``bfloat16`` the VGG's convolutions run in it.

    :raises TrainingError: the loss stopped being finite.
    """
    device = loss.style_variation.device
    content_image = to_image(photo).to(device)
    image = noise((photo.shape[1], photo.shape[0]), seed).to(device) if start == "noise" else content_image.clone()
    image.requires_grad_()
    found: list[dict[str, float]] = []
    pictures: dict[int, NDArray[np.uint8]] = {}

    def losses() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            parts = loss(image.contiguous(memory_format=torch.channels_last), content)
        found.append({name: value.item() for name, value in parts.named().items()})
        if not math.isfinite(found[-1]["total"]):
            raise TrainingError(f"the optimiser's loss is {found[-1]['total']} after {len(found) - 1} iterations")
        total: Tensor = parts.total
        return total

    def closure() -> float:
        image.grad = None
        total = losses() * image.numel()
        total.backward()  # type: ignore[no-untyped-call]
        return total.item()

    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        content = loss.content_features(content_image)
    optimiser = torch.optim.LBFGS(
        [image], lr=1, max_iter=1, history_size=HISTORY, tolerance_grad=0, tolerance_change=0, line_search_fn=None
    )
    started = time.perf_counter()
    for number in range(1, iterations + 1):
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        if number in (*SNAPSHOTS, iterations):
            pictures[number] = to_pixels(image)
        watch(number, found[-1]["total"])
    seconds = (time.perf_counter() - started) / max(1, iterations)
    with torch.no_grad():
        losses()
    return Descent(found, seconds, machine, pictures)


class DescentCache:
    """Descents on disk. They depend on the loss, the photo and the settings, not on any network, so that a network
    that was trained again is measured in seconds.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: by default ``evaluations`` in ``$FSTSTYLE_CACHE`` or the user's cache folder."""
        self.folder = folder or cache_folder() / "evaluations"

    def load(self, key: str) -> Descent | None:
        """None if there is none, or a damaged one."""
        try:
            stored = json.loads(self._file(key).read_text(encoding="utf-8"))
            if stored["version"] != _VERSION:
                return None
            pictures = {number: load_rgb(self._picture(key, number)) for number in stored["pictures"]}
            return Descent(stored["losses"], stored["seconds"], stored["machine"], pictures)
        except (OSError, ValueError, KeyError, TypeError, InputError):
            return None

    def store(self, key: str, descent: Descent) -> None:
        """:raises OutputError: it cannot be written."""
        make_folder(self.folder)
        for number, pixels in descent.pictures.items():
            with atomic_path(self._picture(key, number)) as temporary:
                Image.fromarray(pixels).save(temporary, format="PNG")
        content = {
            "version": _VERSION,
            "losses": [dict(entry) for entry in descent.losses],
            "seconds": descent.seconds,
            "machine": descent.machine,
            "pictures": list(descent.pictures),
        }
        atomic_write(self._file(key), json.dumps(content).encode())

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _picture(self, key: str, number: int) -> Path:
        return self.folder / f"{key}-{number}.png"


def descent_keys(
    loss: PerceptualLoss, painting: NDArray[np.uint8], **settings: Any
) -> Callable[[NDArray[np.uint8]], str]:
    """Gives for a photo the hexadecimal SHA-256 of all that its descent depends on: the VGG's weights, the pictures
    and plain settings. What the photos share is read once.
    """
    shared = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(loss.vgg.named_buffers()):
        shared.update(f"\n{name} {tuple(tensor.shape)}\n".encode())
        shared.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    shared.update(_array_bytes(painting))

    def key(photo: NDArray[np.uint8]) -> str:
        whole = shared.copy()
        whole.update(_array_bytes(photo))
        return whole.hexdigest()

    return key


def _array_bytes(array: NDArray[np.uint8]) -> bytes:
    return f"\n{array.shape}\n".encode() + np.ascontiguousarray(array).tobytes()
