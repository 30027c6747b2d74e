"""Probes: what they share, that they are kept, what they are measured by, and the training that goes on from one."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from fststyle.errors import FststyleError, InputError, OptionError, RecipeError
from fststyle.training import tune
from fststyle.training.checkpoint import load_network
from fststyle.training.evaluate import picture_losses
from fststyle.training.fit import fit, painting_loss
from fststyle.training.grid import Grid
from fststyle.training.painting import style_images
from fststyle.training.photos import find_photos
from fststyle.training.probe_figures import figures, held_out_squares, measure
from fststyle.training.recipe import Recipe
from fststyle.training.run import Fitted, Run
from fststyle.training.tune import HELD_OUT, SETTINGS, TRAINED_ON, Tuning, prepare, train_probes, training

GRID = Grid(style_weights=(2, 8), style_scales=(1, 1.5), steps=2, size=64, count=2)


@pytest.fixture
def tuning(recipe: Recipe, run: Run) -> Tuning:
    return Tuning(replace(recipe, batch=1), run, GRID)


def narrow(tuning: Tuning, **changes: Any) -> Tuning:
    """One scale, for tests that train."""
    return replace(tuning, grid=replace(tuning.grid, style_scales=(1.0,), **changes))


def trained(tuning: Tuning) -> list[str]:
    """What had to be trained."""
    prepare(tuning)
    told: list[str] = []
    assert train_probes(tuning, told.append) is None
    return told


def state(tuning: Tuning, name: str) -> dict[str, torch.Tensor]:
    return load_network(tuning.probe_run(name).checkpoint)[0].state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class StopAt(pl.Callback):
    """SIGINT in the first step."""

    def on_train_batch_start(self, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_probes_are_numbered_as_the_sheet_is_read() -> None:
    assert [(probe.number, probe.style_weight, probe.style_scale) for probe in GRID.probes] == [
        (1, 2, 1),
        (2, 8, 1),
        (3, 2, 1.5),
        (4, 8, 1.5),
    ]
    assert GRID.probe(3).name == "weight_2_scale_1.5"


@pytest.mark.parametrize("number", [0, 5, -1])
def test_a_probe_that_is_not_there_cannot_be_picked(number: int) -> None:
    with pytest.raises(OptionError, match=f"no probe {number}: they are numbered from 1 to 4"):
        GRID.probe(number)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"style_weights": ()}, "style weights: at least one"),
        ({"style_weights": (2, 0)}, "style weights must be above 0, got 0"),
        ({"style_scales": (float("nan"),)}, "style scales must be above 0, got nan"),
        ({"style_scales": (float("inf"),)}, "style scales must be above 0, got inf"),
        ({"style_scales": (1.0, 2.0, 1.0)}, "style scales: 1 is there twice"),
        ({"steps": 0}, "steps of a probe: at least 1, got 0"),
        ({"count": 0}, "photos held out: at least 1, got 0"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Grid(**values)


def test_probes_differ_in_weight_and_scale_alone(tuning: Tuning) -> None:
    recipes = [tuning.probe_recipe(probe) for probe in GRID.probes]
    assert len({recipe.start for recipe in recipes}) == 1
    assert all(replace(entry, style_weight=2.0, style_scale=1.0) == recipes[0] for entry in recipes)
    assert [(entry.style_weight, entry.style_scale) for entry in recipes] == [(2, 1), (8, 1), (2, 1.5), (8, 1.5)]


def test_the_common_start_does_not_depend_on_the_grid(tuning: Tuning) -> None:
    larger = replace(tuning, grid=replace(GRID, style_weights=(1, 2, 8), style_scales=(3.0,)))
    assert larger.start_recipe() == tuning.start_recipe()
    assert tuning.start_recipe().steps == 2 * GRID.steps


def test_smaller_crops_leave_the_painting_as_large_as_it_is_trained_with(tuning: Tuning, painting_file: Path) -> None:
    tuning = replace(tuning, recipe=replace(tuning.recipe, size=128))
    probe = GRID.probe(4)
    short, long = tuning.probe_recipe(probe), training(tuning, probe)[0]
    assert (short.size, long.size) == (64, 128)
    sizes = [style_images(recipe, painting_file)[0].shape for recipe in (short, long)]
    assert sizes[0] == sizes[1]
    assert min(sizes[0][2:]) == 192


def test_crops_are_never_larger_than_those_of_the_training(tuning: Tuning) -> None:
    assert replace(tuning, grid=replace(GRID, size=512)).start_recipe().size == tuning.recipe.size


def test_photos_that_are_shown_are_not_trained_on(tuning: Tuning, photo_folder: Path) -> None:
    prepare(tuning)
    shown, rest = (find_photos(tuning.folder / name) for name in (HELD_OUT, TRAINED_ON))
    assert len(shown) == GRID.count
    assert not set(shown) & set(rest)
    assert {*shown, *rest} == {photo.resolve() for photo in find_photos(photo_folder)}
    lists = {run.photos for _, _, run in tuning.trainings()} | {training(tuning, GRID.probe(1))[1].photos}
    assert lists == {tuning.folder / TRAINED_ON}


def test_photos_of_a_folder_within_are_shown_in_its_order_and_not_trained_on(
    tuning: Tuning, tmp_path: Path, photo_folder: Path
) -> None:
    shutil.copytree(photo_folder, tmp_path / "photos")
    shutil.copytree(photo_folder, tmp_path / "photos" / "shown")
    within = replace(tuning.run, photos=tmp_path / "photos")
    prepare(replace(tuning, run=within, held_out=tmp_path / "photos" / "shown"))
    assert [path.name for path in find_photos(tuning.folder / HELD_OUT)] == ["0.png", "1.png"]
    rest = find_photos(tuning.folder / TRAINED_ON)
    assert len(rest) == 14
    assert (tmp_path / "photos" / "shown" / "0.png").resolve() not in rest


@pytest.mark.parametrize(
    ("count", "size", "message"),
    [(9, 64, "9 photos .* are to be held out, .* has 8"), (2, 80, "at least 80 px .* has 0"), (8, 64, "none is left")],
)
def test_too_few_photos_are_an_input_error(tuning: Tuning, count: int, size: int, message: str) -> None:
    tuning = replace(tuning, grid=replace(GRID, count=count), recipe=replace(tuning.recipe, size=size))
    with pytest.raises(InputError, match=message):
        prepare(tuning)
    assert not tuning.run.out.exists()


def test_a_scale_that_is_too_small_fails_before_anything_is_trained(tuning: Tuning) -> None:
    with pytest.raises(RecipeError, match="raise style_scale or size"):
        prepare(replace(tuning, grid=replace(GRID, style_scales=(1.0, 0.1))))
    assert not tuning.run.out.exists()


def test_a_palette_is_not_tuned(tuning: Tuning) -> None:
    styles = tuple(replace(tuning.recipe, name=name) for name in ("dawn", "dusk"))
    with pytest.raises(OptionError, match="one painting"):
        replace(tuning, recipe=replace(tuning.recipe, file="", styles=styles))


def test_what_is_trained_is_kept_and_a_grid_can_grow(tuning: Tuning) -> None:
    tuning = narrow(tuning)
    assert trained(tuning) == [
        "the start of all probes",
        "probe 1 of 2: weight 2, scale 1",
        "probe 2 of 2: weight 8, scale 1",
    ]
    before = state(tuning, "weight_2_scale_1")
    assert not same(before, state(tuning, "weight_8_scale_1"))
    assert trained(tuning) == []
    assert trained(narrow(tuning, style_weights=(1.0, 2.0, 8.0))) == ["probe 1 of 3: weight 1, scale 1"]
    assert same(before, state(tuning, "weight_2_scale_1"))


def test_a_start_of_ones_own_is_the_start_of_all_probes(tuning: Tuning, tmp_path: Path) -> None:
    own = replace(tuning.run, out=tmp_path / "own")
    checkpoint = fit(tuning.recipe, own).checkpoint
    tuning = narrow(replace(tuning, recipe=replace(tuning.recipe, start=str(checkpoint))))
    assert trained(tuning) == ["probe 1 of 2: weight 2, scale 1", "probe 2 of 2: weight 8, scale 1"]
    assert {tuning.probe_recipe(probe).start for probe in tuning.grid.probes} == {str(checkpoint)}


def test_probes_that_were_stopped_go_on_and_end_as_if_they_had_not_been(
    tuning: Tuning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = narrow(tuning, steps=4)
    straight = replace(tuning, run=replace(tuning.run, out=tmp_path / "straight"))
    trained(straight)

    def stopped_in_a_probe(recipe: Recipe, run: Run, callbacks: Sequence[pl.Callback] = ()) -> Fitted:
        stop = [StopAt()] if run.out.name == "weight_2_scale_1" else []
        return fit(recipe, run, callbacks=[*callbacks, *stop])

    prepare(tuning)
    with monkeypatch.context() as patched:
        patched.setattr(tune, "fit", stopped_in_a_probe)
        stopped = train_probes(tuning, lambda text: None)
    assert stopped is not None
    assert (stopped.stopped_by, stopped.step) == (signal.SIGINT, 1)
    assert trained(tuning) == ["probe 1 of 2: weight 2, scale 1", "probe 2 of 2: weight 8, scale 1"]
    for probe in tuning.grid.probes:
        assert same(state(straight, probe.name), state(tuning, probe.name))


@pytest.mark.parametrize("key", ["seed", "size", "painting", "count"])
def test_probes_with_other_settings_are_not_mixed_in(tuning: Tuning, tmp_path: Path, key: str) -> None:
    prepare(tuning)
    tuning.run.checkpoint.write_bytes(b"a training")
    probe = tuning.probe_run(GRID.probe(1).name)
    probe.out.mkdir()
    probe.checkpoint.write_bytes(b"a probe")
    other = {
        "seed": lambda: replace(tuning, recipe=replace(tuning.recipe, seed=1)),
        "size": lambda: replace(tuning, recipe=replace(tuning.recipe, size=72)),
        "painting": lambda: replace(tuning, run=replace(tuning.run, paintings=(find_photos(tuning.run.photos)[0],))),
        "count": lambda: replace(tuning, grid=replace(GRID, count=1)),
    }[key]()
    with pytest.raises(OptionError, match=rf"other settings \(.*\b{key}\b.* differ\); replace them with --force"):
        prepare(other)
    assert probe.checkpoint.exists()
    prepare(other, force=True)
    assert not probe.checkpoint.exists()
    assert not tuning.run.checkpoint.exists()
    prepare(other)


def test_other_steps_of_the_training_leave_the_probes_alone(tuning: Tuning) -> None:
    prepare(tuning)
    prepare(replace(tuning, recipe=replace(tuning.recipe, steps=77)))


def test_damaged_settings_are_other_settings(tuning: Tuning) -> None:
    prepare(tuning)
    (tuning.folder / SETTINGS).write_text("{")
    with pytest.raises(OptionError, match="other settings"):
        prepare(tuning)


def test_figures_are_those_of_training_at_weight_one(tuning: Tuning, painting_file: Path) -> None:
    tuning = narrow(tuning, style_weights=(8.0,))
    trained(tuning)
    photos = held_out_squares(tuning)
    (found,) = measure(tuning, photos)
    assert found.pictures.shape == photos.shape == (2, 64, 64, 3)
    recipe = tuning.probe_recipe(found.probe)
    loss = painting_loss(recipe, painting_file, tuning.run.vgg_weights)
    weighted = picture_losses(loss, found.pictures[1], photos[1])
    weights = {"content": 1.0, "style": 8.0, "total_variation": recipe.tv_weight}
    for part, weight in weights.items():
        assert found.losses[1][part] == pytest.approx(weighted[part] / weight, rel=1e-5)
        assert found.mean[part] == pytest.approx(np.mean([losses[part] for losses in found.losses]))
    (entry,) = json.loads(json.dumps(figures(tuning, [found])))["probes"]
    assert (entry["number"], entry["style_weight"], entry["style_scale"]) == (1, 8, 1)
    assert entry["style"] == pytest.approx(found.mean["style"])
    assert len(entry["each"]) == 2


def test_the_training_goes_on_from_the_probe_that_was_picked(tuning: Tuning) -> None:
    tuning = narrow(tuning)
    trained(tuning)
    probe = tuning.grid.probe(2)
    recipe, run = training(tuning, probe)
    assert Path(recipe.start).samefile(tuning.probe_run(probe.name).checkpoint)
    assert replace(recipe, start="") == replace(tuning.recipe, style_weight=8.0, style_scale=1.0)
    assert not run.resume
    fit(recipe, run)
    assert training(tuning, probe)[1].resume
    with pytest.raises(OptionError, match="holds another training"):
        training(tuning, tuning.grid.probe(1))
    assert not training(tuning, tuning.grid.probe(1), force=True)[1].resume


def test_a_style_that_came_from_elsewhere_is_not_replaced(tuning: Tuning) -> None:
    tuning.run.out.mkdir()
    tune.output(tuning).write_bytes(b"a style")
    with pytest.raises(FststyleError, match="holds another training"):
        training(tuning, GRID.probe(1))
