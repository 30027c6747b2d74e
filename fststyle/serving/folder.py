"""Files, folders and globs -> jobs, each one picture to read and one to write; everything is decided before the first
runs.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fststyle.errors import FststyleError, InputError, OptionError, OutputError
from fststyle.formats import FORMATS, READABLE_SUFFIXES, WRITABLE_SUFFIXES
from fststyle.images import read_picture
from fststyle.serving.stylizer import Look, Stages, Stylizer, check_target, write


@dataclass(frozen=True)
class Job:
    source: Path
    target: Path


@dataclass(frozen=True)
class Finished:
    """What became of a job: ``error``, or the result's ``size`` (width, height) and how long each stage took."""

    job: Job
    size: tuple[int, int] | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    error: FststyleError | None = None


def plan_jobs(inputs: Sequence[str], output: str | None, *, style: str, force: bool = False) -> list[Job]:
    """One job for each picture that ``inputs`` stand for: files, folders (searched at any depth) and globs.

    ``output`` is a file if there is one input, a file, and it has a picture's suffix; otherwise it is a folder, and
    what lies in folders or under the fixed part of a glob keeps its place below it. Without it a result lies beside its
    photo, as ``photo-style.jpg``. Formats that are only read become the one that :data:`~fststyle.formats.FORMATS`
    names.

    :raises InputError: a file is missing, or a folder or glob has no picture in it.
    :raises OptionError: two inputs would be written to one file, or a result would replace an input.
    :raises OutputError: a result exists already and ``force`` is false.
    """
    found = list(dict.fromkeys(pair for text in inputs for pair in _expand(text, output)))
    if output is None:
        jobs = [Job(source, source.with_name(f"{source.stem}-{style}{_suffix(source)}")) for source, _ in found]
    elif _names_a_file(inputs, output):
        jobs = [Job(found[0][0], Path(output))]
    else:
        jobs = [Job(source, (Path(output) / place).with_suffix(_suffix(source))) for source, place in found]
    _check_apart(jobs)
    _check_targets(jobs, force)
    return jobs


def run_jobs(
    stylizer: Stylizer, jobs: Iterable[Job], look: Look, *, force: bool = False, keep_metadata: bool = False
) -> Iterator[Finished]:
    """Runs the jobs in order; one that fails is reported like the others and does not stop them."""
    for job in jobs:
        stages = Stages()
        try:
            with stages.measure("decode"):
                photo = read_picture(job.source, max_pixels=stylizer.max_pixels)
            picture = stylizer.stylise(photo, look, stages)
            write(picture, job.target, force=force, keep_metadata=keep_metadata, stages=stages)
        except FststyleError as error:
            yield Finished(job, milliseconds=stages.milliseconds, error=error)
        else:
            yield Finished(job, picture.size, stages.milliseconds)


def _expand(text: str, output: str | None) -> list[tuple[Path, Path]]:
    """Each picture with its place below the output folder."""
    path = Path(text)
    if path.is_dir():
        if output is None:
            raise OptionError(f"{text} is a folder: say with -o in which folder its results go")
        return _pictures_in(path, Path(output))
    if path.exists() or not glob.has_magic(text):
        if not path.is_file():
            raise InputError(f"cannot read {text}: {'not a file' if path.exists() else 'no such file'}")
        return [(path, Path(path.name))]
    base = _fixed_part(path)
    matches = sorted(match for match in base.glob(str(path.relative_to(base))) if match.name[0] != ".")
    pairs = [(match, match.relative_to(base)) for match in matches if _looks_readable(match) and match.is_file()]
    if not pairs:
        raise InputError(f"no picture matches {text}")
    return pairs


def _pictures_in(folder: Path, output: Path) -> list[tuple[Path, Path]]:
    """All pictures below ``folder`` by name, sorted; neither hidden ones nor, when it lies inside, those in
    ``output``.
    """
    left_out = os.path.realpath(output)
    pairs = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name[0] != "." and os.path.realpath(Path(parent, name)) != left_out
        )
        paths = (Path(parent, name) for name in sorted(files) if name[0] != ".")
        pairs += [(path, path.relative_to(folder)) for path in paths if _looks_readable(path)]
    if not pairs:
        raise InputError(f"no pictures in {folder}; looked for {', '.join(READABLE_SUFFIXES)}")
    return pairs


def _fixed_part(pattern: Path) -> Path:
    """The folders of a glob before its first magic character."""
    parts = list(pattern.parts[:-1])
    while any(glob.has_magic(part) for part in parts):
        parts.pop()
    return Path(*parts)


def _looks_readable(path: Path) -> bool:
    return path.suffix.lower() in READABLE_SUFFIXES


def _names_a_file(inputs: Sequence[str], output: str) -> bool:
    path = Path(output)
    if path.is_dir() or output.endswith(("/", os.sep)):
        return False
    if len(inputs) == 1 and Path(inputs[0]).is_file() and (path.suffix or path.exists()):
        return True  # also out.jpgg: that is a slip, and no folder, and _check_targets says so
    if path.suffix.lower() in WRITABLE_SUFFIXES:
        raise OptionError(f"several pictures cannot all be written to {output}; name a folder")
    if path.exists():
        raise OutputError(f"cannot make the folder {output}: there is a file of that name")
    return False


def _suffix(source: Path) -> str:
    """The suffix of the result: the photo's own, or that of the format in which its kind is written."""
    suffix = source.suffix
    if suffix.lower() in WRITABLE_SUFFIXES:
        return suffix
    if suffix.lower() in READABLE_SUFFIXES:
        return FORMATS[READABLE_SUFFIXES[suffix.lower()].result].suffixes[0]
    return FORMATS["PNG"].suffixes[0]


def _check_apart(jobs: list[Job]) -> None:
    sources = {os.path.realpath(job.source) for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        place = os.path.normcase(os.path.realpath(job.target))
        if place in sources:
            raise OptionError(f"{job.target} would replace an input; inputs are never touched")
        if place in taken:
            raise OptionError(f"{taken[place]} and {job.source} would both be written to {job.target}")
        taken[place] = job.source


def _check_targets(jobs: list[Job], force: bool) -> None:
    refused = []
    for job in jobs:
        try:
            check_target(job.target, force=force)
        except OutputError as error:
            refused.append(error)
    if len(refused) > 1:
        raise OutputError(f"{refused[0]} (and {len(refused) - 1} more like it)") from refused[0]
    if refused:
        raise refused[0]
