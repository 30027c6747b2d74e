"""One file from an HTTP server, whole and verified, or not at all.

A download that was cut off stays beside its target as ``NAME.part`` and is continued by the next call, if the server
still has the same file: ``NAME.part.validator`` holds the entity tag or date that says so (RFC 9110, section 13.1.5).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from fststyle import __version__
from fststyle.errors import DownloadError, OptionError, OutputError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes there will be (None: the server did not say)."""

CHUNK = 1 << 20
LONGEST_PAUSE = 30.0
PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
CHECKSUM = re.compile(r"(md5|sha1|sha256):[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    ``size`` is in bytes; ``checksum`` is ``sha256:`` (``sha1:``, ``md5:``) and the hexadecimal digest, or the first
    eight or more digits of it. A size of None and an empty checksum are not checked.
    """

    url: str
    size: int | None = None
    checksum: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError(f"{self.url!r} is not an http or https address")
        if self.checksum and not CHECKSUM.fullmatch(self.checksum):
            raise OptionError(f"{self.checksum!r} is not a checksum such as 'sha256:0123abcd...'")


@dataclass(frozen=True)
class Patience:
    """``timeout`` (seconds) is for each read, not for the file.

    ``retries`` counts failures in a row that brought no new byte; before retry n there is a pause of
    ``pause`` * 2**(n - 1) seconds, at most :data:`LONGEST_PAUSE`.
    """

    retries: int = 5
    timeout: float = 30.0
    pause: float = 1.0

    def __post_init__(self) -> None:
        if self.retries < 0 or self.timeout <= 0 or self.pause < 0:
            raise OptionError(f"retries and pause are at least 0 and timeout is greater than 0, not {self}")


class _PassingError(Exception):
    """A failure that another attempt may not meet."""


def download(remote: Remote, path: Path, *, progress: Progress | None = None, patience: Patience | None = None) -> Path:
    """Bring ``remote`` to ``path`` and return ``path``.

    A file that lies there is kept if its size and checksum fit, and replaced if not.
    Whoever else downloads to the same path, in any process, waits and then finds the file.

    Raises :class:`~fststyle.errors.DownloadError` (the server cannot be reached, refuses, or its file is not the
    expected one) or :class:`~fststyle.errors.OutputError` (the folder cannot be written to, or the disk has not enough
    room).
    """
    from filelock import FileLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.exists() and mismatch(remote, path) is None:
                return path
            part = path.with_name(f"{path.name}.part")
            _Transfer(remote, part, progress, patience or Patience()).run()
            if (problem := mismatch(remote, part)) is not None:
                _forget(part)
                raise DownloadError(f"{remote.url}: {problem}")
            part.replace(path)
            _forget(part)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def matches(path: Path, checksum: str) -> bool:
    """Whether a file has the checksum, as :class:`Remote` writes it."""
    algorithm, _, expected = checksum.partition(":")
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    return actual.startswith(expected)


def check_room(folder: Path, needed: int) -> None:
    """Raise :class:`~fststyle.errors.OutputError` if an existing folder's disk has less than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(f"not enough room in {folder}: {needed / 1e6:,.1f} MB needed, {free / 1e6:,.1f} MB free")


def mismatch(remote: Remote, path: Path) -> str | None:
    """What tells an existing file from ``remote``, in words, or None."""
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"the file has {size} bytes, {remote.size} were expected"
    if remote.checksum and not matches(path, remote.checksum):
        return f"the file does not have the checksum {remote.checksum}: it is damaged or another one"
    return None


def _validator_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_path(part).unlink(missing_ok=True)


class _Transfer:
    """Attempts to complete one ``.part`` file."""

    def __init__(self, remote: Remote, part: Path, progress: Progress | None, patience: Patience) -> None:
        self.remote, self.part, self.patience = remote, part, patience
        self.progress = progress or (lambda done, total: None)
        self.reached = False

    def run(self) -> None:
        failures = 0
        while True:
            before = self._offset()
            try:
                self._attempt()
                return
            except _PassingError as error:
                failures = 1 if self._offset() > before else failures + 1
                if failures > self.patience.retries:
                    raise DownloadError(f"cannot download {self.remote.url}: {error}") from error
            time.sleep(min(self.patience.pause * 2 ** (failures - 1), LONGEST_PAUSE))

    def _offset(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _attempt(self) -> None:
        validator = _validator_path(self.part)
        offset = self._offset() if validator.exists() else 0
        if offset and offset == self.remote.size:
            return
        headers = {"User-Agent": f"fststyle/{__version__}", "Accept-Encoding": "identity"}
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": validator.read_text("ascii")}
        with self._open(headers) as response:
            if response.status == 206:
                start, total = _content_range(response)
                if start != offset:
                    raise _PassingError(f"byte {start} was sent where byte {offset} had been asked for")
            else:
                _forget(self.part)  # the server ignores ranges, or has another file now
                length = response.headers.get("Content-Length")
                offset, total = 0, int(length) if length and length.isdecimal() else None
            self._check_total(total, offset)
            if (tag := _strong_validator(response)) is not None:
                validator.write_text(tag, "ascii")
            with self.part.open("ab") as file:
                self._copy(response, file, offset, total or self.remote.size)

    def _open(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        request = urllib.request.Request(self.remote.url, headers=headers)
        try:
            response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=self.patience.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:  # what is here is longer than what the server has
                    _forget(self.part)
                reason = f"HTTP status {error.code} {error.reason}"
            if error.code in PASSING_STATUS or error.code == 416:
                raise _PassingError(reason) from error
            raise DownloadError(f"cannot download {self.remote.url}: {reason}") from error
        except urllib.error.URLError as error:
            unknown_host = isinstance(error.reason, socket.gaierror) and not self.reached
            if unknown_host or isinstance(error.reason, ssl.SSLCertVerificationError):
                raise DownloadError(f"cannot download {self.remote.url}: {error.reason}") from error
            raise _PassingError(str(error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(str(error) or type(error).__name__) from error
        self.reached = True
        return response

    def _check_total(self, total: int | None, offset: int) -> None:
        expected = self.remote.size
        if expected is not None and total is not None and total != expected:
            _forget(self.part)
            raise DownloadError(
                f"{self.remote.url} now has {total} bytes, {expected} were expected: it is another file"
            )
        if (size := total or expected) is not None:
            check_room(self.part.parent, size - offset)

    def _copy(self, response: http.client.HTTPResponse, file: BinaryIO, done: int, total: int | None) -> None:
        self.progress(done, total)
        while True:
            try:
                chunk = response.read1(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _PassingError(str(error) or type(error).__name__) from error
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            self.progress(done, total)
        file.flush()
        os.fsync(file.fileno())
        if total is not None and done < total:
            raise _PassingError(f"the connection was closed after {done} of {total} bytes")


def _content_range(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if match is None:
        raise _PassingError("the server sent a part of the file without saying which")
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _strong_validator(response: http.client.HTTPResponse) -> str | None:
    tag = response.headers.get("ETag", "")
    if tag.startswith('"') and tag.isascii():  # a weak one, W/"...", does not promise equal bytes
        return tag
    date = response.headers.get("Last-Modified", "")
    return date if date and date.isascii() else None
