"""PyAV, an optional package, and how its errors become ours."""

from __future__ import annotations

from pathlib import Path

from fststyle.errors import DependencyError, InputError, UnsupportedFormatError

try:
    import av
except ModuleNotFoundError as error:
    if error.name != "av":
        raise
    raise DependencyError('videos need PyAV, which is not installed: pip install "fststyle[video]"') from error

__all__ = ["av", "cannot_read", "reason", "url"]


def url(path: Path | str) -> str:
    """``path`` as FFmpeg takes it for a file whatever its name: ``a:b.mp4`` would be the protocol ``a``."""
    return f"file:{path}"


def reason(error: av.FFmpegError) -> str:
    """What happened, without FFmpeg's error number and the function's name."""
    return (error.strerror or type(error).__name__).lower()


def cannot_read(path: Path, error: av.FFmpegError) -> InputError:
    """The error for a file that could not be opened at all."""
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return InputError(f"cannot read {path}: {reason(error)}")
    return UnsupportedFormatError(f"{path} is not a video that FFmpeg can read, or it is damaged: {reason(error)}")
