"""fststyle: fast neural style transfer, from a painting to an ONNX file to pictures.

Public names are imported when they are first used, so that ``import fststyle`` costs nothing.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fststyle import errors
    from fststyle.errors import FststyleError
    from fststyle.serving.regions import MaskedStylizer
    from fststyle.serving.segmenter import PersonSegmenter
    from fststyle.serving.stylizer import Stylizer
    from fststyle.styles import StyleInfo, available_styles, find_style

__version__ = "0.1.0"
__all__ = [
    "FststyleError",
    "MaskedStylizer",
    "PersonSegmenter",
    "StyleInfo",
    "Stylizer",
    "__version__",
    "available_styles",
    "errors",
    "find_style",
]

_HOMES = {
    "FststyleError": "fststyle.errors",
    "MaskedStylizer": "fststyle.serving.regions",
    "PersonSegmenter": "fststyle.serving.segmenter",
    "StyleInfo": "fststyle.styles",
    "Stylizer": "fststyle.serving.stylizer",
    "available_styles": "fststyle.styles",
    "find_style": "fststyle.styles",
}

# ONNX Runtime reports its use to its makers, and keeps a number for the computer, unless this is set before it loads:
# what people stylise is nobody's business.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> object:
    import importlib

    if name == "errors":
        return importlib.import_module("fststyle.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
