"""Trained networks from files: a checkpoint of a run, or an exported style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from fststyle.errors import InputError, ModelError, OptionError
from fststyle.nn.multi_style_net import AnyNet, MultiStyleNet
from fststyle.nn.networks import initial_network, preset
from fststyle.styles import StyleInfo, find_style
from fststyle.training.recipe import Recipe, recipe_from_dict

CHECKPOINT_SUFFIX = ".ckpt"


def load_network(checkpoint: Path) -> tuple[AnyNet, Recipe]:
    """The network of a checkpoint of ours and its recipe, for export and evaluation.

    :raises InputError: no such file.
    :raises ModelError: damaged, or not one of ours.
    """
    contents = read_checkpoint(checkpoint)
    try:
        recipe = recipe_from_dict(contents["recipe"])
    except OptionError as error:
        raise ModelError(f"{checkpoint} holds a recipe that this fststyle cannot use: {error}") from error
    return _network(recipe, contents["state_dict"], checkpoint), recipe


def read_checkpoint(path: Path) -> dict[str, Any]:
    """:raises InputError: no such file. :raises ModelError: damaged, or not one of ours."""
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises what the pickle inside happens to break
        raise ModelError(f"{path} is damaged or not a checkpoint: {(str(error).splitlines() or [''])[0]}") from error
    if not isinstance(contents, dict) or "recipe" not in contents or "state_dict" not in contents:
        raise ModelError(f"{path} is not a checkpoint of fststyle: it holds no recipe")
    return contents


def load_start(name_or_path: str) -> AnyNet:
    """The network of a style by name, of an exported file, or of a checkpoint: what a new training can start from.
    ``udnie@palette`` is the network of one style, or of one mix, of a palette.

    :raises StyleNotFoundError: no such style; the nearest name is offered.
    :raises InputError: no such checkpoint.
    :raises ModelError: damaged, or not one of ours.
    """
    if name_or_path.endswith(CHECKPOINT_SUFFIX):
        return load_network(Path(name_or_path))[0]
    style = find_style(name_or_path)
    network = exported_network(style)
    if isinstance(network, MultiStyleNet) and style.name != style.path.stem:
        return network.single(style.weights)
    return network


def exported_network(style: StyleInfo) -> AnyNet:
    """The network inside an exported style, from the initialisers that bear its tensors' names.

    :raises ModelError: the file holds other tensors than its preset has.
    """
    initializers = {tensor.name: tensor for tensor in onnx.load(style.path).graph.initializer}
    recipe = exported_recipe(style)
    expected = empty_network(recipe).state_dict()
    tensors = {
        name: torch.from_numpy(onnx.numpy_helper.to_array(initializers[name]).copy())
        for name in expected
        if name in initializers
    }
    return _network(recipe, tensors, style.path)


def exported_recipe(style: StyleInfo) -> Recipe:
    """What an exported style was trained with; :class:`~fststyle.errors.ModelError` if it does not say it well."""
    try:
        return recipe_from_dict(style.metadata["recipe"])
    except (OptionError, KeyError) as error:
        raise ModelError(f"{style.path} holds no recipe that this fststyle can use: {error}") from error


def empty_network(recipe: Recipe, seed: int = 0) -> AnyNet:
    """A random network of the recipe's preset, for one style or for those of a palette and the photo itself."""
    network = initial_network(preset(recipe.preset), seed)
    return MultiStyleNet(network, recipe.rows) if recipe.styles else network


def _network(recipe: Recipe, tensors: dict[str, Tensor], origin: Path) -> AnyNet:
    network = empty_network(recipe)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{origin} does not fit preset {recipe.preset!r}: its tensors differ") from error
    return network.eval()
