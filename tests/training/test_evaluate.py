"""The yardstick: losses, the optimiser's curves and what is made of them, on tiny networks and weights."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fststyle.errors import InputError, ModelError, OptionError
from fststyle.images import load_rgb
from fststyle.nn import networks
from fststyle.nn.losses import LossWeights, PerceptualLoss
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weight_files import VGGWeights
from fststyle.serving.engine import Engine
from fststyle.styles import StyleInfo, find_style, read_style
from fststyle.training.checkpoint import exported_network
from fststyle.training.evaluate import (
    Evaluation,
    Setting,
    equivalent_iterations,
    evaluate,
    export_parity,
    load_photos,
    loss_recipe,
    middle_square,
    picture_losses,
    recipe_of,
)
from fststyle.training.evaluation_card import card, write_curves
from fststyle.training.figures import embed, figures, iterations_text, report
from fststyle.training.recipe import Recipe
from fststyle.training.reference import Descent, DescentCache, descend, descent_keys

LAYERS = {"relu1_1": 1.0, "relu2_1": 1.0}
SIZE = 64
SETTING = Setting(size=SIZE, count=2, iterations=12)


@pytest.fixture(scope="module")
def loss(narrow_vgg: VGGWeights, painting_file: Path) -> PerceptualLoss:
    weights = LossWeights(LAYERS, LAYERS, content=1, style=4, total_variation=0.2)
    painting = torch.from_numpy(load_rgb(painting_file)).permute(2, 0, 1)[None].float() / 255
    return PerceptualLoss(VGGFeatures(narrow_vgg, LAYERS), weights, [painting])


@pytest.fixture(scope="module")
def photos(photo_folder: Path) -> tuple[list[str], NDArray[np.uint8]]:
    return load_photos(photo_folder, count=2, size=SIZE)


@pytest.fixture(scope="module")
def style(tiny_style_file: Path) -> StyleInfo:
    return find_style(tiny_style_file)


@pytest.fixture(scope="module")
def evaluation(
    loss: PerceptualLoss,
    style: StyleInfo,
    photos: tuple[list[str], NDArray[np.uint8]],
    painting_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evaluation:
    engine = Engine(style.path, device="cpu", threads=1)
    cache = DescentCache(tmp_path_factory.mktemp("cache"))
    recipe = loss_recipe(recipe_of(style), SIZE)
    painting = load_rgb(painting_file)
    return evaluate(style, recipe, engine, loss, painting=painting, photos=photos, setting=SETTING, cache=cache)


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100))
def test_equivalent_iterations_are_the_first_that_are_as_good(curve: list[float], loss: float) -> None:
    found = equivalent_iterations(curve, loss)
    if found is None:
        assert min(curve) > loss
    else:
        assert curve[found] <= loss
        assert all(value > loss for value in curve[:found])


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100), st.floats(0, 100))
def test_a_lower_loss_never_takes_fewer_iterations(curve: list[float], one: float, other: float) -> None:
    better, worse = (equivalent_iterations(curve, loss) for loss in sorted((one, other)))
    assert better is None or (worse is not None and worse <= better)


def test_what_is_never_reached_is_told_as_such() -> None:
    assert equivalent_iterations([3.0, 2.0, 1.0], 0.5) is None
    assert iterations_text(None, 300) == "more than 300"
    assert iterations_text(17, 300) == "17"


@pytest.mark.parametrize("start", ["noise", "photo"])
def test_the_curve_is_that_of_the_pictures_that_are_kept(
    loss: PerceptualLoss, photos: tuple[list[str], NDArray[np.uint8]], start: str
) -> None:
    photo = photos[1][0]
    seen: list[tuple[int, float]] = []
    found = descend(
        loss,
        photo,
        start,  # type: ignore[arg-type]
        iterations=15,
        seed=3,
        machine="",
        watch=lambda number, total: seen.append((number, total)),
    )
    totals = [losses["total"] for losses in found.losses]
    assert len(totals) == 16
    assert totals[-1] < 0.7 * totals[0]
    assert seen == [(number, totals[number - 1]) for number in range(1, 16)]
    if start == "photo":
        assert found.losses[0] == pytest.approx(picture_losses(loss, photo, photo), rel=1e-5)
    # The picture is clipped and rounded, the loss is not; what is left between them is small.
    assert picture_losses(loss, found.pictures[15], photo)["total"] == pytest.approx(totals[-1], rel=0.3)


def test_the_optimiser_does_what_its_equations_say(
    loss: PerceptualLoss, photos: tuple[list[str], NDArray[np.uint8]]
) -> None:
    """Two-loop recursion in float64 NumPy, on gradients of the same loss: six iterations from the photo."""
    photo = photos[1][0]
    content_image = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    content = loss.content_features(content_image)

    def evaluated(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        image = torch.from_numpy(flat).float().view_as(content_image).requires_grad_()
        total = loss(image, content).total
        (gradient,) = torch.autograd.grad(total * image.numel(), image)
        return total.item(), gradient.double().flatten().numpy()

    place = content_image.double().flatten().numpy()
    value, gradient = evaluated(place)
    totals, steps, changes = [value], [], []
    for _ in range(6):
        if not steps:
            move = -gradient * min(1, 1 / np.abs(gradient).sum())
        else:
            direction, shares = -gradient, []
            for step, change in zip(steps[::-1], changes[::-1], strict=True):
                shares.append(step @ direction / (step @ change))
                direction = direction - shares[-1] * change
            direction = direction * (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
            for step, change, share in zip(steps, changes, shares[::-1], strict=True):
                direction = direction + step * (share - change @ direction / (step @ change))
            move = direction
        place = place + move
        value, following = evaluated(place)
        steps.append(move)
        changes.append(following - gradient)
        totals.append(value)
        gradient = following
    found = descend(loss, photo, "photo", iterations=6, seed=0, machine="")
    assert [losses["total"] for losses in found.losses] == pytest.approx(totals, rel=2e-3)


def test_the_noise_is_that_of_the_seed(loss: PerceptualLoss, photos: tuple[list[str], NDArray[np.uint8]]) -> None:
    def first(seed: int) -> float:
        found = descend(loss, photos[1][0], "noise", iterations=1, seed=seed, machine="")
        return found.losses[0]["total"]

    assert first(0) == first(0)
    assert first(0) != first(1)


def test_descents_come_back_from_the_cache(tmp_path: Path) -> None:
    picture = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    descent = Descent([{"total": 2.0}, {"total": 1.0}], 0.5, "here", {1: picture})
    cache = DescentCache(tmp_path / "new" / "cache")
    assert cache.load("key") is None
    cache.store("key", descent)
    found = cache.load("key")
    assert found is not None
    assert (found.losses, found.seconds, found.machine) == (descent.losses, 0.5, "here")
    assert np.array_equal(found.pictures[1], picture)
    (cache.folder / "key-1.png").write_bytes(b"damaged")
    assert cache.load("key") is None
    (cache.folder / "key.json").write_text("[1]")
    assert cache.load("key") is None


def test_the_key_tells_weights_pictures_and_settings_apart(loss: PerceptualLoss) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    other = picture.copy()
    other[0, 0, 0] = 1
    changed = copy.deepcopy(loss)
    next(changed.vgg.buffers()).add_(1)
    key = descent_keys(loss, picture, seed=0)
    different = [descent_keys(loss, other, seed=0), descent_keys(loss, picture, seed=1)]
    different += [descent_keys(changed, picture, seed=0)]
    assert key(picture) == descent_keys(loss, picture, seed=0)(picture)
    assert len({key(picture), key(other), *(each(picture) for each in different)}) == 5


def test_a_network_that_was_trained_again_needs_no_descent(
    loss: PerceptualLoss,
    style: StyleInfo,
    photos: tuple[list[str], NDArray[np.uint8]],
    painting_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measured(invert: bool, setting: Setting) -> Evaluation:
        return evaluate(
            style,
            loss_recipe(recipe_of(style), SIZE),
            (lambda pictures: 255 - pictures) if invert else (lambda pictures: pictures),
            loss,
            painting=load_rgb(painting_file),
            photos=photos,
            setting=setting,
            cache=DescentCache(tmp_path),
        )

    setting = dataclasses.replace(SETTING, iterations=2)
    first = measured(False, setting)
    assert first.network == first.untouched
    assert first.equivalent("photo") == 0
    monkeypatch.setattr("fststyle.training.evaluate.descend", lambda *arguments, **settings: pytest.fail("again"))
    second = measured(True, setting)
    assert second.curve("noise") == first.curve("noise")
    assert second.network != first.network
    with pytest.raises(pytest.fail.Exception):
        measured(True, dataclasses.replace(setting, seed=5))


def test_losses_are_means_over_the_photos(evaluation: Evaluation, loss: PerceptualLoss) -> None:
    told = report(evaluation)
    results = torch.from_numpy(evaluation.results).permute(0, 3, 1, 2).float() / 255
    originals = torch.from_numpy(evaluation.photos).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        parts = loss(results, loss.content_features(originals))
    assert told["loss"]["network"] == pytest.approx({k: v.item() for k, v in parts.named().items()}, abs=2e-3)
    assert told["loss"]["photo"]["content"] == 0
    curves = [[losses["total"] for losses in descent.losses] for descent in evaluation.descents["noise"]]
    assert told["iterative"]["noise"]["curve"]["total"] == pytest.approx(np.mean(curves, axis=0), abs=1e-3)
    assert len(told["photos"]) == 2
    assert told["speed"]["network_seconds"] > 0


def test_a_speed_of_another_machine_is_not_compared(evaluation: Evaluation) -> None:
    assert evaluation.iteration_seconds() is not None
    elsewhere = dataclasses.replace(evaluation, machine="another")
    assert elsewhere.iteration_seconds() is None
    assert figures(elsewhere)["speed"]["speed_up_at_equal_loss"] is None
    assert "another machine" in card(elsewhere, curves=None, strip="strip.png")


def test_the_card_names_what_was_measured(evaluation: Evaluation, tmp_path: Path) -> None:
    text = card(evaluation, curves="curves.png", strip="strip.png")
    for expected in ("# tiny", "Stripes", "Equivalent iterations", "| network |", "0.png, 1.png", evaluation.machine):
        assert expected in text
    for finding in evaluation.findings:
        assert f"| {finding.detector} |" in text
    assert "not measured: no checkpoint given" in text
    without = card(dataclasses.replace(evaluation, descents={}), curves=None, strip="strip.png")
    assert "left out" in without
    uneven = dataclasses.replace(evaluation.recipe, style_layers={"relu1_1": 1.0, "relu2_1": 0.5})
    assert "relu1_1 (1), relu2_1 (0.5)" in card(dataclasses.replace(evaluation, recipe=uneven), curves=None, strip="")
    write_curves(evaluation, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as drawn:
        assert drawn.size[0] > 500


def test_figures_are_embedded_and_the_graph_stays(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    shutil.copyfile(evaluation.style.path, path)
    other = "0" * 64 + "  other.onnx"
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  tiny.onnx\n{other}\n")
    before = onnx.load(path)
    found = figures(evaluation)
    embed(read_style(path), found)
    embed(read_style(path), found)
    after = onnx.load(path)
    assert after.graph.SerializeToString() == before.graph.SerializeToString()
    style = find_style(path)
    assert style.metadata["figures"] == {"evaluation": json.loads(json.dumps(found))}
    assert {**style.metadata, "figures": {}} == dict(evaluation.style.metadata)
    assert style.preview == evaluation.style.preview
    sums = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert sums == [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  tiny.onnx", other]
    photo = evaluation.photos[:1]
    assert np.array_equal(Engine(path, device="cpu", threads=1)(photo), evaluation.results[:1])


def test_a_style_of_a_palette_is_measured_by_its_own_recipe_and_has_its_own_figures(
    evaluation: Evaluation, palette_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pair.onnx"
    shutil.copyfile(palette_file, path)
    style = find_style(f"dusk@{path}")
    assert (recipe_of(style).name, recipe_of(style).file) == ("dusk", "dusk.png")
    with pytest.raises(OptionError, match="one style of a palette is measured at a time, as NAME@pair; names: dawn"):
        recipe_of(find_style(f"dawn,dusk@{path}"))
    found = {**figures(evaluation), "weights_sha256": style.metadata["weights_sha256"]}
    embed(style, found)
    embed(find_style(f"dawn@{path}"), {**found, "photos": 7})
    stored = read_style(path).metadata["figures"]
    assert stored["styles"]["dusk"]["evaluation"] == json.loads(json.dumps(found))
    assert stored["styles"]["dawn"]["evaluation"]["photos"] == 7


def test_figures_of_another_network_or_into_a_damaged_file_are_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    shutil.copyfile(evaluation.style.path, path)
    content = path.read_bytes()
    found = figures(evaluation)
    with pytest.raises(ModelError, match="another network"):
        embed(read_style(path), {**found, "weights_sha256": "0"})
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  tiny.onnx\n")
    with pytest.raises(ModelError, match="damaged"):
        embed(read_style(path), found)
    assert path.read_bytes() == content
    with pytest.raises(OptionError, match="--no-iterative"):
        figures(dataclasses.replace(evaluation, descents={}))


def test_a_recipe_is_the_styles_own_or_a_files(style: StyleInfo, tmp_path: Path) -> None:
    own = recipe_of(style)
    assert own.name == "tiny"
    recipe_file = tmp_path / "recipe.yaml"
    recipe_file.write_text("name: other\nfile: other.jpg\n")
    with pytest.raises(OptionError, match="leave out --recipe"):
        recipe_of(style, recipe_file)
    bare = dataclasses.replace(style, metadata={**style.metadata, "recipe": None})
    assert recipe_of(bare, recipe_file) == Recipe("other", "other.jpg")
    with pytest.raises(OptionError, match="carries no recipe"):
        recipe_of(bare)
    wrong = dataclasses.replace(style, metadata={"recipe": {"name": "x", "file": "y", "sizee": 1}})
    with pytest.raises(ModelError, match="did you mean 'size'"):
        recipe_of(wrong)


def test_photos_are_the_first_by_name_and_their_middle(photo_folder: Path, tmp_path: Path) -> None:
    names, pictures = load_photos(photo_folder, count=3, size=64)
    assert names == ["0.png", "1.png", "2.png"]
    assert pictures.shape == (3, 64, 64, 3)
    rows, columns = np.mgrid[:64, :100]
    striped = np.stack([columns * 2, rows * 4, rows * 0], axis=-1).astype(np.uint8)
    Image.fromarray(striped).save(tmp_path / "wide.png")
    assert np.array_equal(middle_square(tmp_path / "wide.png", 64), striped[:, 18:82])


@pytest.mark.parametrize(("count", "size", "message"), [(9, 64, "holds 8 photos, 9 are needed"), (1, 80, "96 x 72")])
def test_too_few_or_too_small_photos(photo_folder: Path, count: int, size: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_photos(photo_folder, count=count, size=size)


@pytest.mark.parametrize("wrong", [{"size": 60}, {"size": 56}, {"count": 0}, {"iterations": -1}, {"seed": -1}])
def test_a_setting_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Setting(**wrong)  # type: ignore[arg-type]


def test_parity_is_measured_against_a_checkpoint(
    style: StyleInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = networks.Architecture(width=4, blocks=2)
    monkeypatch.setitem(networks.PRESETS, "quality", tiny)
    missing = export_parity(style, None)
    assert (missing.figure, missing.passed) == (None, None)
    with pytest.raises(InputError, match="no checkpoint"):
        export_parity(style, tmp_path / "none.ckpt")
    recipe = recipe_of(style).to_dict()
    torch.save({"recipe": recipe, "state_dict": exported_network(style).state_dict()}, tmp_path / "own.ckpt")
    assert export_parity(style, tmp_path / "own.ckpt").passed is True
    other = networks.initial_network(tiny, seed=1)
    torch.save({"recipe": recipe, "state_dict": other.state_dict()}, tmp_path / "other.ckpt")
    with pytest.raises(ModelError, match="another network"):
        export_parity(style, tmp_path / "other.ckpt")
