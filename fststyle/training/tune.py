"""Choosing style weight and scale by eye: short trainings that compare, and one long one that goes on from the best.

All probes of a :class:`~fststyle.training.grid.Grid` begin with the same network and see the same photos in the same
order. That network is trained a little first, with the weight and scale of the recipe, for twice the steps of a probe:
a random network spends its first steps on letting the photo through at all, which is the same for every weight, and a
probe of a hundred steps would show little else. It is no probe itself, so that no probe has more steps than another,
and it does not depend on the grid, so that a grid can grow. A recipe that says where to start needs none.

Probes may use smaller crops than the training that follows. Their scale is raised by as much, so that the painting,
and with it the brush, has the same size in pixels in both.

What was told to a run of probes is kept beside them: with other settings they would not compare, so that is an error.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fststyle.atomic import atomic_write, make_folder
from fststyle.errors import InputError, OptionError
from fststyle.training.checkpoint import read_checkpoint
from fststyle.training.evaluate import middle_square
from fststyle.training.fit import described_as, fit
from fststyle.training.grid import Grid, Probe
from fststyle.training.painting import style_images
from fststyle.training.photos import ATTEMPTS, find_photos, shuffled
from fststyle.training.recipe import Recipe, recipe_from_dict
from fststyle.training.run import LAST, Fitted, Run

PROBES, START = "probes", "start"
SETTINGS, TRAINED_ON, HELD_OUT = "settings.json", "photos.txt", "held_out.txt"
START_FACTOR = 2
"""Steps of the common start over those of a probe."""


@dataclass(frozen=True)
class Tuning:
    """``recipe`` and ``run`` are those of the long training; its folder receives the probes in ``probes``.

    The photos that the probes are judged by come from ``held_out``, the first by name, or are drawn from the run's
    own; either way no probe, nor the training that follows, learns from them.
    """

    recipe: Recipe
    run: Run
    grid: Grid
    held_out: Path | None = None

    def __post_init__(self) -> None:
        if self.recipe.styles:
            raise OptionError(f"one painting is tuned at a time, and {self.recipe.name!r} is a palette")
        _ = [self.probe_recipe(probe) for probe in self.grid.probes]  # checked by Recipe before anything is trained

    @property
    def folder(self) -> Path:
        return self.run.out / PROBES

    @property
    def start(self) -> str:
        """What probes start from. Absolute: it is kept in their recipes."""
        return self.recipe.start or str((self.folder / START / LAST).absolute())

    def start_recipe(self) -> Recipe:
        size = min(self.grid.size, self.recipe.size)
        scale = self.recipe.style_scale * self.recipe.size / size
        return replace(self.recipe, steps=START_FACTOR * self.grid.steps, size=size, style_scale=scale)

    def probe_recipe(self, probe: Probe) -> Recipe:
        """The style loss does not rise step by step again: that is for random networks."""
        common = self.start_recipe()
        return replace(
            common,
            start=self.start,
            steps=self.grid.steps,
            style_rise=0.0,
            style_weight=probe.style_weight,
            style_scale=probe.style_scale * self.recipe.size / common.size,
        )

    def probe_run(self, name: str) -> Run:
        """Goes on with what is there. Never compiled: every probe would be compiled anew."""
        out = self.folder / name
        return replace(
            self.run,
            out=out,
            photos=self.folder / TRAINED_ON,
            resume=(out / LAST).exists(),
            compile=False,
            sample_every=0,
        )

    def trainings(self) -> Iterator[tuple[str, Recipe, Run]]:
        """What it is called, its recipe and its run, in the order in which they are done."""
        if not self.recipe.start:
            yield "the start of all probes", self.start_recipe(), self.probe_run(START)
        for probe in self.grid.probes:
            text = f"probe {probe.number} of {len(self.grid.probes)}: {probe}"
            yield text, self.probe_recipe(probe), self.probe_run(probe.name)

    def settings(self) -> dict[str, Any]:
        """All that probes depend on, but for their weights and scales; of JSON's types."""
        values = self.start_recipe().to_dict()
        return {
            **values,
            "size": self.recipe.size,
            "probe_size": values["size"],
            "painting": hashlib.sha256(self.run.paintings[0].read_bytes()).hexdigest(),
            "photos": str(self.run.photos.resolve()),
            "held_out": str(self.held_out.resolve()) if self.held_out else None,
            "count": self.grid.count,
        }


def prepare(tuning: Tuning, *, force: bool = False) -> None:
    """Choose the photos and make the folder of the probes, or check that it is the one of this ``tuning``; with
    ``force`` one of another is emptied of its trainings, and the long training with it.

    :raises OptionError: the folder holds probes with other settings, and ``force`` is False.
    :raises InputError: the painting or the photos cannot be read, or too few of them.
    :raises RecipeError: a scale makes the painting too small.
    """
    for probe in tuning.grid.probes:
        style_images(tuning.probe_recipe(probe), tuning.run.paintings[0])
    settings, file = tuning.settings(), tuning.folder / SETTINGS
    if file.exists():
        differing = _differing(file, settings)
        if not differing:
            return
        if not force:
            raise OptionError(
                f"{tuning.folder} holds probes with other settings ({', '.join(differing)} differ); "
                "replace them with --force (force=True), or choose another folder"
            )
    held_out, rest = choose_photos(tuning)
    if file.exists():
        for old in (*tuning.folder.glob(f"*/{LAST}"), tuning.run.checkpoint):
            old.unlink(missing_ok=True)
    make_folder(tuning.folder)
    for name, photos in ((HELD_OUT, held_out), (TRAINED_ON, rest)):
        atomic_write(tuning.folder / name, b"".join(os.fsencode(photo) + b"\n" for photo in photos))
    atomic_write(file, json.dumps(settings, indent=1).encode())


def _differing(file: Path, settings: Mapping[str, Any]) -> list[str]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        kept = {}
    return [key for key, value in settings.items() if kept.get(key) != value]


def choose_photos(tuning: Tuning) -> tuple[list[Path], list[Path]]:
    """Absolute paths: those held out, and those to train on.

    :raises InputError: too few can be held out, or none would be left.
    """
    photos = [photo.resolve() for photo in find_photos(tuning.run.photos)]
    folder, count = tuning.held_out or tuning.run.photos, tuning.grid.count
    if tuning.held_out is None:
        order = shuffled(tuning.recipe.seed, 0, len(photos))
        candidates = [photos[number] for number in order]
    else:
        candidates = [photo.resolve() for photo in find_photos(tuning.held_out)]
    chosen: list[Path] = []
    for photo in candidates[: count + ATTEMPTS]:
        if len(chosen) < count and _holds_square(photo, tuning.recipe.size):
            chosen.append(photo)
    if len(chosen) < count:
        raise InputError(
            f"{count} photos of at least {tuning.recipe.size} px a side are to be held out, "
            f"{folder} has {len(chosen)}: lower their count, or name another folder of them"
        )
    rest = [photo for photo in photos if photo not in chosen]
    if not rest:
        raise InputError(
            f"{tuning.run.photos} has {len(photos)} photos, and all are held out: none is left to train on"
        )
    return chosen, rest


def _holds_square(photo: Path, size: int) -> bool:
    try:
        middle_square(photo, size)
    except InputError:
        return False
    return True


def train_probes(tuning: Tuning, tell: Callable[[str], None]) -> Fitted | None:
    """Train what is not trained yet, and ``tell`` of each. What a signal stopped, or None: all are done.

    :raises TrainingError: a loss stopped being finite. Errors of :func:`~fststyle.training.fit.fit` come through.
    """
    for text, recipe, run in tuning.trainings():
        if run.resume and read_checkpoint(run.checkpoint).get("global_step", 0) >= recipe.steps:
            continue
        tell(text)
        fitted = fit(recipe, run)
        if fitted.stopped_by is not None:
            return fitted
    return None


def training(tuning: Tuning, probe: Probe, *, force: bool = False) -> tuple[Recipe, Run]:
    """The long training that goes on from ``probe``, or from its own checkpoint where it was begun already.

    :raises OptionError: the folder holds another training, and ``force`` is False.
    """
    start = tuning.probe_run(probe.name).checkpoint.absolute()
    recipe = replace(tuning.recipe, start=str(start), style_weight=probe.style_weight, style_scale=probe.style_scale)
    run = replace(tuning.run, photos=tuning.folder / TRAINED_ON)
    if run.checkpoint.exists():
        kept = recipe_from_dict(read_checkpoint(run.checkpoint)["recipe"])
        run = replace(run, resume=described_as(kept, recipe) == recipe)
    if not run.resume and not force and (run.checkpoint.exists() or output(tuning).exists()):
        raise OptionError(
            f"{run.out} holds another training; replace it with --force (force=True), or choose another folder"
        )
    return recipe, run


def output(tuning: Tuning) -> Path:
    """The file that the long training is exported to."""
    return tuning.run.out / f"{tuning.recipe.name}.onnx"
