"""How good a fast network is: its losses on photos that it was not trained on, beside those of the iterative optimiser.

Johnson et al. (2016, section 4.1) compare both by the loss that the network was trained with. The measure of a network
is its **equivalent iterations**: how many iterations the optimiser needs from white noise until its mean loss is that
of the network. They report 50 to 100.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fststyle.errors import InputError, ModelError, OptionError, ParityError
from fststyle.images import load_rgb
from fststyle.machine import describe_machine
from fststyle.nn.losses import PerceptualLoss
from fststyle.nn.pixels import to_image
from fststyle.styles import StyleInfo
from fststyle.training.checkpoint import exported_recipe, load_network
from fststyle.training.detectors import SMALLEST_SIDE, Finding, Pictures, find_faults
from fststyle.training.export import LARGEST_DIFFERENCE, check_parity, weights_digest
from fststyle.training.onnx_graph import on_cpu
from fststyle.training.painting import at_brush_size
from fststyle.training.photos import find_photos
from fststyle.training.recipe import Recipe, read_recipe
from fststyle.training.reference import STARTS, Descent, DescentCache, Start, Watch, descend, descent_keys
from fststyle.training.stability import Stylise, stability

LOSS_KEYS = (
    *("vgg", "pooling", "content_layers", "style_layers", "content_weight", "style_weight", "tv_weight"),
    *("style_scale", "style_sizes", "style_crops", "size"),
)
"""Of a recipe: what the loss depends on, besides the painting."""
_TIMED = 5
Losses = Mapping[str, float]
Told = Callable[[int, int, str], None]
"""Called with the iterations that are over, those of all descents, and what is being done."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured with; checked when made: :class:`~fststyle.errors.OptionError` for a value out of range.

    ``size`` and ``count``: side in pixels and number of the photos. ``iterations`` of the optimiser, 0 to leave it out.
    ``device``: torch's, for losses and optimiser. ``bfloat16``: the optimiser's VGG runs in it (losses of the network
    are always taken in float32).
    """

    size: int = 256
    count: int = 10
    iterations: int = 300
    seed: int = 0
    device: str = "cpu"
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if self.size < SMALLEST_SIDE or self.size % 8:
            raise OptionError(f"the size is a multiple of 8 from {SMALLEST_SIDE} pixels on, got {self.size}")
        for name, least in (("count", 1), ("iterations", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Losses are by name (total, content, style, total_variation), one mapping for each photo; ``results`` is what the
    network made of ``photos``, both uint8 [N, H, W, 3]. ``seconds`` is what the network takes for one of them.
    ``descents`` has one for each photo by start, and is empty where the optimiser was left out.
    """

    style: StyleInfo
    recipe: Recipe
    setting: Setting
    names: Sequence[str]
    photos: Pictures
    results: Pictures
    network: Sequence[Losses]
    untouched: Sequence[Losses]
    seconds: float
    findings: Sequence[Finding]
    machine: str
    descents: Mapping[Start, Sequence[Descent]] = field(default_factory=dict)

    def curve(self, start: Start, name: str = "total") -> list[float]:
        """Mean loss over the photos, at the start and after each iteration."""
        curves = [[losses[name] for losses in descent.losses] for descent in self.descents[start]]
        return [statistics.fmean(losses) for losses in zip(*curves, strict=True)]

    def equivalent(self, start: Start) -> int | None:
        return equivalent_iterations(self.curve(start), mean_losses(self.network)["total"])

    def iteration_seconds(self) -> float | None:
        """Of the optimiser; None if it was left out, or if any of it was measured on another machine."""
        descents = [descent for found in self.descents.values() for descent in found]
        if not descents or any(descent.machine != self.machine for descent in descents):
            return None
        return statistics.median(descent.seconds for descent in descents)


def equivalent_iterations(curve: Sequence[float], loss: float) -> int | None:
    """The first iteration after which the optimiser's ``curve`` is at most ``loss``; None if it never is."""
    return next((number for number, value in enumerate(curve) if value <= loss), None)


def mean_losses(losses: Sequence[Losses]) -> dict[str, float]:
    return {name: statistics.fmean(entry[name] for entry in losses) for name in losses[0]}


def recipe_of(style: StyleInfo, file: Path | None = None) -> Recipe:
    """The recipe that the style carries; one from a YAML ``file`` if it carries none.

    :raises OptionError: there is neither, or there are both, or it is a mix of several styles.
    :raises InputError: the file cannot be read.
    :raises ModelError: the recipe inside is not one that this fststyle can use.
    """
    stored = style.metadata.get("recipe")
    if stored and file is not None:
        raise OptionError(f"{style.path} carries its recipe; leave out --recipe")
    if file is not None:
        return read_recipe(file)
    if not stored:
        raise OptionError(f"{style.path} carries no recipe, so its loss is not known; give one with --recipe")
    recipe = exported_recipe(style)
    if not recipe.styles:
        return recipe
    alone = next((entry for entry in recipe.styles if entry.name == style.name), None)
    if alone is None:
        names = ", ".join(entry.name for entry in recipe.styles)
        raise OptionError(f"one style of a palette is measured at a time, as NAME@{style.path.stem}; names: {names}")
    return alone


def load_photos(folder: Path, *, count: int, size: int) -> tuple[list[str], Pictures]:
    """Names and middle squares, uint8 [count, size, size, 3], of the first ``count`` photos by name.

    :raises InputError: there are fewer, or one of them is damaged or smaller than ``size``.
    """
    files = find_photos(folder)
    if len(files) < count:
        raise InputError(f"{folder} holds {len(files)} photos, {count} are needed; --count {len(files)} takes them all")
    chosen = files[:count]
    return [file.name for file in chosen], np.stack([middle_square(file, size) for file in chosen])


def middle_square(file: Path, size: int) -> NDArray[np.uint8]:
    """:raises InputError: the photo cannot be read, or is smaller than ``size``."""
    photo = Image.fromarray(load_rgb(file))
    side = min(photo.size)
    if side < size:
        raise InputError(f"{file} has {photo.width} x {photo.height} pixels, too few for a square of {size}")
    left, top = (photo.width - side) / 2, (photo.height - side) / 2
    return np.asarray(photo.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side)))


def evaluate(
    style: StyleInfo,
    recipe: Recipe,
    stylise: Stylise,
    loss: PerceptualLoss,
    *,
    painting: NDArray[np.uint8],
    photos: tuple[Sequence[str], Pictures],
    setting: Setting,
    cache: DescentCache,
    checkpoint: Path | None = None,
    told: Told = lambda done, total, text: None,
) -> Evaluation:
    """Everything about a style, through the engine ``stylise`` and the ``loss`` of ``recipe``, whose size is that of
    the setting. What the optimiser finds is taken from the ``cache`` and kept there, photo by photo.

    :raises TrainingError: the optimiser's loss stopped being finite.
    :raises InputError: there is no such checkpoint.
    :raises ModelError: the checkpoint is damaged, or of another network than the style.
    """
    names, pictures = photos
    machine = describe_machine("torch", "onnxruntime-gpu", "onnxruntime")
    if setting.device != "cpu":
        machine = f"{torch.cuda.get_device_name(setting.device)}, {machine}"
    results = np.concatenate([stylise(picture[None]) for picture in pictures])
    parity = export_parity(style, checkpoint)
    faults = find_faults(results, pictures, at_brush_size(recipe, painting))
    return Evaluation(
        style=style,
        recipe=recipe,
        setting=setting,
        names=names,
        photos=pictures,
        results=results,
        network=[picture_losses(loss, result, photo) for result, photo in zip(results, pictures, strict=True)],
        untouched=[picture_losses(loss, photo, photo) for photo in pictures],
        seconds=_seconds(stylise, pictures[:1]),
        findings=[*faults, *stability(stylise, pictures, seed=setting.seed), parity],
        machine=machine,
        descents=_descents(loss, recipe, painting, pictures, setting, machine, cache, told),
    )


def loss_recipe(recipe: Recipe, size: int) -> Recipe:
    """``recipe`` at the size that is measured at: the painting's brush scales along."""
    return dataclasses.replace(recipe, size=size)


@torch.no_grad()
def picture_losses(loss: PerceptualLoss, picture: NDArray[np.uint8], photo: NDArray[np.uint8]) -> dict[str, float]:
    """Of one picture against one photo, both uint8 [H, W, 3], in float32."""
    device = loss.style_variation.device
    parts = loss(to_image(picture).to(device), loss.content_features(to_image(photo).to(device)))
    return {name: value.item() for name, value in parts.named().items()}


def export_parity(style: StyleInfo, checkpoint: Path | None) -> Finding:
    """How far the ONNX file is from the checkpoint that it was exported from; the figure is the largest difference.

    :raises ModelError: the checkpoint is damaged, or of another network than the style.
    """
    name = "export parity"
    if checkpoint is None:
        return Finding(name, None, LARGEST_DIFFERENCE, "no checkpoint given")
    network, _ = load_network(checkpoint)
    if weights_digest(network) != style.metadata.get("weights_sha256"):
        raise ModelError(f"{checkpoint} holds another network than {style.path}")
    try:
        parity = check_parity(style.path.read_bytes(), on_cpu(network))
    except ParityError as error:
        return Finding(name, 255.0, LARGEST_DIFFERENCE, str(error))
    return Finding(name, float(parity.largest), LARGEST_DIFFERENCE, f"steps; {parity.within_one:.3%} within one")


def _descents(
    loss: PerceptualLoss,
    recipe: Recipe,
    painting: NDArray[np.uint8],
    photos: Pictures,
    setting: Setting,
    machine: str,
    cache: DescentCache,
    told: Told,
) -> dict[Start, list[Descent]]:
    if not setting.iterations:
        return {}
    finders = {start: descent_finder(loss, recipe, painting, setting, start, machine, cache) for start in STARTS}
    found: dict[Start, list[Descent]] = {start: [] for start in STARTS}
    total = len(STARTS) * len(photos) * setting.iterations
    for number, photo in enumerate(photos):
        for start in STARTS:
            before = (number * len(STARTS) + STARTS.index(start)) * setting.iterations
            text = f"photo {number + 1} of {len(photos)} from {start}"

            def watch(iteration: int, value: float, before: int = before, text: str = text) -> None:
                told(before + iteration, total, f"{text}, loss {value:.3f}")

            found[start].append(finders[start](photo, watch))
            told(before + setting.iterations, total, text)
    return found


def descent_finder(
    loss: PerceptualLoss,
    recipe: Recipe,
    painting: NDArray[np.uint8],
    setting: Setting,
    start: Start,
    machine: str,
    cache: DescentCache,
) -> Callable[[NDArray[np.uint8], Watch], Descent]:
    """Gives for a photo, uint8 [H, W, 3], what the optimiser makes of it: from the ``cache``, or computed and kept."""
    values = recipe.to_dict()
    how: dict[str, Any] = {"iterations": setting.iterations, "seed": setting.seed, "bfloat16": setting.bfloat16}
    key = descent_keys(loss, painting, start=start, **how, **{name: values[name] for name in LOSS_KEYS})

    def find(photo: NDArray[np.uint8], watch: Watch) -> Descent:
        kept = cache.load(key(photo))
        if kept is not None:
            return kept
        descent = descend(loss, photo, start, machine=machine, watch=watch, **how)
        cache.store(key(photo), descent)
        return descent

    return find


def _seconds(stylise: Stylise, photo: Pictures) -> float:
    """The median of some calls for one photo; what comes with the first ones is over by now."""
    times = []
    for _ in range(_TIMED):
        started = time.perf_counter()
        stylise(photo)
        times.append(time.perf_counter() - started)
    return statistics.median(times)
