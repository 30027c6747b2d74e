"""Training several styles in one network, and one more in a network that is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from fststyle.errors import ModelError, RecipeError
from fststyle.nn.multi_style_net import MultiStyleNet
from fststyle.styles import find_style, read_style
from fststyle.training import fit as fit_module
from fststyle.training.add_style import NewStyleModule, trained_palette
from fststyle.training.checkpoint import load_network, load_start
from fststyle.training.export import export
from fststyle.training.fit import fit, starting_network
from fststyle.training.module import StyleModule
from fststyle.training.palette import PaletteModule
from fststyle.training.recipe import Recipe
from fststyle.training.run import Run


@pytest.fixture
def palette(recipe: Recipe) -> Recipe:
    styles = tuple(
        replace(recipe, name=name, file=f"{name}.png", style_weight=weight)
        for name, weight in (("lines", 4.0), ("waves", 2.0))
    )
    return replace(recipe, name="both", file="", styles=styles)


@pytest.fixture
def run(run: Run, tmp_path: Path, painting_file: Path) -> Run:
    """With two paintings."""
    waves = tmp_path / "waves.png"
    with Image.open(painting_file) as picture:
        ImageOps.flip(ImageOps.invert(picture)).save(waves)
    return replace(run, paintings=(painting_file, waves))


def network_of(checkpoint: Path) -> MultiStyleNet:
    network = load_network(checkpoint)[0]
    assert isinstance(network, MultiStyleNet)
    return network


def test_a_run_trains_every_style_and_leaves_a_palette(palette: Recipe, run: Run) -> None:
    fitted = fit(palette, run)
    network, begun = network_of(fitted.checkpoint), starting_network(palette)
    assert load_network(fitted.checkpoint)[1] == palette
    assert isinstance(begun, MultiStyleNet)
    for name, table in network.tables().items():
        assert (table != begun.tables()[name]).any(dim=1).all(), f"{name} has a row that nothing changed"
    with Image.open(run.out / "samples" / "step_000006.png") as grid:
        assert grid.size == (4 * palette.size, (1 + palette.rows) * palette.size)
    style = read_style(export(fitted.checkpoint, run.out / "both.onnx"))
    assert (style.styles, style.weights) == (("photo", "lines", "waves"), (0.0, 1.0, 0.0))
    assert set(style.previews) == {"lines", "waves"}


def test_a_resumed_run_ends_as_a_straight_one(palette: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = network_of(fit(palette, run).checkpoint).state_dict()
    other, draw = replace(run, out=run.out.with_name("other")), PaletteModule.drawn

    def stopping(module: PaletteModule, count: int) -> tuple[Tensor]:
        if module.global_step == 4:
            raise KeyboardInterrupt
        return draw(module, count)

    monkeypatch.setattr(PaletteModule, "drawn", stopping)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(palette, other)
    monkeypatch.setattr(PaletteModule, "drawn", draw)
    resumed = network_of(fit(palette, replace(other, resume=True)).checkpoint).state_dict()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in straight.items())


def test_styles_are_drawn_evenly_and_not_in_step_with_the_photos(palette: Recipe) -> None:
    module = SimpleNamespace(recipe=palette, trainer=SimpleNamespace(world_size=1), global_rank=0, device="cpu")
    drawn: list[int] = []
    for module.global_step in range(30):
        drawn += PaletteModule.drawn(module, 2)[0].tolist()  # type: ignore[arg-type]
    assert Counter(drawn) == {0: 20, 1: 20, 2: 20}
    assert all(sorted(drawn[start : start + 3]) == [0, 1, 2] for start in range(0, 60, 3))
    assert len({tuple(drawn[start : start + 3]) for start in range(0, 60, 3)}) > 3


def test_the_number_of_paintings_must_be_that_of_the_styles(palette: Recipe, run: Run) -> None:
    with pytest.raises(RecipeError, match="2 styles, got 1 paintings"):
        fit(palette, replace(run, paintings=run.paintings[:1]))


def test_a_palette_can_start_from_one_style_and_one_style_from_a_palette(
    palette: Recipe, recipe: Recipe, run: Run
) -> None:
    checkpoint = fit(palette, run).checkpoint
    exported = export(checkpoint, run.out / "both.onnx")
    whole = network_of(checkpoint)
    single = starting_network(replace(recipe, start=f"waves@{exported}"))
    expected = whole.single((0.0, 0.0, 1.0)).state_dict()
    assert all(torch.allclose(tensor, expected[name]) for name, tensor in single.state_dict().items())
    again = starting_network(replace(palette, start=str(exported)))
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in again.state_dict().items())
    with pytest.raises(ModelError, match="another number of styles"):
        starting_network(replace(palette, styles=palette.styles[:1], start=str(exported)))
    with pytest.raises(ModelError, match="another number of styles"):
        starting_network(replace(recipe, start=str(exported)))


@pytest.fixture
def larger(palette: Recipe) -> Recipe:
    third = replace(palette.styles[0], name="third", file="third.png", steps=3, style_weight=3.0, learning_rate=1e-2)
    return replace(palette, styles=(*palette.styles, third))


def test_an_added_style_is_learnt_and_the_others_stay_to_the_bit(palette: Recipe, larger: Recipe, run: Run) -> None:
    checkpoint = fit(palette, run).checkpoint
    before = network_of(checkpoint)
    adding = replace(run, paintings=run.paintings[1:], out=run.out.with_name("third"), extends=str(checkpoint))
    fitted = fit(larger, adding)
    assert (fitted.step, load_network(fitted.checkpoint)[1]) == (3, larger)
    after = network_of(fitted.checkpoint)
    photos = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for style in range(3):
            assert torch.equal(before(photos, torch.eye(3)[style]), after(photos, torch.eye(4)[style]))
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(after.network.state_dict()[name][: len(tensor)], tensor)
    begun = before.grown()
    assert any((table[3] != begun.tables()[name][3]).any() for name, table in after.tables().items())


def test_adding_lowers_the_loss_of_the_new_style(
    palette: Recipe, larger: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = fit(palette, run).checkpoint
    more = replace(larger, styles=(*larger.styles[:2], replace(larger.styles[2], steps=30)))
    losses: list[float] = []
    step: Callable[..., Tensor] = StyleModule.training_step

    def noting(module: StyleModule, batch: object, index: int) -> Tensor:
        total = step(module, batch, index)
        losses.append(float(module.trainer.callback_metrics["loss/total"]))
        return total

    monkeypatch.setattr(NewStyleModule, "training_step", noting)
    fit(more, replace(run, paintings=run.paintings[1:], out=run.out.with_name("third"), extends=str(checkpoint)))
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[1:4])


def test_a_style_cannot_be_added_to_a_network_of_one(recipe: Recipe, run: Run, tiny_style_file: Path) -> None:
    with pytest.raises(ModelError, match="network of one style"):
        trained_palette(str(tiny_style_file))
    checkpoint = fit(recipe, replace(run, paintings=run.paintings[:1])).checkpoint
    with pytest.raises(ModelError, match="network of one style"):
        trained_palette(str(checkpoint))


def test_a_style_cannot_be_added_to_another_palette(larger: Recipe, run: Run, palette_file: Path) -> None:
    with pytest.raises(ModelError, match="other styles than the recipe"):
        fit(larger, replace(run, paintings=run.paintings[1:], extends=str(palette_file)))


def test_a_style_of_a_palette_is_found_by_name(palette_file: Path) -> None:
    style = find_style(f"dusk@{palette_file}")
    start = load_start(f"dusk@{palette_file}")
    network, recipe = trained_palette(str(palette_file))
    assert (style.name, style.painting.title, style.weights) == ("dusk", "Dusk", (0.0, 0.0, 1.0))
    assert [entry.name for entry in recipe.styles] == ["dawn", "dusk"]
    alone = network.single(style.weights).state_dict()
    assert all(torch.equal(tensor, alone[name]) for name, tensor in start.state_dict().items())


def test_the_loss_of_a_palette_is_that_of_its_paintings(palette: Recipe, run: Run) -> None:
    module = fit_module._module(palette, run)
    assert isinstance(module, PaletteModule)
    assert module.loss.get_buffer("style_relu1_2").tolist() == [0.0, 4.0, 2.0]
