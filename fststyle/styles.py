"""Which styles there are: those that ship with fststyle, those in the user's folder, and any ONNX file named by its
path.
"""

from __future__ import annotations

import base64
import builtins
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fststyle.errors import ModelError, StyleNotFoundError, did_you_mean
from fststyle.mixes import Mix, parse_mix
from fststyle.onnx_metadata import read_onnx_metadata
from fststyle.style_folders import listed_digests, shipped_folder, user_folder

DEFAULT_STYLE = "starry_night"
PHOTO = "photo"
"""In a palette: the row that gives the photo back."""
METADATA_KEY, PREVIEW_KEY = "fststyle", "fststyle.preview"
METADATA_FORMAT, PALETTE_FORMAT = 1, 2
"""The layouts of the metadata that this version reads, for one style and for several; a file that says more needs a
newer fststyle.
"""

Origin = Literal["shipped", "user", "file"]


@dataclass(frozen=True)
class Painting:
    """What a style was made from. Any of it may be empty."""

    title: str = ""
    artist: str = ""
    year: str = ""
    licence: str = ""
    source: str = ""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.artist, self.title, self.year) if part)


@dataclass(frozen=True, eq=False)
class StyleInfo:
    """One style's ONNX file, as its metadata describes it.

    ``name`` is what the style is asked for by: the file's stem. ``bytes`` is the file's size. ``metadata`` is the whole
    JSON object that was stored at export. ``expected_sha256`` is the digest that ``SHA256SUMS`` beside a shipped file
    lists. A palette, a file of several styles, also has ``weights``: how they are mixed, the first painting alone
    unless a mix was asked for.
    """

    name: str
    path: Path
    preset: str
    painting: Painting
    bytes: int
    metadata: Mapping[str, Any]
    preview: builtins.bytes
    origin: Origin = "file"
    expected_sha256: str | None = None
    weights: tuple[float, ...] = ()

    @property
    def styles(self) -> tuple[str, ...]:
        """Of a palette: what :attr:`weights` are of, the photo itself first; empty for a file of one style."""
        return tuple(self.metadata.get("styles", ()))

    def mixed(self, mix: Mix) -> StyleInfo:
        """This palette as a mix of its styles, which is also its name; a style alone has its own name, painting and
        preview.

        :raises StyleNotFoundError: the palette has no such style.
        """
        weights = mix.weights(self.styles)
        chosen = [name for name, weight in zip(self.styles, weights, strict=True) if weight]
        if len(chosen) > 1:
            return replace(self, name=str(Mix(mix.shares)), weights=weights)
        return replace(
            self,
            name=chosen[0],
            weights=weights,
            painting=_painting(_own_entry(self.metadata, chosen[0])),
            preview=self.previews.get(chosen[0], b""),
        )

    @cached_property
    def previews(self) -> dict[str, builtins.bytes]:
        """Of a palette: a small picture for each of its styles."""
        stored = read_onnx_metadata(self.path)
        keys = {name: f"{PREVIEW_KEY}.{name}" for name in self.styles}
        return {name: _preview(stored[key], self.path) for name, key in keys.items() if key in stored}

    @property
    def label(self) -> str:
        """The name as a part of a file's name, which some systems allow no colon in."""
        return self.name.replace(":", "-").replace(",", "+")

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal digest of the file, computed when first asked for."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"cannot read {self.path}: {error.strerror or error}") from error

    def verify(self) -> None:
        """:class:`~fststyle.errors.ModelError` if a shipped file is not the one that was shipped."""
        if self.expected_sha256 is not None and self.sha256 != self.expected_sha256:
            raise ModelError(f"{self.path} is damaged: SHA256SUMS lists another digest; install fststyle again")

    def to_dict(self) -> dict[str, Any]:
        """What ``fststyle styles --json`` prints: JSON types only, without the preview's bytes."""
        return {
            "name": self.name,
            "preset": self.preset,
            "path": str(self.path),
            "origin": self.origin,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "painting": {entry.name: getattr(self.painting, entry.name) for entry in fields(Painting)},
            "styles": dict(zip(self.styles, self.weights, strict=True)),
            "metadata": dict(self.metadata),
        }


def available_styles() -> list[StyleInfo]:
    """Every readable style, sorted by name; one of the user's hides a shipped one of the same name."""
    return scan_styles()[0]


def scan_styles() -> tuple[list[StyleInfo], list[ModelError]]:
    """The styles as :func:`available_styles` lists them, and an error for each file that is not a style."""
    styles, errors = [], []
    for _, (path, origin) in sorted(_named_files().items()):
        try:
            styles.append(read_style(path, origin=origin))
        except ModelError as error:
            errors.append(error)
    return styles, errors


def style_names(styles: Sequence[StyleInfo] | None = None) -> list[str]:
    """What styles can be asked for by: those of files, then those that only palettes hold; of ``styles``, or of all
    that are available.
    """
    styles = available_styles() if styles is None else styles
    names = [style.name for style in styles if not style.styles]
    inside = [name for style in styles for name in style.styles if name != PHOTO]
    return [*dict.fromkeys([*names, *inside])]


def find_style(name_or_path: str | Path) -> StyleInfo:
    """The style of that name, the ONNX file at that path, or a mix of a palette's styles (:mod:`fststyle.mixes`): what
    ends in ``.onnx`` or has a folder in it is a path.

    :raises StyleNotFoundError: there is none; the nearest name is offered.
    :raises OptionError: a mix whose weights make no sense.
    :raises ModelError: the file is damaged or not one of ours.
    """
    text = os.fspath(name_or_path)
    mix = None if isinstance(name_or_path, Path) else parse_mix(text)
    if mix is not None:
        return choose_palette(mix, [find_style(mix.palette)] if mix.palette else available_styles()).mixed(mix)
    if isinstance(name_or_path, Path) or text.endswith(".onnx") or os.sep in text or (os.altsep or os.sep) in text:
        path = Path(name_or_path)
        if not path.is_file():
            raise StyleNotFoundError(f"no style file {path}{did_you_mean(path.stem, _named_files())}")
        return read_style(path)
    return named_style(text)


def choose_palette(mix: Mix, styles: Iterable[StyleInfo]) -> StyleInfo:
    """The first one of ``styles`` that holds all styles of the mix.

    :raises StyleNotFoundError: there is none; the nearest name is offered.
    """
    palettes = [style for style in styles if style.styles]
    for palette in palettes:
        if {*mix.shares} <= {*palette.styles}:
            return palette
    known = [*dict.fromkeys(name for palette in palettes for name in palette.styles)]
    if not known:
        raise StyleNotFoundError(f"{mix} asks for a palette, a network of several styles, and there is none of these")
    for name in mix.shares:
        if name not in known:
            raise StyleNotFoundError(
                f"no palette holds a style named {name[:80]!r}; styles: {', '.join(known)}{did_you_mean(name, known)}"
            )
    raise StyleNotFoundError(f"no palette holds all of {', '.join(mix.shares)}; only the styles of one can be mixed")


def named_style(name: str) -> StyleInfo:
    """The shipped or the user's style of that name, in a file of its own or in a palette; never a path.

    :raises StyleNotFoundError: there is none; the nearest name is offered.
    :raises ModelError: the file is damaged or not one of ours.
    """
    files = _named_files()
    if name not in files:
        styles = available_styles()
        known = style_names(styles)
        if name in known:
            mix = Mix({name: 1.0})
            return choose_palette(mix, styles).mixed(mix)
        listed = f"styles: {', '.join(sorted(known))}" if known else f"there are none in {user_folder()} or shipped"
        raise StyleNotFoundError(f"no style named {name!r}; {listed}{did_you_mean(name, [*known, *files])}")
    path, origin = files[name]
    return read_style(path, origin=origin)


def read_style(path: Path, *, origin: Origin = "file") -> StyleInfo:
    """What the file's metadata says; :class:`~fststyle.errors.ModelError` if it is damaged or not one of ours."""
    stored = read_onnx_metadata(path)
    metadata = parse_metadata(stored, path)
    names = metadata.get("styles", ())
    first = names[1] if len(names) > 1 else ""
    return StyleInfo(
        name=path.stem,
        path=path,
        preset=str(metadata.get("preset", "")),
        painting=_painting(metadata),
        bytes=path.stat().st_size,
        metadata=metadata,
        preview=_preview(stored.get(f"{PREVIEW_KEY}.{first}" if first else PREVIEW_KEY, ""), path),
        weights=tuple(float(name == first) for name in names),
        origin=origin,
        expected_sha256=listed_digests(shipped_folder()).get(path.name) if origin == "shipped" else None,
    )


def parse_metadata(stored: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The JSON object under ``fststyle`` in an ONNX file's metadata.

    :raises ModelError: there is none, it is not JSON, or a newer fststyle wrote it.
    """
    if METADATA_KEY not in stored:
        raise ModelError(f"{path} is an ONNX file, but not one of a style: it has no {METADATA_KEY!r} metadata")
    try:
        metadata = json.loads(stored[METADATA_KEY])
    except ValueError as error:
        raise ModelError(f"{path} has damaged metadata: {error}") from error
    if not isinstance(metadata, dict):
        raise ModelError(f"{path} has damaged metadata: expected a JSON object")
    if metadata.get("format") not in (METADATA_FORMAT, PALETTE_FORMAT):
        found = metadata.get("format")
        raise ModelError(
            f"{path} has metadata of format {found!r}; this fststyle reads {METADATA_FORMAT} and {PALETTE_FORMAT}: "
            "update it"
        )
    names = metadata.get("styles", [PHOTO, ""])
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise ModelError(f"{path} has damaged metadata: expected the names of two styles or more")
    return metadata


def _preview(stored: str, path: Path) -> bytes:
    try:
        return base64.b64decode(stored, validate=True)
    except ValueError as error:
        raise ModelError(f"{path} has a damaged preview") from error


def _own_entry(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Of a style in a palette: what the recipe says of it."""
    entries = metadata.get("recipe", {}).get("styles", ())
    return next((entry for entry in entries if entry.get("name") == name), {})


def _painting(metadata: Mapping[str, Any]) -> Painting:
    stored = metadata.get("painting")
    if not isinstance(stored, dict):
        return Painting()
    return Painting(**{entry.name: str(stored.get(entry.name, "")) for entry in fields(Painting)})


def _named_files() -> dict[str, tuple[Path, Origin]]:
    files: dict[str, tuple[Path, Origin]] = {}
    folders: list[tuple[Path, Origin]] = [(shipped_folder(), "shipped"), (user_folder(), "user")]
    for folder, origin in folders:
        for path in folder.glob("*.onnx"):
            files[path.stem] = (path, origin)
    return files
