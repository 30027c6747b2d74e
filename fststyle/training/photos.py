"""A folder of photos -> batches of random crops, the same for the same seed, wherever training starts or resumes.

Batch ``i`` of a run depends on the seed and on ``i`` alone: not on the number of workers, on what was drawn before or
on an interruption in between. That is what makes a resumed run equal to one that was never stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from fststyle.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif"})
LIST_SUFFIX = ".txt"
SMALLEST_SIDE = 64
"""Pixels. A smaller photo has nothing to teach: it is skipped as too small."""
SMALLEST_CROP = 0.5
"""The smallest crop's side over the photo's short side."""
ATTEMPTS = 64
"""So many unreadable photos in a row, and training gives up."""


@dataclass(frozen=True)
class PhotoBatch:
    """``photos`` is uint8 [N, size, size, 3] RGB; ``skipped`` says which files were passed over, and why.

    N is 0 when none of :data:`ATTEMPTS` photos in a row could be used: an error raised in a loader's worker would
    lose its shape on the way, so the training step raises it.
    """

    photos: Tensor
    skipped: tuple[tuple[str, str], ...]

    def pin_memory(self) -> PhotoBatch:
        return PhotoBatch(self.photos.pin_memory(), self.skipped)


def find_photos(folder: Path) -> list[Path]:
    """Every picture file in ``folder`` and below, by suffix, sorted. A text file instead of a folder is a list: a path
    on each line, kept in that order.

    :raises InputError: no such folder, or no picture in it.
    """
    if folder.suffix == LIST_SUFFIX and folder.is_file():
        return _listed_photos(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder of photos {folder}")
    walked = (Path(root, name) for root, _, names in os.walk(folder) for name in names if not name.startswith("."))
    photos = sorted(path for path in walked if path.suffix.lower() in SUFFIXES)
    if not photos:
        raise InputError(f"no photos in {folder}; accepted: {', '.join(sorted(SUFFIXES))}")
    return photos


def _listed_photos(file: Path) -> list[Path]:
    """Paths that are not absolute begin at the list's own folder."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"cannot read the list of photos {file}: {error.strerror or error}") from error
    photos = [file.parent / os.fsdecode(line) for line in lines if line.strip()]
    if not photos:
        raise InputError(f"no photos in the list {file}")
    return photos


def random_crop(path: Path, size: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """A random square of a photo, mirrored every other time, resized to uint8 [size, size, 3] RGB.

    :raises ValueError: the photo is too small. Pillow's own errors come through when it cannot be decoded.
    """
    with Image.open(path) as image:
        if min(image.size) < SMALLEST_SIDE:
            raise ValueError(f"only {image.width} x {image.height} px, at least {SMALLEST_SIDE} needed")
        # Small photos are cropped less, lest the network learns from enlarged ones.
        smallest = max(SMALLEST_CROP, min(1.0, size / min(image.size)))
        share, x, y, mirror = random.uniform(smallest, 1.0), random.random(), random.random(), random.random() < 0.5
        # A JPEG decoder leaves out what a crop of this size will not show: several times faster on large photos.
        ratio = size / (share * min(image.size))
        image.draft("RGB", (int(image.width * ratio), int(image.height * ratio)))
        picture = ImageOps.exif_transpose(image).convert("RGB")
    side = share * min(picture.size)
    left, top = x * (picture.width - side), y * (picture.height - side)
    crop = picture.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side), reducing_gap=2)
    pixels = np.asarray(crop)
    return np.ascontiguousarray(pixels[:, ::-1] if mirror else pixels)


class PhotoBatches(IterableDataset[PhotoBatch]):
    """The batches ``first``, ``first + stride``, ... below ``last`` of a run, split over the workers of a loader."""

    def __init__(
        self, photos: list[Path], *, size: int, batch: int, seed: int, first: int, last: int, stride: int = 1
    ) -> None:
        self.photos = photos
        self.size = size
        self.batch = batch
        self.seed = seed
        self.numbers = range(first, last, stride)

    def __iter__(self) -> Iterator[PhotoBatch]:
        worker = get_worker_info()
        mine = self.numbers if worker is None else self.numbers[worker.id :: worker.num_workers]
        return (self.make(number) for number in mine)

    def make(self, number: int) -> PhotoBatch:
        """Batch ``number``, whatever was made before it."""
        skipped: list[tuple[str, str]] = []
        crops: list[NDArray[np.uint8]] = []
        for sample in range(number * self.batch, (number + 1) * self.batch):
            crop = self._crop(sample, skipped)
            if crop is None:
                return PhotoBatch(torch.empty(0, self.size, self.size, 3, dtype=torch.uint8), tuple(skipped))
            crops.append(crop)
        return PhotoBatch(torch.from_numpy(np.stack(crops)), tuple(skipped))

    def _crop(self, sample: int, skipped: list[tuple[str, str]]) -> NDArray[np.uint8] | None:
        epoch, place = divmod(sample, len(self.photos))
        order = shuffled(self.seed, epoch, len(self.photos))
        random = np.random.default_rng((self.seed, 1, sample))
        for attempt in range(ATTEMPTS):
            path = self.photos[order[(place + attempt) % len(self.photos)]]
            try:
                return random_crop(path, self.size, random)
            except Exception as error:  # a decoder given a damaged file raises whatever it likes
                skipped.append((str(path), str(error)))
        return None


@lru_cache(maxsize=2)  # a batch may lie across two epochs
def shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The numbers below ``count`` in a random order that depends on ``seed`` and ``epoch`` alone."""
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


class Photos(pl.LightningDataModule):
    """Batches for a run of ``steps`` steps that begins, or goes on, at the trainer's global step."""

    def __init__(
        self, folder: Path, *, size: int, batch: int, steps: int, seed: int, workers: int | None = None
    ) -> None:
        super().__init__()
        self.paths = find_photos(folder)
        self.size = size
        self.batch = batch
        self.steps = steps
        self.seed = seed
        self.workers = default_workers() if workers is None else workers

    def train_dataloader(self) -> DataLoader[PhotoBatch]:
        trainer = self.trainer
        rank, world, step = (trainer.global_rank, trainer.world_size, trainer.global_step) if trainer else (0, 1, 0)
        batches = PhotoBatches(
            self.paths,
            size=self.size,
            batch=self.batch,
            seed=self.seed,
            first=step * world + rank,
            last=self.steps * world,
            stride=world,
        )
        return DataLoader(
            batches,
            batch_size=None,  # the data set makes whole batches
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
        )


def default_workers() -> int:
    """One process beside a training on the CPU, which wants the cores for itself; up to eight feed a GPU."""
    return min(8, os.cpu_count() or 1) if torch.cuda.is_available() else 1
