"""The end of the road of one picture: encoded, and written atomically."""

from __future__ import annotations

from pathlib import Path

from fststyle.atomic import atomic_write, check_output, make_folder
from fststyle.formats import format_for
from fststyle.images import Picture, encode_for_file
from fststyle.serving.stages import Stages


def check_target(path: Path, *, force: bool) -> None:
    """Everything about a file to be written that can be known before the work; the errors are :func:`write`'s."""
    check_output(path, overwrite=force)
    format_for(path)


def write(picture: Picture, path: Path, *, force: bool, keep_metadata: bool, stages: Stages | None = None) -> None:
    """Encode for the suffix of ``path`` and write atomically; folders on the way are made.

    :raises OptionError: no format has that suffix, or the format cannot hold the transparency there is.
    :raises OutputError: it cannot be written, or exists and ``force`` is false.
    """
    stages = stages or Stages()
    with stages.measure("encode"):
        data = encode_for_file(picture, format_for(path).name, keep_metadata=keep_metadata)
    with stages.measure("write"):
        make_folder(path.parent)
        atomic_write(path, data, overwrite=force)
