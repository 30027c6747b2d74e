"""A network for the frames of one video: its instance norms remember those before."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import InputError, OptionError
from fststyle.serving.engine import Engine, Weights, run_bound
from fststyle.serving.network_file import OUTPUT
from fststyle.serving.norm_statistics import GIVEN, MEMORY, USED, with_norm_statistics
from fststyle.serving.providers import Device
from fststyle.serving.stabilize import CutDetector, block_means


@dataclass
class _Past:
    """What is remembered of the frames before; whoever mixes the styles in another way goes on with it."""

    statistics: NDArray[np.float32]
    is_cut: CutDetector = field(default_factory=CutDetector)


class SteadyEngine(Engine):
    """Takes the frames of one video in order, one at a time, from one thread.

    Means and variances of the instance norms are smoothed exponentially over the frames, so that the tone of the whole
    picture does not jump with what comes into it; a cut begins anew (:class:`~fststyle.serving.stabilize.CutDetector`).
    What :meth:`mixed` gives remembers the same frames, so that the mix may change from one to the next.
    """

    _additional = frozenset({GIVEN, MEMORY, USED})

    def __init__(
        self,
        model: Path,
        *,
        memory: float = 0.7,
        device: Device = "auto",
        threads: int | None = None,
        weights: Weights = (),
    ) -> None:
        """``memory``: weight of the frames before, 0 (none) to below 1; other arguments and errors as
        :class:`~fststyle.serving.engine.Engine`.

        :raises OptionError: ``memory`` is out of range.
        :raises DependencyError: the package onnx is not installed.
        """
        if not 0 <= memory < 1:
            raise OptionError(f"memory must be 0 to below 1, got {memory}")
        self._memory = memory
        self._channels = 0
        super().__init__(model, device=device, threads=threads, weights=weights)
        self._past = _Past(np.zeros((2, self._channels), np.float32))

    def _network(self, model: Path) -> bytes:
        network, self._channels = with_norm_statistics(model)
        return network

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [1, H, W, 3] RGB, the next frame; else as :class:`~fststyle.serving.engine.Engine`."""
        if len(images) != 1:
            raise InputError(f"expected one frame at a time, got {len(images)}")
        return super().__call__(images)

    def _compute(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        past = self._past
        memory = 0.0 if past.is_cut(block_means(images[0])) else self._memory
        inputs: dict[str, NDArray[Any]] = {
            **self._inputs(images),
            GIVEN: past.statistics,
            MEMORY: np.array(memory, np.float32),
        }
        stylized, past.statistics = run_bound(self._session, inputs, [OUTPUT, USED], self._run_options(images.shape))
        return stylized
