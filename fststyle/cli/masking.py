"""Options that say where in a picture styles go: ``--mask``, ``--region`` and ``--mask-model``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from fststyle.cli.mask_models import class_option, model_option, normalize_option
from fststyle.errors import OptionError
from fststyle.serving.masks import Mask, check_feather, check_shapes, read_mask
from fststyle.serving.regions import MaskedStylizer, region_style, regions_digest
from fststyle.serving.segmenter import PARTS, Normalize, PersonSegmenter, segmenter_digest
from fststyle.styles import PHOTO, StyleInfo, find_style

if TYPE_CHECKING:
    from fststyle.serving.stylizer import Stylizer

PERSON, BACKGROUND = PARTS


class RegionOption(NamedTuple):
    """``mask`` is a path, or one of :data:`PARTS`; ``style`` is as it was written."""

    mask: str
    style: str


class _Area(NamedTuple):
    """``mask`` is one of :data:`PARTS` or was read from a file; None is the whole photo."""

    mask: Mask | str | None
    style: StyleInfo | None


@dataclass(frozen=True, kw_only=True)
class Masking:
    """What the user asked for; ``style_given`` tells ``--style``, or a timeline, from the default."""

    mask: Path | None
    regions: tuple[RegionOption, ...]
    feather: float
    model: Path | None
    part: str | None
    normalize: Normalize
    classes: tuple[int, ...]
    style_given: bool

    def __post_init__(self) -> None:
        check_feather(self.feather)
        named = [region.mask for region in self.regions if region.mask in PARTS]
        if self.model is None and named:
            raise OptionError(
                f"{named[0]} is what a --mask-model finds, and none is named; write ./{named[0]} for a file"
            )
        if self.model is None and (self.part or self.classes or self.normalize != "auto"):
            raise OptionError("--mask-part, --mask-class and --mask-normalize need a --mask-model")
        if self.mask is not None and self.part:
            raise OptionError("--mask and --mask-part both say where the style goes; name one of them")
        if self.mask is not None and self.model is not None and not named:
            raise OptionError("with --mask a --mask-model has nothing to do, unless for --region person=STYLE")
        if self.feather and not self:
            raise OptionError("--feather is for masks, and there is none: name a --mask, a --region or a --mask-model")

    def __bool__(self) -> bool:
        return bool(self.mask or self.regions or self.model)

    def main(self, names: Sequence[str]) -> tuple[str, ...]:
        """The styles of all that no region covers; none where that stays the photo."""
        if self.regions and (not self.style_given or tuple(names) == (PHOTO,)):
            return ()
        return tuple(names)

    @property
    def region_styles(self) -> list[str]:
        """As they were written, without the photo."""
        return [region.style for region in self.regions if region.style != PHOTO]

    def read(self, max_pixels: int) -> Masks:
        """Its masks and styles; whatever is wrong with them is raised here."""
        files: dict[str, Mask] = {}

        def mask(name: str) -> Mask | str:
            if name in PARTS and self.model is not None:
                return name
            if name not in files:
                files[name] = read_mask(name, max_pixels=max_pixels)
            return files[name]

        main = str(self.mask) if self.mask is not None else self._main_part()
        areas = [_Area(mask(main) if main else None, None)]
        areas += [_Area(mask(name), None if style == PHOTO else find_style(style)) for name, style in self.regions]
        return Masks(self, areas)

    def as_json(self) -> dict[str, Any]:
        """Where which style goes, for reports; nothing where there are no masks. ``mask`` None is the whole picture."""
        if not self:
            return {}
        main = str(self.mask) if self.mask is not None else self._main_part()
        return {"mask": main, "regions": [region._asdict() for region in self.regions]}

    def segmenter(self, threads: int | None) -> PersonSegmenter | None:
        if self.model is None:
            return None
        return PersonSegmenter(self.model, normalize=self.normalize, classes=self.classes, threads=threads)

    def _main_part(self) -> str | None:
        if self.model is None or (self.part is None and any(region.mask in PARTS for region in self.regions)):
            return None
        return self.part or PERSON


class Masks:
    """The masks and styles of a :class:`Masking`; the first area is the main style's, whichever that is."""

    def __init__(self, asked: Masking, areas: Sequence[_Area]) -> None:
        self._asked, self._areas = asked, areas

    def digest(self) -> str:
        """Of all that they do to a result; empty where they do nothing."""
        asked = self._asked
        if not asked:
            return ""
        model = asked.model and segmenter_digest(asked.model, asked.normalize, asked.classes)

        def digest(mask: Mask | str | None) -> str:
            return mask.digest if isinstance(mask, Mask) else f"{mask} {model}"

        return regions_digest([(digest(area.mask), area.style) for area in self._areas], asked.feather)

    def check_shapes(self, size: tuple[int, int], what: str) -> None:
        """:class:`~fststyle.errors.InputError` if a mask does not fit pictures of ``size`` (width, height), which the
        message calls ``what``.
        """
        check_shapes((area.mask for area in self._areas if isinstance(area.mask, Mask)), size, what)

    def styles(self, main: Sequence[StyleInfo]) -> list[StyleInfo]:
        """All there are, the main ones first.

        :raises OptionError: there are none.
        """
        found = [*main, *(area.style for area in self._areas if area.style)]
        if not found:
            raise OptionError("all regions are the photo as it is, and no --style is given for the rest")
        return found

    def results(self, main: list[StyleInfo]) -> list[StyleInfo]:
        """What results are named after: each main style, or the regions' where there is none."""
        return main or [region_style(self.styles(main))]

    def over(
        self, main: Sequence[Stylizer], load: Callable[[Path], Stylizer], threads: int | None
    ) -> Sequence[Stylizer]:
        """Stylizers for the same photos with the regions over each; ``load`` is for networks not among ``main``."""
        return self.masked(main, load, threads) if self._asked else main

    def masked(
        self, main: Sequence[Stylizer], load: Callable[[Path], Stylizer], threads: int | None
    ) -> list[MaskedStylizer]:
        """As :meth:`over`, for a :class:`Masking` that asks for something; one even where ``main`` is empty."""
        asked = self._asked
        segmenter = asked.segmenter(threads)
        whole, *masks = (_mask(area.mask, segmenter) for area in self._areas)
        styled = self._region_stylizers(main, load)
        regions = [(mask, style) for mask, style in zip(masks, styled, strict=True) if mask is not None]
        below: Sequence[Stylizer | None] = main or (None,)
        return [MaskedStylizer(each, whole, regions=regions, feather=asked.feather) for each in below]

    def _region_stylizers(self, main: Sequence[Stylizer], load: Callable[[Path], Stylizer]) -> list[Stylizer | None]:
        loaded = {stylizer.style.path: stylizer for stylizer in main}
        found: list[Stylizer | None] = []
        for area in self._areas[1:]:
            if area.style is None:
                found.append(None)
                continue
            if area.style.path not in loaded:
                area.style.verify()
                loaded[area.style.path] = load(area.style.path)
            found.append(loaded[area.style.path].with_style(area.style))
        return found


def mask_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command that has ``--style``, and perhaps ``--timeline``, these options, as one argument ``masking``, a
    :class:`Masking`.
    """
    file = click.Path(path_type=Path)
    options = (
        click.option(
            "--mask", type=file, help="Grey or transparent picture: the style goes where it is white or opaque."
        ),
        click.option(
            "--region",
            "regions",
            multiple=True,
            metavar="MASK=STYLE",
            help="Another style, mix or photo (as it is) where MASK is white; may be repeated, later ones over earlier "
            "ones. Elsewhere --style goes, if it is given.",
        ),
        click.option(
            "--feather", type=float, default=0.0, show_default=True, metavar="PIXELS", help="Soft edges of masks."
        ),
        model_option("in --region, MASK may then be person or background."),
        click.option(
            "--mask-part",
            "part",
            type=click.Choice(PARTS),
            help="Where the style goes with a --mask-model.  [default: person, unless a --region names one]",
        ),
        normalize_option,
        class_option,
    )

    @functools.wraps(command)
    def with_masking(*arguments: Any, **others: Any) -> Any:
        sources = map(click.get_current_context().get_parameter_source, ("names", "style", "timeline"))
        given = any(source not in (None, ParameterSource.DEFAULT) for source in sources)
        own = {name: others.pop(name) for name in ("mask", "feather", "model", "part", "normalize", "classes")}
        regions = tuple(parse_region(text) for text in others.pop("regions"))
        masking = Masking(**own, regions=regions, style_given=given)
        return command(*arguments, **others, masking=masking)

    for option in reversed(options):
        with_masking = option(with_masking)
    return with_masking


def parse_region(text: str) -> RegionOption:
    """``MASK=STYLE``. Of several ``=`` it is the last one before which there is a file's name, or else the last of all.

    :raises OptionError: one of the two is missing.
    """
    places = [place for place, character in enumerate(text) if character == "="]
    named = (place for place in reversed(places) if text[:place] in PARTS or _is_file(text[:place]))
    place = next(named, places[-1] if places else 0)
    mask, style = text[:place].strip(), text[place + 1 :].strip()
    if not mask or not style:
        raise OptionError(f"a region is written MASK=STYLE, as sky.png=starry_night, got {text[:80]!r}")
    return RegionOption(mask, style)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than a path may be, or with a zero in it
        return False


def _mask(mask: Mask | str | None, segmenter: PersonSegmenter | None) -> Mask | None:
    if segmenter is None or not isinstance(mask, str):
        return mask if isinstance(mask, Mask) else None
    return segmenter.person if mask == PERSON else segmenter.background
