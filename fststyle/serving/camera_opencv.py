"""OpenCV, an optional package: it opens cameras and windows, and scales frames."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fststyle.errors import DependencyError

try:
    import cv2
except ModuleNotFoundError as error:
    if error.name != "cv2":
        raise
    raise DependencyError('cameras need OpenCV, which is not installed: pip install "fststyle[camera]"') from error
except ImportError as error:  # a library of the system that its window functions need
    raise DependencyError(f"OpenCV cannot be loaded: {error}") from error

__all__ = ["check_windows", "cv2", "quiet"]

_HEADLESS = ("opencv-python-headless", "opencv-contrib-python-headless")


def quiet() -> None:
    """OpenCV shall not print what becomes an error of ours anyway."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def check_windows() -> None:
    """
    :raises DependencyError: this build of OpenCV has no windows.
    """
    gui = next((line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")), "")
    if gui.split()[-1:] != ["NONE"] and hasattr(cv2, "imshow"):
        return
    headless = [name for name in _HEADLESS if _installed(name)]
    found = f"{headless[0]} is installed, which" if headless else "this build of OpenCV"
    mend = f"pip uninstall {headless[0]}, then " if headless else ""
    raise DependencyError(
        f"{found} has no windows: {mend}pip install --force-reinstall opencv-python; or run with --headless"
    )


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False
