"""Pretrained VGG weights, digest-checked, from the first place that has them.

1. a file the user names: ``file=``, ``--vgg-weights`` or the environment variable ``FSTSTYLE_VGG_WEIGHTS``;
2. the cache: ``$FSTSTYLE_CACHE/weights``, or ``weights`` in the user's cache folder for fststyle;
3. the sources of :mod:`fststyle.nn.weight_sources`, in their order; what they give goes to the cache.

A file that the user names is used or refused, never passed over for another source.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from fststyle.errors import DownloadError, WeightsError
from fststyle.nn.weight_files import (
    SUFFIXES,
    Normalization,
    VGGArchitecture,
    VGGWeights,
    digest,
    find_architecture,
    read_safetensors,
    write_safetensors,
)
from fststyle.nn.weight_sources import SOURCES, Source

__all__ = ["Normalization", "VGGWeights", "cache_path", "load_vgg_weights"]

FILE_VARIABLE = "FSTSTYLE_VGG_WEIGHTS"
CACHE_VARIABLE = "FSTSTYLE_CACHE"
logger = logging.getLogger(__name__)


def cache_path(architecture: str) -> Path:
    """Where the weights of an architecture are kept once fetched; the file need not exist."""
    root = os.environ.get(CACHE_VARIABLE)
    return (Path(root) if root else user_cache_path("fststyle")) / "weights" / f"{architecture}.safetensors"


def load_vgg_weights(
    architecture: str | VGGArchitecture = "vgg16", *, file: Path | None = None, sources: Sequence[Source] = SOURCES
) -> VGGWeights:
    """Load the weights of ``vgg16`` or ``vgg19``, fetching them at first use.

    :raises OptionError: no such architecture.
    :raises WeightsError: the file named is not usable, or nothing worked: the message lists what was tried.
    """
    vgg = architecture if isinstance(architecture, VGGArchitecture) else find_architecture(architecture)
    named = file or (Path(value) if (value := os.environ.get(FILE_VARIABLE)) else None)
    if named is not None:
        return read_weights_file(named, vgg)
    cached = cache_path(vgg.name)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cached.with_suffix(".lock")):
        tried: list[str] = []
        if cached.exists():
            try:
                return read_safetensors(cached, vgg)
            except WeightsError as error:
                logger.warning("fetching the weights again: %s", error)
                tried.append(f"the cache: {error}")
        weights = _fetch(vgg, [source for source in sources if source.architecture == vgg.name], tried)
        _keep(weights, cached)
    return weights


def read_weights_file(path: Path, vgg: VGGArchitecture) -> VGGWeights:
    """:raises WeightsError: the file does not exist or is not usable."""
    if not path.is_file():
        raise WeightsError(f"there is no file {path} with VGG weights")
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path} is neither {', '.join(SUFFIXES)}")
    return read_safetensors(path, vgg)


def _fetch(vgg: VGGArchitecture, sources: Sequence[Source], tried: list[str]) -> VGGWeights:
    for source in sources:
        try:
            with tempfile.TemporaryDirectory(prefix="fststyle-") as folder:
                tensors = source.fetch(vgg, Path(folder))
        except DownloadError as error:
            tried.append(f"{source.name}: {error}")
            continue
        actual = digest(tensors, vgg)
        if source.content_sha256 and actual != source.content_sha256:
            tried.append(f"{source.name}: its content has SHA-256 {actual}, expected {source.content_sha256}")
            continue
        return VGGWeights(vgg.name, tensors, source.normalization, source.name, source.licence, actual)
    raise WeightsError(f"no source of {vgg.name} weights worked. " + "; ".join(tried))


def _keep(weights: VGGWeights, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_safetensors(weights, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
