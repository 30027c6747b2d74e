"""Networks come back from checkpoints and from exported styles as they went in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fststyle.errors import InputError, ModelError, StyleNotFoundError
from fststyle.nn.networks import PRESETS, Architecture, initial_network
from fststyle.training.checkpoint import load_network, load_start, read_checkpoint
from fststyle.training.export import export_network
from fststyle.training.recipe import Recipe


def save(path: Path, recipe: Recipe, state: dict[str, torch.Tensor]) -> Path:
    torch.save({"recipe": recipe.to_dict(), "state_dict": state}, path)
    return path


def test_a_checkpoint_gives_back_network_and_recipe(tmp_path: Path, recipe: Recipe) -> None:
    network = initial_network(PRESETS["tiny"], seed=3)
    loaded, loaded_recipe = load_network(save(tmp_path / "a.ckpt", recipe, network.state_dict()))
    image = torch.rand(1, 3, 20, 24)
    assert loaded_recipe == recipe
    assert torch.equal(loaded(image), network(image))


def test_an_exported_style_gives_back_its_network_to_the_bit(tmp_path: Path, recipe: Recipe) -> None:
    network = initial_network(PRESETS["tiny"], seed=3)
    export_network(network, recipe, output=tmp_path / "tiny.onnx")
    loaded = load_start(str(tmp_path / "tiny.onnx")).state_dict()
    assert loaded.keys() == network.state_dict().keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in network.state_dict().items())


def test_a_style_to_start_from_that_does_not_exist_is_refused(recipe: Recipe) -> None:
    with pytest.raises(StyleNotFoundError, match="no_such_style"):
        load_start("no_such_style")


def test_tensors_of_another_network_are_refused(tmp_path: Path, recipe: Recipe) -> None:
    other = initial_network(Architecture(width=6, blocks=1, kernel=3), seed=0)
    with pytest.raises(ModelError, match="does not fit preset 'tiny'"):
        load_network(save(tmp_path / "a.ckpt", recipe, other.state_dict()))


def test_a_missing_checkpoint_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.ckpt"):
        read_checkpoint(tmp_path / "none.ckpt")


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.ckpt")
    with pytest.raises(ModelError, match="holds no recipe"):
        read_checkpoint(tmp_path / "other.ckpt")
