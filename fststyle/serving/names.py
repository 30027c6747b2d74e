"""What each result is called."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fststyle.errors import OptionError
from fststyle.formats import FORMATS, READABLE_SUFFIXES, WRITABLE_SUFFIXES
from fststyle.serving.folder import Photo
from fststyle.serving.journal import Record


@dataclass(frozen=True)
class Job:
    """One picture to read and one to write. ``style`` is the style's name; ``label`` is what stands for it in names of
    files where the results of several are told apart by it, else empty.
    """

    source: Path
    target: Path
    style: str
    label: str = ""


class Names:
    """Which file each result goes to, never one file for two results.

    In a folder a result has its photo's place and name; without one it lies beside its photo, as ``photo-style.jpg``.
    Several styles are told apart by ``-style`` at the end of the name. Formats that are only read become the one that
    :data:`~fststyle.formats.FORMATS` names. Names that would meet, also where upper and lower case are the same, are
    told apart: whoever has had a name keeps it, then comes who keeps his suffix, then the order of the photos; the
    others become ``x-gif.png`` where that helps, or ``x-2.jpg``, ``x-3.jpg`` and so on.
    """

    def __init__(
        self,
        folder: Path | None,
        styles: Mapping[str, str],
        known: Iterable[Record] = (),
        *,
        turns: Mapping[str, str] | None = None,
    ) -> None:
        """``styles``: the label of each, by its name. ``known`` are the results of earlier runs: their names belong to
        their photos, while these are there. ``turns`` None: each photo in every style; else in one, the styles in turn,
        but those photos, named by their absolute paths, in the style that it says.
        """
        self._folder, self._styles = folder, styles
        self._turns = None if turns is None else dict(turns)
        self._seen: set[str] = set()
        self._targets: dict[tuple[str, str], Path] = {}
        self._taken: set[str] = set()
        self._sources: set[str] = set()
        for record in known:
            if folder is not None and os.path.exists(record.source):  # noqa: PTH110 - no path is made of it
                self._take(record.source, record.label, folder / record.output)

    def jobs(self, photos: Sequence[Photo]) -> list[Job]:
        """A job for each photo and style of it, in their order; the photos that came before are remembered.

        :raises OptionError: a result would replace a photo.
        """
        sources = {photo.source: os.path.realpath(photo.source) for photo in photos}
        styles = {photo.source: self._styles_of(sources[photo.source]) for photo in photos}
        for photo in sorted(photos, key=lambda photo: _suffix(photo.source) != photo.source.suffix):
            for style, label in styles[photo.source].items():
                if (sources[photo.source], label) not in self._targets:
                    self._take(sources[photo.source], label, self._free(photo, style, label))
        jobs = [
            Job(photo.source, self._targets[sources[photo.source], label], style, label)
            for photo in photos
            for style, label in styles[photo.source].items()
        ]
        return self._checked(jobs)

    def renamed(self, photos: Sequence[Photo], file: Path) -> list[Job]:
        """The one photo in the one style as ``file``; :class:`~fststyle.errors.OptionError` if that is the photo."""
        (photo,), (style,) = photos, self._styles
        return self._checked([Job(photo.source, file, style)])

    def _styles_of(self, source: str) -> dict[str, str]:
        """Those of one photo, and the label that its result has to have."""
        if self._turns is None:
            return {style: label if len(self._styles) > 1 else "" for style, label in self._styles.items()}
        if source not in self._seen:
            self._seen.add(source)
            self._turns.setdefault(source, [*self._styles][(len(self._seen) - 1) % len(self._styles)])
        return {self._turns[source]: ""}

    def _checked(self, jobs: list[Job]) -> list[Job]:
        self._sources |= {_folded(job.source) for job in jobs}
        for job in jobs:
            if _folded(job.target) in self._sources:
                raise OptionError(f"{job.target} would replace an input; inputs are never touched")
        return jobs

    def _take(self, source: str, label: str, target: Path) -> None:
        self._targets[source, label] = target
        self._taken.add(_folded(target))

    def _free(self, photo: Photo, style: str, label: str) -> Path:
        place = photo.source if self._folder is None else self._folder / photo.place
        end = self._styles[style] if self._folder is None else label
        suffix = _suffix(photo.source)
        return next(
            target
            for stem in _stems(photo.source, suffix)
            if _folded(target := place.with_name(f"{stem}{'-' if end else ''}{end}{suffix}")) not in self._taken
        )


def _stems(source: Path, suffix: str) -> Iterator[str]:
    yield source.stem
    if source.suffix and suffix != source.suffix:
        yield f"{source.stem}-{source.suffix[1:].lower()}"
    number = 1
    while number := number + 1:
        yield f"{source.stem}-{number}"


def _folded(path: Path | str) -> str:
    """The same for all names of one file, and for names that some file systems hold to be one."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _suffix(source: Path) -> str:
    """The suffix of the result: the photo's own, or that of the format in which its kind is written."""
    suffix = source.suffix
    if suffix.lower() in WRITABLE_SUFFIXES:
        return suffix
    if suffix.lower() in READABLE_SUFFIXES:
        return FORMATS[READABLE_SUFFIXES[suffix.lower()].result].suffixes[0]
    return FORMATS["PNG"].suffixes[0]
