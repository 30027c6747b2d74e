"""What a training run is told beside its recipe, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LAST = "last.ckpt"


@dataclass(frozen=True)
class Run:
    """Where and how a recipe is trained: what may differ between machines without changing the style.

    ``paintings`` are the files of the painting, or of all styles of a palette in the recipe's order. ``extends`` names
    a palette that is there already: only the last style of the recipe is learnt, and ``paintings`` is its painting.
    ``out`` receives ``last.ckpt``, ``recipe.yaml``, ``samples/`` and TensorBoard's events. ``devices`` is what
    Lightning's Trainer takes: "auto", or a number of GPUs (of processes on the CPU). ``workers`` are the processes
    that read photos (None: by machine), ``compile`` says whether to use ``torch.compile`` (None: in long runs).
    """

    paintings: tuple[Path, ...]
    photos: Path
    out: Path
    accelerator: str = "auto"
    devices: str | int = "auto"
    workers: int | None = None
    vgg_weights: Path | None = None
    compile: bool | None = None
    extends: str = ""
    resume: bool = False
    checkpoint_every: int = 100
    sample_every: int = 250
    quiet: bool = False

    @property
    def checkpoint(self) -> Path:
        return self.out / LAST

    @property
    def skipped_list(self) -> Path:
        return self.out / "skipped_photos.txt"


@dataclass(frozen=True)
class Fitted:
    """What every process of a run returns; with several devices ``main`` is True in one of them.

    ``stopped_by`` is the number of the signal that ended the run early; ``skipped`` maps unusable photos to the
    reason.
    """

    checkpoint: Path
    step: int
    skipped: dict[str, str]
    stopped_by: int | None
    main: bool
