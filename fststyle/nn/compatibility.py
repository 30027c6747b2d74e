"""Whether the installed torch and torchvision were built for each other."""

from __future__ import annotations

import importlib
import re
import sys
from importlib import metadata

from fststyle.errors import DependencyError


def check_torch_pair() -> None:
    """Import torchvision, if it is installed, and turn its failure into advice. Call it before Lightning is imported.

    torchvision's compiled part fits exactly one version of torch; with any other, importing it ends in errors such as
    ``operator torchvision::nms does not exist``. Lightning's metrics import torchvision wherever it is installed.

    Raises :class:`~fststyle.errors.DependencyError` if torch is not installed, or if torchvision is and does not work
    with it.
    """
    torch = _version("torch")
    if torch is None:
        raise DependencyError('torch is not installed; install it with: pip install "fststyle[train]"')
    torchvision = _version("torchvision")
    if torchvision is None:
        return
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DependencyError(
            f"torch {torch} and torchvision {torchvision} do not fit each other{_wanted()} ({reason}); mend it with: "
            f"{sys.executable} -m pip install --upgrade --force-reinstall torch torchvision"
        ) from error


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _wanted() -> str:
    """``": this torchvision needs torch ==2.9.0"``, if its metadata say so."""
    for requirement in metadata.requires("torchvision") or ():
        if match := re.fullmatch(r"torch\s*\(?([=<>~!][^;)]*)\)?", requirement):
            return f": this torchvision needs torch {match[1].strip()}"
    return ""
