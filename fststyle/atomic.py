"""Files appear whole or not at all: written beside their place under another name, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

from fststyle.errors import OutputError

# Errors that whatever fills the temporary file meets because of the disk, not because of its own reading.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


@contextmanager
def atomic_path(path: Path | str, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary file to fill, in the same folder and with the same suffix; it becomes ``path`` when the block ends.

    When the block raises, the temporary file is removed and whatever stood at ``path`` stays as it was. A symbolic link
    is followed, so that its target is replaced and not the link.

    :raises OutputError: the folder is missing or not writable, the disk is full, ``path`` is not a regular file, or it
        exists and ``overwrite`` is false (also when it came to exist while the block ran).
    """
    place = Path(os.path.realpath(path))
    check_output(place, overwrite=overwrite, shown=path)
    temporary = place.with_name(f".fststyle-{secrets.token_hex(6)}{place.suffix}")
    try:
        # Not through tempfile, whose files are private: a result gets the permissions that the user's umask gives.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _flush(temporary, os.O_RDWR)
        _publish(temporary, place, overwrite)
        if os.name == "posix":
            _flush(place.parent, os.O_RDONLY)
    except OSError as error:
        if error.errno in _DISK or error.filename in (str(temporary), temporary, str(place.parent), place.parent):
            raise _cannot_write(path, error) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def atomic_write(path: Path | str, data: bytes | mmap, *, overwrite: bool = True) -> None:
    """Writes ``data`` to ``path`` as :func:`atomic_path` does, with its errors."""
    with atomic_path(path, overwrite=overwrite) as temporary:
        try:
            temporary.write_bytes(data)
        except OSError as error:
            raise _cannot_write(path, error) from error


def check_output(path: Path, *, overwrite: bool, shown: Path | str | None = None) -> None:
    """Whether ``path`` may be written, as far as that shows before writing: for failing before long work.

    :raises OutputError: it exists and ``overwrite`` is false, or it is a folder, a device or a pipe.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise _cannot_write(shown or path, error) from error
    if exists and not path.is_file():
        # Renaming onto /dev/null as root would replace the device.
        raise OutputError(f"cannot write {shown or path}: it is not a regular file")
    if exists and not overwrite:
        raise _exists(shown or path)


def make_folder(folder: Path) -> None:
    """The folder and its parents, unless they are there; :class:`~fststyle.errors.OutputError` if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def _publish(temporary: Path, place: Path, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(temporary, place)  # unlike a rename, it fails if the name was taken in the meantime
            return
        except FileExistsError as error:
            raise _exists(place) from error
        except OSError:
            check_output(place, overwrite=False)  # a file system without hard links: the check is the best there is
    temporary.replace(place)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(path: Path | str) -> OutputError:
    return OutputError(f"{path} exists already; --force (force=True) overwrites it")


def _cannot_write(path: Path | str, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror or error}")
