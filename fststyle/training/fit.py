"""Recipe + painting + photos -> a trained checkpoint."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import SIGTERMException

from fststyle.atomic import atomic_write, make_folder
from fststyle.errors import DependencyError, ModelError
from fststyle.nn.allocator import keep_freed_memory
from fststyle.nn.devices import computes_bfloat16
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.multi_style_net import AnyNet, MultiStyleNet
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weights import load_vgg_weights
from fststyle.training.add_style import new_style_module
from fststyle.training.callbacks import Progress, SampleGrid, StopOnSignal
from fststyle.training.checkpoint import empty_network, load_start, read_checkpoint
from fststyle.training.module import StyleModule
from fststyle.training.painting import style_images
from fststyle.training.palette import PaletteModule, palette_loss
from fststyle.training.photos import Photos
from fststyle.training.recipe import Precision, Recipe, recipe_from_dict, write_recipe
from fststyle.training.run import Fitted, Run

COMPILE_FROM = 500
"""Steps from which compiling pays by default: it takes a minute or two and saves about a fifth of every step."""


def fit(recipe: Recipe, run: Run, *, callbacks: Sequence[pl.Callback] = ()) -> Fitted:
    """Train, or with ``run.resume`` go on from ``run.out``'s last checkpoint; on the CPU a resumed run ends
    bit-identically. ``callbacks`` are Lightning's, beside our own.

    :raises InputError: painting or photos cannot be read, or there is nothing to resume.
    :raises ModelError: the checkpoint to resume from is damaged or was made by another recipe.
    :raises WeightsError: no source of VGG weights worked.
    :raises TrainingError: the loss stopped being finite; the last good checkpoint stays.
    """
    keep_freed_memory()
    resumed = _checkpoint_to_resume(recipe, run)
    module, told = _module(recipe, run), recipe
    recipe = module.recipe  # a style that is added to a palette has numbers of its own
    photos = Photos(
        run.photos, size=recipe.size, batch=recipe.batch, steps=recipe.steps, seed=recipe.seed, workers=run.workers
    )
    if compiling(recipe, run):
        module.compile_losses()
    make_folder(run.out)
    write_recipe(told, run.out / "recipe.yaml")
    stop = StopOnSignal(run.checkpoint)
    trainer = _trainer(recipe, run, [stop, *callbacks])
    # Lightning answers SIGTERM too: it raises once the step is over that our callback has saved.
    with warnings.catch_warnings(), stop.handlers(), contextlib.suppress(SIGTERMException):
        # Lightning's advice is about what is meant: few workers, a folder that holds the recipe, our own transfer.
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_utilities")
        trainer.fit(module, photos, ckpt_path=resumed, weights_only=True if resumed else None)
    finished = trainer.global_step >= recipe.steps
    if finished:
        trainer.save_checkpoint(run.checkpoint)
    if module.skipped and trainer.is_global_zero:
        lines = [f"{path}\t{reason}\n" for path, reason in sorted(module.skipped.items())]
        atomic_write(run.skipped_list, "".join(lines).encode())
    return Fitted(
        checkpoint=run.checkpoint,
        step=trainer.global_step,
        skipped=module.skipped,
        stopped_by=None if finished else stop.signal_number,
        main=trainer.is_global_zero,
    )


def _module(recipe: Recipe, run: Run) -> StyleModule:
    if run.extends:
        (painting,) = run.paintings
        return new_style_module(recipe, run.extends, painting_loss(recipe.styles[-1], painting, run.vgg_weights))
    network = starting_network(recipe)
    if isinstance(network, MultiStyleNet):
        return PaletteModule(recipe, network, palette_loss(recipe, run.paintings, _vgg(recipe, run.vgg_weights)))
    (painting,) = run.paintings
    return StyleModule(recipe, network, painting_loss(recipe, painting, run.vgg_weights))


def compiling(recipe: Recipe, run: Run) -> bool:
    """Whether to use ``torch.compile``: as the run says, else in long runs where there is a C++ compiler for it.

    :raises DependencyError: the run asks for it, and there is none.
    """
    found = shutil.which(os.environ.get("CXX") or "c++") or shutil.which("g++") or shutil.which("clang++")
    if run.compile and not found:
        raise DependencyError("--compile needs a C++ compiler, and none is found: install g++ or set CXX")
    return bool(found) and (recipe.steps >= COMPILE_FROM if run.compile is None else run.compile)


def painting_loss(recipe: Recipe, painting: Path, vgg_weights: Path | None = None) -> PerceptualLoss:
    """The loss that ``recipe`` trains with, encoded from the painting's file."""
    images = style_images(recipe, painting)
    return PerceptualLoss(_vgg(recipe, vgg_weights), recipe.loss_weights(), images)


def _vgg(recipe: Recipe, file: Path | None) -> VGGFeatures:
    weights = load_vgg_weights(recipe.vgg, file=file)
    layers = {layer for style in (recipe.styles or (recipe,)) for layer in style.loss_weights().layers}
    return VGGFeatures(weights, sorted(layers), pooling=recipe.pooling).to(memory_format=torch.channels_last)


def starting_network(recipe: Recipe) -> AnyNet:
    """A random network, or the one that ``recipe.start`` names. All styles of a palette can start from one style."""
    network = empty_network(recipe, recipe.seed)
    if not recipe.start:
        return network
    other = load_start(recipe.start)
    if other.architecture != network.architecture:
        raise ModelError(f"{recipe.start} is not of preset {recipe.preset!r}, so training cannot start from it")
    if recipe.styles and not isinstance(other, MultiStyleNet):
        other = MultiStyleNet(other, recipe.rows)
    rows = other.styles if isinstance(other, MultiStyleNet) else 1
    if rows != recipe.rows or isinstance(other, MultiStyleNet) != bool(recipe.styles):
        raise ModelError(f"{recipe.start} holds another number of styles, so training cannot start from it")
    network.load_state_dict(other.state_dict())
    return network


def _checkpoint_to_resume(recipe: Recipe, run: Run) -> Path | None:
    if not run.resume:
        return None
    trained = recipe_from_dict(read_checkpoint(run.checkpoint)["recipe"])
    trained = described_as(trained, recipe)
    if trained != recipe:
        differing = [key for key, value in trained.to_dict().items() if value != recipe.to_dict().get(key)]
        raise ModelError(
            f"{run.checkpoint} was trained with another recipe ({', '.join(differing)} differ); start afresh"
        )
    return run.checkpoint


def described_as(recipe: Recipe, other: Recipe) -> Recipe:
    """``recipe`` with what ``other`` says of the paintings, which changes no weight."""
    if len(recipe.styles) == len(other.styles):
        pairs = zip(recipe.styles, other.styles, strict=True)
        recipe = replace(recipe, styles=tuple(described_as(style, named) for style, named in pairs))
    return replace(recipe, painting=other.painting)


def resolve_precision(precision: Precision, accelerator: str) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """ "auto" is bfloat16 where the hardware computes in it (AVX512-BF16, AMX, a GPU that has it), else float32."""
    if precision != "auto":
        return precision
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if computes_bfloat16(torch.device("cuda")) else "16-mixed"
    return "bf16-mixed" if computes_bfloat16(torch.device("cpu")) else "32-true"


def _trainer(recipe: Recipe, run: Run, more: Sequence[pl.Callback]) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    checkpoints = ModelCheckpoint(
        run.out, filename="last", every_n_train_steps=run.checkpoint_every, enable_version_counter=False
    )
    callbacks: list[pl.Callback] = [checkpoints, *more, SampleGrid(run.photos, run.out / "samples", run.sample_every)]
    if not run.quiet:
        callbacks.append(Progress())
    return pl.Trainer(
        accelerator=run.accelerator,
        devices=run.devices,
        max_steps=recipe.steps,
        precision=resolve_precision(recipe.precision, run.accelerator),
        gradient_clip_val=recipe.gradient_clip,
        callbacks=callbacks,
        logger=TensorBoardLogger(run.out, name=None, version="tensorboard"),
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
