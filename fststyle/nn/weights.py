"""Pretrained VGG weights, digest-checked, from the first place that has them.

1. a file that the user names: ``file=``, ``--vgg-weights`` or the environment variable ``FSTSTYLE_VGG_WEIGHTS``;
2. the cache: ``weights/`` in ``$FSTSTYLE_CACHE`` or in the user's cache folder for fststyle;
3. the sources of :mod:`fststyle.nn.weight_sources`, in their order; what they give goes to the cache.

A file that the user names is used or refused, never passed over for another source.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from fststyle.atomic import atomic_path
from fststyle.cache import cache_folder
from fststyle.downloads import Progress, matches
from fststyle.errors import DownloadError, OutputError, WeightsError
from fststyle.nn.weight_files import (
    ARCHITECTURES,
    Normalization,
    VGGArchitecture,
    VGGWeights,
    digest,
    find_architecture,
    read_safetensors,
    read_state_dict,
    write_safetensors,
)
from fststyle.nn.weight_sources import KNOWN_STATE_DICTS, SOURCES, Source, StateDictSource

__all__ = [
    "ARCHITECTURES",
    "Normalization",
    "VGGWeights",
    "cache_path",
    "load_vgg_weights",
    "named_file",
    "read_cache",
    "read_weights_file",
]

FILE_VARIABLE = "FSTSTYLE_VGG_WEIGHTS"
logger = logging.getLogger(__name__)


def load_vgg_weights(
    architecture: str | VGGArchitecture = "vgg16",
    *,
    file: Path | None = None,
    sources: Sequence[Source] = SOURCES,
    progress: Progress | None = None,
) -> VGGWeights:
    """The weights of ``vgg16`` or ``vgg19``, fetched at first use.

    A damaged cache is fetched again, with a warning in the log; one that cannot be written to is done without.

    Raises :class:`~fststyle.errors.OptionError` for an unknown architecture and
    :class:`~fststyle.errors.WeightsError` if the file named cannot be used or no source worked; then the message lists
    what was tried.
    """
    vgg = architecture if isinstance(architecture, VGGArchitecture) else find_architecture(architecture)
    if (named := file or named_file()) is not None:
        return read_weights_file(named, vgg)
    own = [source for source in sources if source.architecture == vgg.name]
    path = cache_path(vgg.name)
    if path.exists():
        try:
            return read_cache(vgg, own)
        except WeightsError as error:
            logger.warning("the weights are fetched again: %s", error)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            return _fetch_to_cache(vgg, own, path, progress)
    except OSError as error:
        logger.warning("the weights are not kept: cannot write %s: %s", path, error.strerror or error)
    with tempfile.TemporaryDirectory(prefix="fststyle-") as folder:
        return _fetch(vgg, own, Path(folder), progress)


def named_file() -> Path | None:
    """The file that ``FSTSTYLE_VGG_WEIGHTS`` names, if it is set."""
    value = os.environ.get(FILE_VARIABLE)
    return Path(value) if value else None


def cache_path(architecture: str) -> Path:
    """Where the weights of an architecture are kept once fetched; the file need not exist."""
    return cache_folder() / "weights" / f"{architecture}.safetensors"


def read_cache(vgg: VGGArchitecture, sources: Iterable[Source] = SOURCES) -> VGGWeights:
    """The cached weights, checked against their own digest and against the one pinned for the source they name.

    Raises :class:`~fststyle.errors.WeightsError` if there are none or they are damaged.
    """
    path = cache_path(vgg.name)
    if not path.is_file():
        raise WeightsError(f"no weights of {vgg.name} in the cache: there is no {path}")
    weights = read_safetensors(path, vgg)
    for source in sources:
        if source.name == weights.source and source.content_sha256 not in ("", weights.sha256):
            raise WeightsError(f"{path} does not have the SHA-256 of {source.name}, {source.content_sha256}")
    return weights


def read_weights_file(
    path: Path, vgg: VGGArchitecture, *, known: Iterable[StateDictSource] = KNOWN_STATE_DICTS
) -> VGGWeights:
    """A file that the user supplies: safetensors written by fststyle, or a state dict of torchvision.

    A state dict does not say how its input is normalised; that is looked up by the file's SHA-256, never guessed.

    Raises :class:`~fststyle.errors.WeightsError` if there is no such file or it cannot be used.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path} to read the weights of {vgg.name} from")
    if path.suffix == ".safetensors":
        return read_safetensors(path, vgg)
    own = [candidate for candidate in known if candidate.architecture == vgg.name]
    for candidate in own:
        if matches(path, candidate.remote.checksum):
            tensors = read_state_dict(path, vgg)
            return VGGWeights(
                vgg.name, tensors, candidate.normalization, candidate.name, candidate.licence, digest(tensors, vgg)
            )
    raise WeightsError(
        f"{path} is not a known file of {vgg.name} weights; accepted: a .safetensors file written by fststyle"
        + "".join(f", {candidate.file_name}" for candidate in own)
    )


def _fetch_to_cache(
    vgg: VGGArchitecture, sources: Sequence[Source], path: Path, progress: Progress | None
) -> VGGWeights:
    with contextlib.suppress(WeightsError):
        return read_cache(vgg, sources)  # another process may have brought them while this one waited
    weights = _fetch(vgg, sources, path.parent, progress)
    try:
        with atomic_path(path) as temporary:
            write_safetensors(weights, temporary)
    except OutputError as error:
        logger.warning("the weights are not kept: %s", error)
    return weights


def _fetch(vgg: VGGArchitecture, sources: Sequence[Source], folder: Path, progress: Progress | None) -> VGGWeights:
    tried = [f"the cache: no sound {cache_path(vgg.name)}"]
    for source in sources:
        try:
            tensors = source.fetch(vgg, folder, progress)
        except (DownloadError, OutputError) as error:
            tried.append(str(error) if source.name in str(error) else f"{source.name}: {error}")
            continue
        actual = digest(tensors, vgg)
        if source.content_sha256 in ("", actual):
            return VGGWeights(vgg.name, tensors, source.normalization, source.name, source.licence, actual)
        tried.append(f"{source.name}: its content has the SHA-256 {actual}, not {source.content_sha256}")
    names = [known.file_name for known in KNOWN_STATE_DICTS if known.architecture == vgg.name]
    raise WeightsError(
        f"no source of {vgg.name} weights worked; tried: "
        + "; ".join(f"({number}) {attempt}" for number, attempt in enumerate(tried, 1))
        + f". Supply a file with --vgg-weights or {FILE_VARIABLE}: "
        + ", ".join([*names, "or a .safetensors file from another machine's cache"])
    )
