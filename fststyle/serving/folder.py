"""Files, folders and globs -> the pictures that they stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fststyle.errors import InputError, OptionError, OutputError
from fststyle.formats import READABLE_SUFFIXES, WRITABLE_SUFFIXES


class Photo(NamedTuple):
    """A picture to stylise, and its place below the output folder."""

    source: Path
    place: Path


def find_photos(inputs: Sequence[str], output: str | None) -> list[Photo]:
    """Each picture once that ``inputs`` stand for: files, folders (searched at any depth) and globs.

    What lies in folders or under the fixed part of a glob keeps its place below ``output``.

    :raises InputError: a file is missing, or a folder or glob has no picture in it.
    :raises OptionError: a folder without an ``output``.
    """
    return list(dict.fromkeys(photo for text in inputs for photo in _expand(text, output)))


def output_folder(inputs: Sequence[str], output: str | None) -> Path | None:
    """``output`` where it is a folder: unless there is one input, a file, and it has a picture's suffix.

    :raises OptionError: ``output`` is a file's name, and there are several inputs.
    :raises OutputError: there is a file where the folder should be.
    """
    return None if output is None or _names_a_file(inputs, output) else Path(output)


def _expand(text: str, output: str | None) -> list[Photo]:
    path = Path(text)
    if path.is_dir():
        if output is None:
            raise OptionError(f"{text} is a folder: say with -o in which folder its results go")
        photos = photos_below(path, Path(output))
        if not photos:
            raise InputError(f"no pictures in {text}; looked for {', '.join(READABLE_SUFFIXES)}")
        return photos
    if path.exists() or not glob.has_magic(text):
        if not path.is_file():
            raise InputError(f"cannot read {text}: {'not a file' if path.exists() else 'no such file'}")
        return [Photo(path, Path(path.name))]
    base = _fixed_part(path)
    matches = sorted(match for match in base.glob(str(path.relative_to(base))) if match.name[0] != ".")
    photos = [Photo(match, match.relative_to(base)) for match in matches if _looks_readable(match) and match.is_file()]
    if not photos:
        raise InputError(f"no picture matches {text}")
    return photos


def photos_below(folder: Path, output: Path) -> list[Photo]:
    """All pictures below ``folder`` by name, sorted; neither hidden ones nor, when it lies inside, those in
    ``output``.
    """
    left_out = os.path.realpath(output)
    photos = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name[0] != "." and os.path.realpath(Path(parent, name)) != left_out
        )
        paths = (Path(parent, name) for name in sorted(files) if name[0] != ".")
        photos += [Photo(path, path.relative_to(folder)) for path in paths if _looks_readable(path)]
    return photos


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
