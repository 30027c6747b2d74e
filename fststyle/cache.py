"""The folder of what can be fetched or computed again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "FSTSTYLE_CACHE"


def cache_folder() -> Path:
    """``$FSTSTYLE_CACHE``, or the user's cache folder; it need not exist."""
    root = os.environ.get(CACHE_VARIABLE)
    return Path(root) if root else user_cache_path("fststyle")
