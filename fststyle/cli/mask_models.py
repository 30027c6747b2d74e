"""Options that name a segmentation network: ``--mask-model``, ``--mask-normalize`` and ``--mask-class``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from fststyle.errors import OptionError
from fststyle.serving.segmenter import Normalize, PersonSegmenter


def model_option(use: str) -> Callable[..., Any]:
    """``--mask-model``, as ``model``; ``use`` says what it is for, after what it is."""
    return click.option(
        "--mask-model",
        "model",
        type=click.Path(path_type=Path),
        metavar="FILE.onnx",
        help=f"Segmentation network that finds persons; {use}",
    )


normalize_option = click.option(
    "--mask-normalize",
    "normalize",
    type=click.Choice(get_args(Normalize)),
    default="auto",
    show_default=True,
    help="Range of values that the mask model wants: ImageNet's, -1..1, -0.5..0.5, 0..1 or 0..255.",
)
class_option = click.option(
    "--mask-class",
    "classes",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="NUMBER",
    help="Class of the mask model that is persons; may be repeated.  [default: 1 of 2, 15 of 21]",
)


@dataclass(frozen=True, kw_only=True)
class MaskModel:
    model: Path | None
    normalize: Normalize
    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.model is None and (self.classes or self.normalize != "auto"):
            raise OptionError("--mask-class and --mask-normalize need a --mask-model")

    def load(self, threads: int | None) -> PersonSegmenter | None:
        """None without a ``--mask-model``; errors are those of :class:`PersonSegmenter`."""
        if self.model is None:
            return None
        return PersonSegmenter(self.model, normalize=self.normalize, classes=self.classes, threads=threads)

    @property
    def options(self) -> list[str]:
        """As they were written on the command line."""
        if self.model is None:
            return []
        named = ["--mask-model", str(self.model), "--mask-normalize", self.normalize]
        return [*named, *(text for number in self.classes for text in ("--mask-class", str(number)))]


def mask_model_options(use: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command these options, as one argument ``mask_model``, a :class:`MaskModel`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_model(*arguments: Any, **others: Any) -> Any:
            own = {name: others.pop(name) for name in ("model", "normalize", "classes")}
            return command(*arguments, **others, mask_model=MaskModel(**own))

        for option in (class_option, normalize_option, model_option(use)):
            with_model = option(with_model)
        return with_model

    return decorate
