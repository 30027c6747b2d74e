"""Which video files can be written, with which codecs, and what the user may ask of one; needs no FFmpeg."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fststyle.errors import OptionError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A way to compress frames.

    ``quality`` is the default constant rate factor and ``worst`` the highest one; lower is better and larger.
    ``pixels`` and ``odd_pixels`` are FFmpeg's names of the pixel formats for even sizes and for odd ones: H.264 and
    HEVC cannot store an odd number of rows or columns with halved chroma. ``live``: options that make it fast enough to
    go beside a camera, for a larger file.
    """

    encoder: str
    quality: int
    worst: int
    pixels: str = "yuv420p"
    odd_pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """A file format: FFmpeg's name, and the codecs that players expect in it, the default first."""

    name: str
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


CODECS: dict[str, Codec] = {
    # Beside a network that runs in real time, x264's default preset would take a third of the processor. At quality 20
    # it gives the same error as this at 19, which needs a quarter of its time, for files a twelfth larger. What is
    # added to superfast makes them as small as veryfast's.
    "h264": Codec(
        encoder="libx264",
        quality=19,
        worst=51,
        odd_pixels="yuv444p",
        options={"preset": "superfast", "mbtree": "1", "rc-lookahead": "10", "subq": "2"},
    ),
    # x265 would print pages of its own to standard error.
    "hevc": Codec(
        encoder="libx265",
        quality=24,
        worst=51,
        odd_pixels="yuv444p",
        options={"x265-params": "log-level=error"},
        live={"preset": "ultrafast"},
    ),
    "vp9": Codec(
        encoder="libvpx-vp9",
        quality=30,
        worst=63,
        options={"deadline": "good", "cpu-used": "4", "row-mt": "1"},
        live={"deadline": "realtime", "cpu-used": "8"},
    ),
    "av1": Codec(encoder="libsvtav1", quality=32, worst=63, options={"preset": "8"}, live={"preset": "12"}),
}
_INDEX_FIRST = {"movflags": "+faststart"}  # so that a browser can play before the whole file has arrived
CONTAINERS: dict[str, Container] = {
    ".mp4": Container("mp4", ("h264", "hevc", "vp9", "av1"), _INDEX_FIRST),
    ".m4v": Container("mp4", ("h264", "hevc", "vp9", "av1"), _INDEX_FIRST),
    ".mov": Container("mov", ("h264", "hevc"), _INDEX_FIRST),
    ".mkv": Container("matroska", ("h264", "hevc", "vp9", "av1")),
    ".webm": Container("webm", ("vp9", "av1")),
}


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """What to make of a video, besides its look.

    ``codec``: a name in :data:`CODECS`, None for the default of the file's format. ``quality``: constant rate factor,
    None for the codec's default. ``start`` and ``end``: seconds from the beginning of the file; frames from ``start``
    up to and without ``end`` are kept. ``stabilize``: reduce flicker (:class:`~fststyle.serving.stabilize.Stabilizer`).

    :raises OptionError: a value out of range, an unknown codec.
    """

    codec: str | None = None
    quality: int | None = None
    start: float | None = None
    end: float | None = None
    stabilize: bool = False

    def __post_init__(self) -> None:
        if self.codec is not None and self.codec not in CODECS:
            near = did_you_mean(self.codec, CODECS)
            raise OptionError(f"no codec {self.codec!r}; codecs: {', '.join(CODECS)}{near}")
        for name, value in (("start", self.start), ("end", self.end)):
            if value is not None and not 0 <= value < float("inf"):
                raise OptionError(f"{name} must be a time of 0 seconds or more, got {value}")
        if self.end is not None and self.end <= (self.start or 0):
            raise OptionError(f"end must lie behind start, got {self.start or 0:g} to {self.end:g} s")


@dataclass(frozen=True)
class Target:
    """How a file is to be written: everything that its name and the settings decide. ``live``: in real time."""

    container: Container
    codec_name: str
    quality: int
    live: bool = False

    @property
    def codec(self) -> Codec:
        return CODECS[self.codec_name]

    @property
    def encoder_options(self) -> dict[str, str]:
        return {**self.codec.options, **(self.codec.live if self.live else {}), "crf": str(self.quality)}


def target_for(path: Path, settings: VideoSettings) -> Target:
    """Container by suffix, codec and quality by ``settings`` or default.

    :raises OptionError: no video format has that suffix, it does not take the codec, or the quality is out of range.
    """
    suffix = path.suffix.lower()
    if suffix not in CONTAINERS:
        near = did_you_mean(suffix, CONTAINERS)
        got = repr(path.suffix) if suffix else "no suffix"
        raise OptionError(f"cannot write {path}: got {got}, accepted are {', '.join(CONTAINERS)}{near}")
    container = CONTAINERS[suffix]
    name = settings.codec or container.codecs[0]
    if name not in container.codecs:
        able = [other for other, entry in CONTAINERS.items() if name in entry.codecs]
        raise OptionError(
            f"a {suffix} file takes {', '.join(container.codecs)}, not {name}; {name} goes into {', '.join(able)}"
        )
    codec = CODECS[name]
    quality = codec.quality if settings.quality is None else settings.quality
    if not 0 <= quality <= codec.worst:
        raise OptionError(f"the quality (CRF) of {name} must be 0 (best) to {codec.worst}, got {quality}")
    return Target(container, name, quality)
