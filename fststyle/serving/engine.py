"""One style's network in ONNX Runtime: arrays of pictures in, arrays of pictures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import DeviceError, InputError, ModelError, OptionError
from fststyle.onnx_metadata import read_onnx_metadata
from fststyle.serving.network_file import INPUT, OUTPUT, STYLES
from fststyle.serving.providers import Device, default_threads, first_line, open_session
from fststyle.styles import parse_metadata

Weights = Sequence[float] | NDArray[np.float32]
MINIMUM_SIDE = 16
"""Pixels. Smaller pictures are padded up to it, and the result is cropped."""


@dataclass
class _Held:
    """What a session holds memory for; shared by all that use the session."""

    shape: Sequence[int] = ()
    pixels: int = 0


class Engine:
    """A loaded network; calling it is safe from several threads at once.

    ``provider`` is the execution provider that ONNX Runtime really uses, ``note`` one line for the user on where that
    is and why, ``metadata`` the JSON object in the file, ``threads`` the number of threads for one picture.
    ``held_pixels`` is the size of the pictures for which memory is kept, until some of another size come. ``weights``
    are those of a palette's styles, empty for a network of one.
    """

    _additional: frozenset[str] = frozenset()
    """Inputs and outputs that a subclass puts into the network it loads."""
    _takes_weights = True
    """Whether a palette's network gets the weights with each picture; a subclass may build them in."""

    def __init__(
        self, model: Path, *, device: Device = "auto", threads: int | None = None, weights: Weights = ()
    ) -> None:
        """Load ``model``; ``threads`` None means as many as the process may use. ``weights`` mix a palette's styles;
        without them it gives the first painting.

        :raises ModelError: the file is damaged, or not a style of fststyle.
        :raises DeviceError: ``device="cuda"`` and the GPU cannot be used; the message says why.
        :raises OptionError: an unknown device, or fewer than one thread.
        """
        if threads is not None and threads < 1:
            raise OptionError(f"threads must be at least 1, got {threads}")
        self.threads = threads or default_threads()
        self.metadata: dict[str, Any] = parse_metadata(read_onnx_metadata(model), model)
        self.weights = self._checked(weights)
        self._session, self.note = open_session(self._network(model), device=device, threads=self.threads)
        self._check_signature(model)
        self.provider: str = self._session.get_providers()[0]
        self._held = _Held()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [N, H, W, 3] RGB in, the same shape out, for any H and W from 1.

        Below 16 pixels a side is continued by its mirror image, edge included, and the result is cropped back.

        :raises InputError: another shape or type.
        :raises DeviceError: there is not enough memory for pictures of that size.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or 0 in images.shape:
            raise InputError(f"expected uint8 [N, H, W, 3], got {images.dtype} {list(images.shape)}")
        height, width = images.shape[1:3]
        down, right = max(0, MINIMUM_SIDE - height), max(0, MINIMUM_SIDE - width)
        if down or right:
            images = np.pad(images, ((0, 0), (0, down), (0, right), (0, 0)), mode="symmetric")
        return self._run(np.ascontiguousarray(images))[:, :height, :width]

    @property
    def held_pixels(self) -> int:
        return self._held.pixels

    def mixed(self, weights: Weights) -> Engine:
        """The same network with other weights of its styles: nothing is loaded for it.

        :raises OptionError: not as many as the network has styles.
        """
        twin = copy(self)
        twin.weights = self._checked(weights)
        return twin

    def _checked(self, weights: Weights) -> NDArray[np.float32]:
        styles = self.metadata.get("styles", ())
        if styles and not len(weights):
            weights = [float(place == 1) for place in range(len(styles))]
        if len(weights) != len(styles):
            raise OptionError(f"the network has {len(styles)} styles to mix, got {len(weights)} weights")
        return np.asarray(weights, np.float32)

    def _inputs(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        return {INPUT: images, STYLES: self.weights} if self._feeds_weights else {INPUT: images}

    @property
    def _feeds_weights(self) -> bool:
        return self._takes_weights and len(self.weights) > 0

    def _network(self, model: Path) -> Path | bytes:
        """What the session is made of."""
        return model

    def _check_signature(self, model: Path) -> None:
        values = [*self._session.get_inputs(), *self._session.get_outputs()]
        own = [value for value in values if value.name not in self._additional]
        if self._feeds_weights:
            own = [value for value in own if value.name != STYLES or value.shape != [len(self.weights)]]
        found = [f"{value.name} {value.type} of rank {len(value.shape)}" for value in own]
        expected = [f"{name} tensor(uint8) of rank 4" for name in (INPUT, OUTPUT)]
        if found != expected:
            raise ModelError(
                f"{model} is not a style's network: expected {', '.join(expected)}; got {', '.join(found)}"
            )

    def _compute(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return run_bound(self._session, self._inputs(images), [OUTPUT], self._run_options(images.shape))[0]

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        try:
            stylized = self._compute(images)
        except Exception as error:  # ONNX Runtime's errors have no common base
            reason = first_line(error)
            if isinstance(error, MemoryError) or "alloc" in reason.lower() or "out of memory" in reason.lower():
                count, height, width, _ = images.shape
                pictures = f"{count} pictures" if count > 1 else "a picture"
                raise DeviceError(
                    f"not enough memory for {pictures} of {width} x {height}; set --max-size or --tile"
                ) from error
            raise ModelError(f"the network failed: {reason}") from error
        return stylized

    def _run_options(self, shape: Sequence[int]) -> Any:
        """Memory stays with the session while pictures keep their size, as in a video, and goes back when it changes.

        Always keeping it is how a server's memory grows to that of its largest picture and beyond; always giving it
        back costs a fifth of the speed on small networks. Two threads that race here only give back once too often or
        too seldom.
        """
        import onnxruntime

        options = onnxruntime.RunOptions()
        self._held.pixels = shape[0] * shape[1] * shape[2]
        if tuple(shape) != self._held.shape:
            self._held.pixels = 0
            device = "cpu:0" if self.provider.startswith("CPU") else "cpu:0;gpu:0"
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", device)
        self._held.shape = tuple(shape)
        return options


def run_bound(
    session: Any, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], options: Any = None
) -> list[NDArray[Any]]:
    """One run with both ends bound: on a GPU, one copy there and one back, whatever the network does in between."""
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    for name in outputs:
        binding.bind_output(name, "cpu")
    session.run_with_iobinding(binding, options)
    found: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
    return found
