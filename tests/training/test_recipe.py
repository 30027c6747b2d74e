"""A recipe survives YAML, and refuses what makes no sense."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fststyle.errors import InputError, OptionError, RecipeError
from fststyle.styles import Painting
from fststyle.training.recipe import Recipe, read_recipe, recipe_from_dict, style_name, write_recipe

RECIPE = Recipe(
    name="night",
    file="night.jpg",
    painting=Painting(title="Night", artist="Somebody", year="1889", licence="public domain", source="a museum"),
    style_layers={"relu1_2": 1.0, "relu3_1": 0.5},
    style_sizes=(1.0, 0.5),
    steps=7,
)
PALETTE = Recipe(
    name="both",
    steps=9,
    styles=(
        Recipe(name="night", file="night.jpg", painting=RECIPE.painting, steps=9, style_weight=2.0),
        Recipe(name="day", file="day.jpg", steps=9, style_layers={"relu1_2": 1.0}, style_sizes=(1.0, 0.5)),
    ),
)


@pytest.mark.parametrize("recipe", [RECIPE, PALETTE], ids=["one", "palette"])
def test_yaml_gives_back_the_recipe(recipe: Recipe, tmp_path: Path) -> None:
    write_recipe(recipe, tmp_path / "night.yaml")
    assert read_recipe(tmp_path / "night.yaml") == recipe


def test_a_style_of_a_palette_says_only_what_the_palette_does_not() -> None:
    night, day = PALETTE.to_dict()["styles"]
    assert set(night) == {"name", "file", "painting", "style_weight"}
    assert set(day) == {"name", "file", "painting", "style_layers", "style_sizes"}


def test_a_palette_has_a_row_for_each_style_and_for_the_photo() -> None:
    assert (RECIPE.rows, PALETTE.rows) == (1, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"styles": 3}, "styles must be a list"),
        ({"styles": ["a.jpg"]}, "a style of a palette is a mapping"),
        ({"styles": [{"name": "a", "file": "a.jpg", "size": 64}]}, "unknown key 'size' in a style of a palette"),
        ({"styles": [{"name": "a"}]}, "needs the key 'file'|names no painting"),
        ({"styles": [{"name": "a", "file": "a.jpg"}] * 2}, "two styles called 'a'"),
        ({"styles": [{"name": "photo", "file": "a.jpg"}]}, "can be called 'photo'"),
        ({"styles": [{"name": f"s{n}", "file": "a.jpg"} for n in range(33)]}, "at most 32 styles, got 33"),
        ({"styles": [{"name": "a", "file": "a.jpg"}], "painting": {"title": "A"}}, "none of its own"),
    ],
)
def test_a_palette_that_makes_no_sense_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_from_dict({"name": "both", **values})


def test_every_key_is_written_so_that_a_later_default_changes_no_old_style() -> None:
    assert set(RECIPE.to_dict()) == {entry.name for entry in fields(Recipe)} - {"styles"}
    assert set(PALETTE.to_dict()) == {entry.name for entry in fields(Recipe)} - {"file", "painting"}


def test_whole_numbers_are_accepted_where_fractions_are() -> None:
    assert recipe_from_dict({"name": "a", "file": "b", "style_weight": 3}).style_weight == 3.0


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'style_wieght'.*did you mean 'style_weight'"):
        recipe_from_dict({"name": "a", "file": "b", "style_wieght": 3})


def test_an_unknown_key_of_the_painting_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'titel' in a painting.*'title'"):
        recipe_from_dict({"name": "a", "file": "b", "painting": {"titel": "Night"}})


@pytest.mark.parametrize("key", ["name", "file"])
def test_what_has_no_default_is_required(key: str) -> None:
    values = {"name": "a", "file": "b"}
    del values[key]
    with pytest.raises(RecipeError, match=f"needs the key '{key}'"):
        recipe_from_dict(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "The Night"),
        ("name", "../night"),
        ("file", ""),
        ("size", 16),
        ("size", 100_000),
        ("batch", 0),
        ("steps", 0),
        ("seed", -1),
        ("style_crops", -1),
        ("style_scale", 0.0),
        ("style_sizes", ()),
        ("style_sizes", (1.0, -1.0)),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("warm_up", 1.5),
        ("style_rise", -0.1),
        ("gradient_clip", 0.0),
        ("pooling", "maximum"),
        ("precision", "bf16"),
        ("preset", "qualty"),
        ("vgg", "vgg17"),
        ("content_layers", {"relu3_4": 1.0}),
        ("content_layers", {}),
        ("style_layers", {"relu1_1": -1.0}),
        ("content_weight", -1.0),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(OptionError):
        replace(RECIPE, **{key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", 2.5), ("steps", "many"), ("steps", True), ("style_weight", "heavy"), ("name", 3), ("style_layers", [1])],
)
def test_a_value_of_the_wrong_type_is_refused(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=key):
        recipe_from_dict({**RECIPE.to_dict(), key: value})


@pytest.mark.parametrize("text", ["- just\n- a list", "name: [unclosed", "42"])
def test_a_file_that_is_no_recipe_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "bad.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        read_recipe(tmp_path / "none.yaml")


def test_yaml_can_run_no_code(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text(
        yaml.dump({"name": "a", "file": "b"}) + "seed: !!python/object/apply:os.getpid []"
    )
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "evil.yaml")


@given(st.text())
def test_any_text_makes_a_valid_name(text: str) -> None:
    assert Recipe(name=style_name(text), file="x").name


def test_names_read_like_their_title() -> None:
    assert style_name("The Scream (1893)") == "the_scream_1893"
