"""A network for the frames of one video: its instance norms remember those before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import InputError, OptionError
from fststyle.serving.engine import Engine, Weights, run_bound
from fststyle.serving.mixed_network import mixed_network
from fststyle.serving.network_file import INPUT, OUTPUT
from fststyle.serving.norm_statistics import GIVEN, MEMORY, USED, with_norm_statistics
from fststyle.serving.providers import Device
from fststyle.serving.stabilize import CutDetector, block_means


class SteadyEngine(Engine):
    """Takes the frames of one video in order, one at a time, from one thread.

    Means and variances of the instance norms are smoothed exponentially over the frames, so that the tone of the whole
    picture does not jump with what comes into it; a cut begins anew (:class:`~fststyle.serving.stabilize.CutDetector`).
    """

    _additional = frozenset({GIVEN, MEMORY, USED})
    _takes_weights = False

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
        self._is_cut = CutDetector()
        self._channels = 0
        super().__init__(model, device=device, threads=threads, weights=weights)
        self._statistics: NDArray[np.float32] = np.zeros((2, self._channels), np.float32)

    def _network(self, model: Path) -> bytes:
        network, self._channels = with_norm_statistics(mixed_network(model, self.weights))
        return network

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [1, H, W, 3] RGB, the next frame; else as :class:`~fststyle.serving.engine.Engine`."""
        if len(images) != 1:
            raise InputError(f"expected one frame at a time, got {len(images)}")
        return super().__call__(images)

    def _compute(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        memory = 0.0 if self._is_cut(block_means(images[0])) else self._memory
        inputs: dict[str, NDArray[Any]] = {
            INPUT: images,
            GIVEN: self._statistics,
            MEMORY: np.array(memory, np.float32),
        }
        stylized, self._statistics = run_bound(self._session, inputs, [OUTPUT, USED], self._run_options(images.shape))
        return stylized
