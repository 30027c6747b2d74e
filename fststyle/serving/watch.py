"""Pictures that arrive in a folder, once they are complete."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fststyle.serving.folder import Photo
from fststyle.serving.journal import Version

SECONDS = 1.0
"""Between two looks."""


def arrivals(
    look: Callable[[], Sequence[Photo]], *, stop: threading.Event, seconds: float = SECONDS
) -> Iterator[list[Photo]]:
    """What ``look`` finds, again and again until ``stop``: each picture once, and again when it has been changed.

    A file counts as complete when it is not empty and two looks, ``seconds`` apart, found its size and time the same.
    Looking works on every file system, network shares included, which announce nothing.
    """
    handed_out: dict[Path, Version] = {}
    before: dict[Path, Version] = {}
    while not stop.is_set():
        photos = look()
        now: dict[Path, Version] = {}
        for photo in photos:
            with contextlib.suppress(OSError):  # gone again
                now[photo.source] = Version.of(photo.source)
        ready = [
            photo
            for photo in photos
            if (version := now.get(photo.source)) is not None
            and version.bytes > 0
            and version == before.get(photo.source)
            and version != handed_out.get(photo.source)
        ]
        before = now
        handed_out |= {photo.source: now[photo.source] for photo in ready}
        if ready:
            yield ready
        stop.wait(seconds)
