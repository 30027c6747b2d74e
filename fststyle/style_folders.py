"""Where styles lie, and the digests of those that ship."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_VARIABLE = "FSTSTYLE_STYLES"
DIGESTS_FILE = "SHA256SUMS"


def user_folder() -> Path:
    """Where a user's own styles lie: ``$FSTSTYLE_STYLES``, else the platform's data folder. It need not exist."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("fststyle", appauthor=False)) / "styles"
    except RuntimeError:  # an account without a home, as services have; container engines take the root for one
        return Path(os.sep, ".local", "share", "fststyle", "styles")


def shipped_folder() -> Path:
    """``fststyle/checkpoints`` in an installed package, ``checkpoints`` at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "checkpoints"
    return installed if installed.is_dir() else package.parent / "checkpoints"


def listed_digests(folder: Path) -> dict[str, str]:
    """Hexadecimal digests by file name, as ``SHA256SUMS`` in the folder lists them; empty where there is none."""
    try:
        lines = (folder / DIGESTS_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}  # a checkout in which nothing has been trained yet, or a user's own folder
    pairs = [line.split(maxsplit=1) for line in lines]
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}
