"""A recipe: every number that makes a style, as a frozen dataclass and as YAML.

Together with a folder of photos and the painting's file a recipe is all that training needs, and it travels with the
weights: in the checkpoint and in the metadata of the exported file. The defaults below are the only place where a
default lives; the command line reads them here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import yaml

from fststyle.atomic import atomic_write
from fststyle.errors import InputError, RecipeError, did_you_mean
from fststyle.nn.losses import LossWeights
from fststyle.nn.networks import MINIMUM_SIDE, preset
from fststyle.nn.vgg import Pooling, check_layers
from fststyle.styles import PHOTO, Painting

Optimizer = Literal["muon", "adam"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


MOST_STYLES = 32
"""In one palette."""
STYLE_KEYS = (
    *("name", "file", "painting", "content_layers", "style_layers", "content_weight", "style_weight", "tv_weight"),
    *("style_scale", "style_sizes", "style_crops", "steps", "learning_rate"),
)
"""What a style in a palette may say itself. The last two tell how one was trained that was added later."""


def _equal_shares(*layers: str) -> dict[str, float]:
    return dict.fromkeys(layers, 1.0)


@dataclass(frozen=True)
class Recipe:
    """Checked when made: :class:`~fststyle.errors.RecipeError` for a value out of range.

    ``file`` is the painting's file, relative to the folder of paintings (or absolute). ``style_scale`` is the size of
    the brush: the painting's short side is ``style_scale * size`` pixels when its Gram matrices are taken, so that 2
    makes strokes twice as broad in the photo. ``style_sizes`` are further factors of that scale whose Gram matrices
    are averaged, ``style_crops`` the number of squares along the long side that are encoded one by one (0: the
    painting whole). ``content_layers`` and ``style_layers`` map VGG layers to their shares. ``size`` is the side of
    the training crops in pixels, ``batch`` the photos per step and device, ``optimizer`` "muon"
    (:class:`~fststyle.training.optimizer.MatrixAdam`) or "adam", ``learning_rate`` Adam's highest one, ``warm_up`` the
    share of ``steps`` over which it rises before it falls along a cosine, ``style_rise`` the share over which the style
    loss rises to its weight, ``start`` a style (by name or file) or a checkpoint of the same preset whose weights
    training begins with (empty: a random network). ``stability_weight`` is that of
    :func:`~fststyle.nn.stability_loss.stability_loss`; 0 saves the second pass that it takes.

    A palette, one network for several paintings, has a recipe for each of them in ``styles``, and no ``file`` and
    ``painting`` of its own. Of these recipes only :data:`STYLE_KEYS` are their own, the rest is the palette's.
    """

    name: str
    file: str = ""
    painting: Painting = field(default_factory=Painting)
    preset: str = "quality"
    start: str = ""
    vgg: str = "vgg16"
    pooling: Pooling = "max"
    content_layers: Mapping[str, float] = field(default_factory=lambda: _equal_shares("relu2_2", "relu3_3"))
    style_layers: Mapping[str, float] = field(
        default_factory=lambda: _equal_shares("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    )
    content_weight: float = 1.0
    style_weight: float = 10.0
    tv_weight: float = 0.3
    stability_weight: float = 0.0
    style_scale: float = 1.5
    style_sizes: tuple[float, ...] = (1.0,)
    style_crops: int = 0
    size: int = 256
    batch: int = 4
    steps: int = 2000
    optimizer: Optimizer = "muon"
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    style_rise: float = 0.25
    gradient_clip: float = 1.0
    precision: Precision = "auto"
    seed: int = 0
    styles: tuple[Recipe, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or set(self.name) - set(NAME_CHARACTERS):
            raise RecipeError(f"a style's name is made of a-z, 0-9, _ and -, got {self.name!r}")
        if not self.file and not self.styles:
            raise RecipeError(f"recipe {self.name!r} names no painting: give its file")
        self._check_styles()
        preset(self.preset)
        check_layers(self.vgg, [*self.content_layers, *self.style_layers])
        self.loss_weights()
        _check_choice("pooling", self.pooling, get_args(Pooling))
        _check_choice("precision", self.precision, get_args(Precision))
        _check_choice("optimizer", self.optimizer, get_args(Optimizer))
        for key in ("style_scale", "learning_rate", "gradient_clip"):
            _check_range(key, getattr(self, key), above=0)
        _check_range("size", self.size, at_least=4 * MINIMUM_SIDE, at_most=4096)
        _check_range("stability_weight", self.stability_weight, at_least=0)
        for key in ("batch", "steps"):
            _check_range(key, getattr(self, key), at_least=1)
        for key in ("style_crops", "seed"):
            _check_range(key, getattr(self, key), at_least=0)
        for key in ("warm_up", "style_rise"):
            _check_range(key, getattr(self, key), at_least=0, at_most=1)
        if not self.style_sizes:
            raise RecipeError("style_sizes needs at least one factor")
        for factor in self.style_sizes:
            _check_range("style_sizes", factor, above=0)

    def _check_styles(self) -> None:
        names = [style.name for style in self.styles]
        if len(names) > MOST_STYLES:
            raise RecipeError(f"a palette has at most {MOST_STYLES} styles, got {len(names)}")
        if PHOTO in names:
            raise RecipeError(f"no style of a palette can be called {PHOTO!r}: that is the photo as it was")
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"palette {self.name!r} has two styles called {name!r}")
        if self.styles and (self.file or self.painting != Painting()):
            raise RecipeError(f"palette {self.name!r} has paintings in its styles, so that it has none of its own")

    @property
    def rows(self) -> int:
        """How many styles the network holds: those of a palette and the photo itself, else one."""
        return len(self.styles) + 1 if self.styles else 1

    def loss_weights(self) -> LossWeights:
        return LossWeights(
            content_layers=self.content_layers,
            style_layers=self.style_layers,
            content=self.content_weight,
            style=self.style_weight,
            total_variation=self.tv_weight,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers: what YAML and the metadata hold."""
        values = {**dataclasses.asdict(self), "style_sizes": list(self.style_sizes)}
        del values["styles"]
        if not self.styles:
            return values
        del values["file"], values["painting"]
        entries = [style.to_dict() for style in self.styles]
        return {**values, "styles": [_own_values(entry, values) for entry in entries]}


def _own_values(entry: Mapping[str, Any], palette: Mapping[str, Any]) -> dict[str, Any]:
    """Of a style in a palette: what the palette does not say already."""
    return {key: entry[key] for key in STYLE_KEYS if key not in palette or entry[key] != palette[key] or key == "name"}


def _check_choice(key: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        near = did_you_mean(str(value), choices)
        raise RecipeError(f"{key} must be one of {', '.join(choices)}, got {value!r}{near}")


def _check_range(
    key: str,
    value: float,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    above: float = -math.inf,
) -> None:
    if not (at_least <= value <= at_most and value > above and math.isfinite(value)):
        limits = [
            f"above {above:g}" if above > -math.inf else "",
            f"at least {at_least:g}" if at_least > -math.inf else "",
            f"at most {at_most:g}" if at_most < math.inf else "",
        ]
        raise RecipeError(f"{key} must be {' and '.join(filter(None, limits))}, got {value:g}")


def style_name(text: str) -> str:
    """A valid name from any text: "The Scream (1893)" -> "the_scream_1893"."""
    kept = "".join(letter if letter in NAME_CHARACTERS else " " for letter in text.lower())
    return "_".join(kept.split()) or "style"


def recipe_from_dict(values: Mapping[str, Any]) -> Recipe:
    """The inverse of :meth:`Recipe.to_dict`.

    :raises RecipeError: an unknown key, a value of the wrong type or out of range, or a key missing that has no
        default.
    """
    _checked_keys(values, [entry.name for entry in dataclasses.fields(Recipe)], "recipe")
    own = {key: value for key, value in values.items() if key != "styles"}
    for required in ("name",) if values.get("styles") else ("name", "file"):
        if required not in values:
            raise RecipeError(f"a recipe needs the key {required!r}")
    hints = get_type_hints(Recipe)
    converted: dict[str, Any] = {key: _converted(key, value, hints[key]) for key, value in own.items()}
    return Recipe(**converted, styles=_styles_of_palette(values.get("styles", ()), own))


def _styles_of_palette(entries: object, palette: Mapping[str, Any]) -> tuple[Recipe, ...]:
    if not isinstance(entries, list | tuple):
        raise RecipeError(f"styles must be a list, got {entries!r}")
    checked = [_checked_keys(entry, STYLE_KEYS, "style of a palette") for entry in entries]
    return tuple(recipe_from_dict({**palette, **entry}) for entry in checked)


def _checked_keys(values: object, known: Sequence[str], what: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise RecipeError(f"a {what} is a mapping of keys to values, got {values!r}")
    for key in values:
        if key not in known:
            raise RecipeError(
                f"unknown key {key!r} in a {what}; keys: {', '.join(known)}{did_you_mean(str(key), known)}"
            )
    return values


def _converted(key: str, value: object, hint: object) -> object:
    if hint is Painting:
        texts = _checked_keys(value, [entry.name for entry in dataclasses.fields(Painting)], "painting")
        return Painting(**{name: "" if text is None else str(text) for name, text in texts.items()})
    if key.endswith("_layers") and isinstance(value, Mapping):
        return {str(layer): _number(f"{key}: {layer}", share) for layer, share in value.items()}
    if key == "style_sizes" and isinstance(value, list | tuple):
        return tuple(_number(key, factor) for factor in value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float:
        return _number(key, value)
    if hint is not int and isinstance(value, str):
        return value
    raise RecipeError(f"{key} has the wrong type: got {value!r}")


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"{key} must be a number, got {value!r}")
    return float(value)


def read_recipe(path: Path) -> Recipe:
    """:raises InputError: the file cannot be read. :raises RecipeError: it is no recipe."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the recipe {path}: {error}") from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return recipe_from_dict(values)


def write_recipe(recipe: Recipe, path: Path) -> None:
    """:raises OutputError: the file cannot be written."""
    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True, width=100)
    atomic_write(path, text.encode())
