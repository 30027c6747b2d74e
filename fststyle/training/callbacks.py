"""What a training shows and how it stops: progress, sample pictures, signals."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from fststyle.atomic import atomic_path
from fststyle.signals import signals_handled
from fststyle.training.module import StyleModule, to_float
from fststyle.training.photos import PhotoBatches, find_photos

SAMPLES = 4


class StopOnSignal(pl.Callback):
    """SIGINT or SIGTERM: end the step that is running, save a checkpoint, stop. ``signal_number`` says which one
    came.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.signal_number: int | None = None

    @contextlib.contextmanager
    def handlers(self) -> Iterator[None]:
        """Catch both signals for as long as the context lasts."""

        def handle(number: int, frame: FrameType | None) -> None:
            self.signal_number = number

        with signals_handled(handle):
            yield

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        # With several devices all have to save together, whichever process the signal reached.
        if trainer.strategy.reduce_boolean_decision(self.signal_number is not None, all=False):
            trainer.should_stop = True
            trainer.save_checkpoint(self.checkpoint)


class SampleGrid(pl.Callback):
    """Every ``every`` steps a PNG with some photos above their stylised selves, in ``folder`` and in TensorBoard."""

    def __init__(self, photos: Path, folder: Path, every: int) -> None:
        self.photos = photos
        self.folder = folder
        self.every = every
        self.images: Tensor | None = None

    @rank_zero_only
    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        step = trainer.global_step
        if self.every and (step % self.every == 0 or step == trainer.max_steps) and isinstance(module, StyleModule):
            grid = self.draw(module)
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(self.folder / f"step_{step:06}.png") as path:
                Image.fromarray(grid).save(path, format="PNG")
            if isinstance(trainer.logger, pl.loggers.TensorBoardLogger):
                trainer.logger.experiment.add_image("samples", grid, step, dataformats="HWC")

    @torch.no_grad()
    def draw(self, module: StyleModule) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """uint8 RGB, squares of size x size: :data:`SAMPLES` across, the photos and below them each style's results."""
        recipe = module.recipe
        if self.images is None:
            batches = PhotoBatches(
                find_photos(self.photos), size=recipe.size, batch=SAMPLES, seed=recipe.seed + 1, first=0, last=1
            )
            self.images = to_float(batches.make(0).photos)
        photos = self.images.to(module.device)
        rows = [photos, *(stylized.float().clamp(0, 1) for stylized in module.samples(photos))]
        grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
        return (grid * 255).round().byte().permute(1, 2, 0).cpu().numpy()


class Progress(pl.Callback):
    """A bar with parts of the loss, photos per second and time left; plain lines where there is no terminal."""

    LINE_SECONDS = 30.0

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar: Bar | None = None
        self.task: Any = None
        self.started = self.spoken = 0.0
        self.first_step = 0

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = self.spoken = time.monotonic()
        self.first_step = trainer.global_step
        if self.console.is_terminal:
            columns = (BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[losses]}"), TimeRemainingColumn())
            self.bar = Bar(TextColumn("training"), *columns, console=self.console)
            self.task = self.bar.add_task("", total=trainer.max_steps, completed=self.first_step, losses="")
            self.bar.start()

    @rank_zero_only
    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: object, batch: Any, batch_index: int
    ) -> None:
        now, step = time.monotonic(), trainer.global_step
        if self.bar is None and now - self.spoken < self.LINE_SECONDS and step < trainer.max_steps:
            return
        self.spoken = now
        done = step - self.first_step
        rate = done / (now - self.started)
        values = {name: value.item() for name, value in trainer.callback_metrics.items()}
        losses = " ".join(f"{name.removeprefix('loss/')} {value:.3f}" for name, value in values.items())
        text = f"{losses} | {rate * len(batch.photos) * trainer.world_size:.1f} photos/s"
        if self.bar is not None:
            self.bar.update(self.task, completed=step, losses=text)
        else:
            left = (trainer.max_steps - step) / rate
            self.console.print(
                f"step {step}/{trainer.max_steps} | {text} | {left / 60:.1f} min left", highlight=False, soft_wrap=True
            )

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    @rank_zero_only
    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._stop()

    @rank_zero_only
    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()
