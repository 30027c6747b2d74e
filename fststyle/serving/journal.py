"""What an output folder knows of its results: which photo each was made from, and how.

The journal is ``.fststyle/journal.jsonl`` in the output folder, one JSON object a line. A line is written and flushed
to disk after the result's bytes and before the result gets its name, so that a result never stands there unknown:
whatever ends the process between the two leaves a line without its file, which counts for nothing.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

from fststyle.atomic import atomic_path, make_folder
from fststyle.errors import OutputError
from fststyle.formats import WRITABLE_SUFFIXES

FOLDER = ".fststyle"
_TEMPORARY = re.compile(r"\.fststyle-[0-9a-f]{12}(\.\w+)")


@dataclass(frozen=True)
class Settings:
    """All that decides what comes of a photo, besides the photo."""

    style_sha256: str
    strength: float
    keep_color: bool
    max_size: int | None
    keep_metadata: bool
    stroke_size: float | None = None
    tile: int | str = "auto"
    blend: str = "pixels"
    weights: tuple[float, ...] = ()
    masks: str = ""


@dataclass(frozen=True)
class Version:
    """Tells one version of a file from another without reading it: its size in bytes and when it was written."""

    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Version:
        """:class:`OSError` if there is no such file."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Record:
    """One line. ``output`` is relative to the folder, with slashes; ``source`` is absolute; ``label`` is the style's
    label where the results of several are told apart by it, else empty; ``sha256`` is the result's.
    """

    output: str
    source: str
    label: str
    photo: Version
    settings: Settings
    result: Version
    sha256: str


class State(enum.Enum):
    """What stands where a result should go; the value says why it stays as it is."""

    MISSING = ""
    DONE = "is done"
    FOREIGN = "exists already"
    OTHER_PHOTO = "exists already, made from another version of the photo"
    OTHER_SETTINGS = "exists already, made with other settings"


class Journal:
    """The journal of one output folder; writing is safe from several threads."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; nothing is made yet."""
        self.folder = folder
        self._file = folder / FOLDER / "journal.jsonl"
        self._records = {record.output: record for record in _read(self._file)}
        self._writing = threading.Lock()

    def results(self) -> Iterator[Record]:
        """The records whose files are still there."""
        return (record for record in self._records.values() if (self.folder / record.output).exists())

    def state(self, target: Path, source: Path, settings: Settings) -> State:
        """Done means: the file is the one that was written, from this version of the photo, with the same settings."""
        if not target.exists():
            return State.MISSING
        record = self._records.get(self._key(target))
        if record is None or not _unchanged(target, record):
            return State.FOREIGN
        if record.settings != settings:
            return State.OTHER_SETTINGS
        with contextlib.suppress(OSError):
            if Version.of(source) == record.photo:
                return State.DONE
        return State.OTHER_PHOTO

    @contextmanager
    def kept(self, folders: Iterable[Path]) -> Iterator[None]:
        """Holds the output folder for this process, and removes what a killed one left half-written in ``folders``.

        :raises OutputError: another process holds it, or the journal cannot be written.
        """
        from filelock import FileLock, Timeout

        make_folder(self._file.parent)
        lock = FileLock(self._file.with_name("lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(f"another fststyle is writing to {self.folder}") from error
        except OSError as error:
            raise OutputError(f"cannot write to {self._file.parent}: {error.strerror or error}") from error
        try:
            for folder in {self.folder, *folders}:
                _remove_temporary(folder)
            _end_last_line(self._file)
            yield
        finally:
            lock.release()

    def write(
        self,
        data: bytes | mmap,
        target: Path,
        *,
        source: Path,
        photo: Version,
        label: str,
        settings: Settings,
        overwrite: bool,
    ) -> None:
        """Writes ``data`` atomically, as :func:`~fststyle.atomic.atomic_path` does, and the record of it."""
        make_folder(target.parent)
        with atomic_path(target, overwrite=overwrite) as temporary:
            try:
                temporary.write_bytes(data)
                record = Record(
                    output=self._key(target),
                    source=os.path.realpath(source),
                    label=label,
                    photo=photo,
                    settings=settings,
                    result=Version.of(temporary),
                    sha256=hashlib.sha256(data).hexdigest(),
                )
                self._append(record)
            except OSError as error:
                raise OutputError(f"cannot write {target}: {error.strerror or error}") from error

    def _append(self, record: Record) -> None:
        line = f"{json.dumps(asdict(record))}\n".encode("ascii")
        with self._writing, self._file.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._records[record.output] = record

    def _key(self, target: Path) -> str:
        return Path(os.path.relpath(target, self.folder)).as_posix()


def _read(file: Path) -> Iterator[Record]:
    """A line that cannot be read, as a killed process may leave one, counts as not written."""
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot read {file}: {error.strerror or error}") from error
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            stored = json.loads(line)
            yield Record(
                **stored
                | {
                    "photo": Version(**stored["photo"]),
                    "settings": _settings(stored["settings"]),
                    "result": Version(**stored["result"]),
                }
            )


def _settings(stored: dict[str, Any]) -> Settings:
    return Settings(**stored | {"weights": tuple(stored.get("weights", ()))})


def _unchanged(target: Path, record: Record) -> bool:
    """A copy has another time but the same content."""
    try:
        version = Version.of(target)
        if version.bytes != record.result.bytes or version == record.result:
            return version == record.result
        return hashlib.sha256(target.read_bytes()).hexdigest() == record.sha256
    except OSError:
        return False


def _remove_temporary(folder: Path) -> None:
    """Half-written pictures only: what another command is writing here has another suffix."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and match[1].lower() in WRITABLE_SUFFIXES:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def _end_last_line(file: Path) -> None:
    """Makes sure that a line cut short does not swallow the next."""
    try:
        with file.open("ab+") as journal:
            if journal.tell():
                journal.seek(-1, os.SEEK_END)
                if journal.read(1) != b"\n":
                    journal.write(b"\n")
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}") from error
