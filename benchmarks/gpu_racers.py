"""What runs a network in benchmarks/gpu.py: PyTorch, fststyle's engine, ONNX Runtime within the GPU's memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from in_turn import Racer

from fststyle.serving import providers
from fststyle.serving.network_file import INPUT, OUTPUT
from fststyle.serving.providers import Device, open_session


class Place(NamedTuple):
    """Which network runs where, on pictures of which width and height, and how many of them are one step."""

    model: Path
    preset: str
    size: tuple[int, int]
    device: Device
    frames: int

    def picture(self) -> np.ndarray:
        """uint8 [1, H, W, 3]."""
        width, height = self.size
        return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)


class Torch(Racer):
    def __init__(self, place: Place, *, kind: str = "float16", compiled: bool = False) -> None:
        import torch

        from fststyle.nn.networks import initial_network, preset

        torch.backends.cudnn.benchmark = True
        self.type, self.frames = getattr(torch, kind), place.frames
        self.synchronize = torch.cuda.synchronize if place.device == "cuda" else lambda: None
        network = initial_network(preset(place.preset), 0).eval().to(place.device, self.type)
        self.network = network.to(memory_format=torch.channels_last)
        self.run = torch.compile(self._run, dynamic=False) if compiled else self._run
        self.picture = torch.from_numpy(place.picture()).to(place.device)

    def _run(self, picture: Any) -> Any:
        import torch

        # uint8 [1, H, W, 3], seen as channels first, is channels last already.
        found = self.network(picture.permute(0, 3, 1, 2).to(self.type) / 255)
        return (found.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def step(self) -> None:
        import torch

        with torch.inference_mode():
            for _ in range(self.frames):
                self.run(self.picture)
        self.synchronize()


class OnTheEngine(Racer):
    """fststyle's engine, as ``fststyle.Stylizer`` has it."""

    def __init__(self, place: Place) -> None:
        from fststyle.serving.engine import Engine

        self.engine, self.frames, self.picture = Engine(place.model, device=place.device), place.frames, place.picture()

    def step(self) -> None:
        for _ in range(self.frames):
            self.engine(self.picture)

    def result(self) -> str:
        return self.engine.note


class Bound(Racer):
    def __init__(self, place: Place, options: dict[str, str] | None = None) -> None:
        import onnxruntime

        providers.CUDA_OPTIONS.update(options or {})  # of this process alone
        self.session, self.note = open_session(place.model, device=place.device, threads=providers.default_threads())
        self.frames, picture = place.frames, place.picture()
        value = onnxruntime.OrtValue
        self.given = value.ortvalue_from_numpy(picture, place.device, 0)
        self.made = value.ortvalue_from_shape_and_type(list(picture.shape), np.uint8, place.device, 0)
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input(INPUT, self.given)
        self.binding.bind_ortvalue_output(OUTPUT, self.made)

    def step(self) -> None:
        for _ in range(self.frames):
            self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()

    def result(self) -> str:
        return self.note


class Tried(Racer):
    """Another racer; what it raises is its result, and does not end the race."""

    def __init__(self, make: Callable[[Place], Racer], place: Place) -> None:
        self.failure, self.racer = "", Racer()
        self._try(lambda: setattr(self, "racer", make(place)))

    def step(self) -> None:
        if not self.failure:
            self._try(self.racer.step)

    def result(self) -> tuple[str, str]:
        """Why there is no figure, or nothing; and what the racer says."""
        return self.failure, "" if self.failure else self.racer.result() or ""

    def _try(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:  # a compiler that is missing, memory that is not enough, an option that is none
            self.failure = f"{type(error).__name__}: {providers.first_line(error)}"
