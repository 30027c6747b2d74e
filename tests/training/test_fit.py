"""Training runs: what they leave behind, that a resumed one equals a straight one, and how they end when they must."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from fststyle.errors import DependencyError, InputError, ModelError, TrainingError
from fststyle.nn import networks
from fststyle.nn.stability_loss import moved
from fststyle.styles import Painting
from fststyle.training import fit as fit_module
from fststyle.training.checkpoint import load_network
from fststyle.training.fit import compiling, fit, resolve_precision, starting_network
from fststyle.training.module import Later, StyleModule
from fststyle.training.recipe import Precision, Recipe, read_recipe
from fststyle.training.run import Run


class AtStep(pl.Callback):
    """Does something once, after a given step."""

    def __init__(self, step: int, action: Callable[[StyleModule], None]) -> None:
        self.step = step
        self.action = action

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: object, index: int) -> None:
        if trainer.global_step == self.step and isinstance(module, StyleModule):
            self.action(module)


def interfere(monkeypatch: pytest.MonkeyPatch, callback: pl.Callback) -> None:
    """Add a callback to the trainer that ``fit`` makes."""
    make = fit_module._trainer

    def with_callback(recipe: Recipe, run: Run, stop: fit_module.StopOnSignal) -> pl.Trainer:
        trainer = make(recipe, run, stop)
        trainer.callbacks.insert(0, callback)  # type: ignore[attr-defined]
        return trainer

    monkeypatch.setattr(fit_module, "_trainer", with_callback)


def state(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_network(checkpoint)[0].state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_checkpoint_recipe_samples_and_events(recipe: Recipe, run: Run) -> None:
    fitted = fit(recipe, run)
    assert (fitted.step, fitted.stopped_by, fitted.skipped) == (6, None, {})
    assert read_recipe(run.out / "recipe.yaml") == recipe
    assert load_network(fitted.checkpoint)[1] == recipe
    assert [path.name for path in sorted((run.out / "samples").iterdir())] == ["step_000003.png", "step_000006.png"]
    assert list((run.out / "tensorboard").glob("events*"))


def test_training_changes_the_network_and_lowers_the_loss(recipe: Recipe, run: Run, photo_folder: Path) -> None:
    recipe = replace(recipe, steps=30, learning_rate=5e-3)
    loss = fit_module.painting_loss(recipe, run.paintings[0], run.vgg_weights)
    photos = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def total(network: networks.TransformerNet) -> float:
        with torch.no_grad():
            return float(StyleModule(recipe, network, loss).losses(photos)[0].total)

    before = total(starting_network(recipe))
    assert total(load_network(fit(recipe, run).checkpoint)[0]) < 0.7 * before


def test_a_style_that_is_asked_to_keep_still_does(recipe: Recipe, run: Run) -> None:
    recipe = replace(recipe, steps=30, learning_rate=5e-3)
    loss = fit_module.painting_loss(recipe, run.paintings[0], run.vgg_weights)
    photos = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    offset = torch.tensor([1, 1])

    def unstable(weight: float) -> float:
        asked = replace(recipe, stability_weight=weight)
        network, _ = load_network(fit(asked, replace(run, out=run.out / str(weight))).checkpoint)
        module = StyleModule(asked, network.float(), loss)
        with torch.no_grad():
            return module.losses(photos, Later(moved(photos, offset), offset))[1].item()

    assert unstable(10.0) < 0.7 * unstable(0.0)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_gradient_that_the_optimiser_gets_is_as_long_as_the_recipe_lets_it_be(
    recipe: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    lengths: list[float] = []

    def measure(module: StyleModule) -> None:  # the gradient of the step before is still there
        gradients = [value.grad for value in module.network.parameters() if value.grad is not None]
        lengths.append(float(torch.linalg.vector_norm(torch.cat([gradient.flatten() for gradient in gradients]))))

    interfere(monkeypatch, AtStep(3, measure))
    fit(replace(recipe, gradient_clip=1e-4, precision=precision), run)
    assert lengths == pytest.approx([1e-4], rel=1e-3)


def test_the_recipe_alone_decides_the_result(recipe: Recipe, run: Run) -> None:
    first = state(fit(recipe, run).checkpoint)
    assert same(first, state(fit(recipe, replace(run, out=run.out / "again")).checkpoint))
    assert not same(first, state(fit(replace(recipe, seed=1), replace(run, out=run.out / "other")).checkpoint))


@pytest.mark.parametrize(("number", "stability"), [(signal.SIGINT, 0.0), (signal.SIGTERM, 0.0), (signal.SIGTERM, 1.0)])
def test_a_run_stopped_by_a_signal_and_resumed_ends_bit_identical(
    recipe: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, stability: float
) -> None:
    recipe = replace(recipe, stability_weight=stability)
    straight = state(fit(recipe, replace(run, out=run.out / "straight")).checkpoint)
    with monkeypatch.context() as patched:
        interfere(patched, AtStep(2, lambda _: os.kill(os.getpid(), number)))
        stopped = fit(recipe, run)
    assert (stopped.step, stopped.stopped_by) == (3, number)
    resumed = fit(recipe, replace(run, resume=True))
    assert resumed.step == recipe.steps
    assert same(straight, state(resumed.checkpoint))


def test_signals_mean_what_they_meant_before_when_training_is_over(recipe: Recipe, run: Run) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fit(recipe, run)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_loss_that_is_not_finite_stops_and_the_last_good_checkpoint_stays(
    recipe: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(module: StyleModule) -> None:
        with torch.no_grad():
            next(module.network.parameters()).fill_(float("nan"))

    interfere(monkeypatch, AtStep(4, spoil))
    with pytest.raises(TrainingError, match="not finite at step 4"):
        fit(recipe, run)
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == 4
    assert all(tensor.isfinite().all() for tensor in state(run.checkpoint).values())


def test_unusable_photos_are_listed(recipe: Recipe, run: Run, tmp_path: Path, photo_folder: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in photo_folder.iterdir():
        (mixed / path.name).write_bytes(path.read_bytes())
    (mixed / "broken.jpg").write_bytes(b"rubbish")
    fitted = fit(recipe, replace(run, photos=mixed))
    assert list(fitted.skipped) == [str(mixed / "broken.jpg")]
    assert "broken.jpg" in run.skipped_list.read_text()


def test_photos_that_are_all_unusable_end_training(recipe: Recipe, run: Run, tmp_path: Path) -> None:
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "rubbish" / "a.jpg").write_bytes(b"rubbish")
    with pytest.raises(TrainingError, match="in a row cannot be used"):
        fit(recipe, replace(run, photos=tmp_path / "rubbish"))


def test_a_run_can_start_from_the_network_of_another(recipe: Recipe, run: Run) -> None:
    checkpoint = fit(recipe, run).checkpoint
    following = replace(recipe, name="next", start=str(checkpoint))
    assert same(starting_network(following).state_dict(), state(checkpoint))


def test_a_start_of_another_preset_is_refused(recipe: Recipe, run: Run) -> None:
    checkpoint = fit(recipe, run).checkpoint
    with pytest.raises(ModelError, match="not of preset 'balanced'"):
        starting_network(replace(recipe, preset="balanced", start=str(checkpoint)))


def test_resuming_needs_a_checkpoint(recipe: Recipe, run: Run) -> None:
    with pytest.raises(InputError, match=r"no checkpoint .*last\.ckpt"):
        fit(recipe, replace(run, resume=True))


def test_resuming_with_another_recipe_is_refused_and_says_what_differs(recipe: Recipe, run: Run) -> None:
    fit(recipe, run)
    with pytest.raises(ModelError, match="style_weight, steps differ"):
        fit(replace(recipe, steps=9, style_weight=1.0), replace(run, resume=True))


def test_a_finished_run_resumed_with_more_about_the_painting_only_learns_that(recipe: Recipe, run: Run) -> None:
    before = state(fit(recipe, run).checkpoint)
    titled = replace(recipe, painting=Painting(title="Stripes"))
    network, told = load_network(fit(titled, replace(run, resume=True)).checkpoint)
    assert told == titled
    assert same(before, network.state_dict())


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04 half a zip"])
def test_a_damaged_checkpoint_is_a_model_error(recipe: Recipe, run: Run, content: bytes) -> None:
    run.out.mkdir()
    run.checkpoint.write_bytes(content)
    with pytest.raises(ModelError, match="damaged or not a checkpoint"):
        fit(recipe, replace(run, resume=True))


def test_precision_follows_the_hardware_only_when_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for feature in ({"avx512_bf16": True}, {"amx_bf16": True}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda feature=feature: feature)
        assert resolve_precision("auto", "cpu") == "bf16-mixed"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert resolve_precision("auto", "cpu") == "32-true"
    assert resolve_precision("bf16-mixed", "cpu") == "bf16-mixed"


@pytest.mark.parametrize(("steps", "asked", "compiles"), [(10, None, False), (5000, None, True), (10, True, True)])
def test_long_runs_are_compiled_and_short_ones_when_asked(
    recipe: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch, steps: int, asked: bool | None, compiles: bool
) -> None:
    monkeypatch.setattr(fit_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert compiling(replace(recipe, steps=steps), replace(run, compile=asked)) is compiles


def test_without_a_compiler_only_asking_for_it_is_an_error(
    recipe: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_module.shutil, "which", lambda name: None)
    assert not compiling(replace(recipe, steps=5000), run)
    with pytest.raises(DependencyError, match="needs a C\\+\\+ compiler"):
        compiling(recipe, replace(run, compile=True))


@pytest.mark.slow
def test_a_compiled_run_learns_what_an_ordinary_one_does(recipe: Recipe, run: Run) -> None:
    recipe = replace(recipe, optimizer="adam")  # the other one enlarges directions that are rounding alone
    start = starting_network(recipe).state_dict()
    plain = state(fit(recipe, run).checkpoint)
    compiled = state(fit(recipe, replace(run, out=run.out / "compiled", compile=True)).checkpoint)
    assert plain.keys() == compiled.keys()
    learned = sum((plain[name] - start[name]).square().sum() for name in plain)
    apart = sum((plain[name] - compiled[name]).square().sum() for name in plain)
    assert apart < 1e-4 * learned
