"""The page's files: read once from the package's folder, so that a request can only name one of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
}


@dataclass(frozen=True)
class Asset:
    data: bytes
    media_type: str
    etag: str


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """Name to contents; files with a suffix that has no media type here are not served."""
    if not folder.is_dir():
        return {}
    return {
        path.name: _read(path) for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in _MEDIA_TYPES
    }


def _read(path: Path) -> Asset:
    data = path.read_bytes()
    return Asset(data, _MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:32]}"')
