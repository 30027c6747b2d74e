"""The arrows between the parts of the package: root <- nn <- iterative, training; root <- serving.

The command line may use them all. Read from the syntax trees, function bodies and ``if TYPE_CHECKING`` included, so
that a lazy import does not hide an arrow.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fststyle"
PARTS = {"cli", "nn", "iterative", "training", "serving"}
# Which parts the modules of a part may import besides their own. "root" is every module directly in the package.
ARROWS: dict[str, set[str]] = {
    "root": set(),
    "nn": {"root"},
    "iterative": {"root", "nn"},
    "training": {"root", "nn"},
    "serving": {"root"},
    "cli": {"root", "nn", "iterative", "training", "serving"},
}
# The base install, as it is imported: all that may be used besides the standard library on the way of a photo.
BASE_PACKAGES = {"click", "filelock", "numpy", "onnxruntime", "PIL", "platformdirs", "rich"}
# What an extra adds, and for which modules, or whole folders, of these parts alone.
EXTRA_PACKAGES = {
    "large_files.py": {"pyvips"},
    "serving/camera_opencv.py": {"cv2"},
    "serving/ffmpeg.py": {"av"},
    "serving/half.py": {"onnx"},
    "serving/network_file.py": {"google", "onnx"},
    "serving/norm_statistics.py": {"onnx"},
    "serving/video_picture.py": {"av"},
    "serving/web": {"fastapi", "h11", "prometheus_client", "python_multipart", "starlette", "uvicorn", "websockets"},
}


def imports(source: str, package: str) -> Iterator[str]:
    """Absolute dotted names that a module in ``package`` imports; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def part(dotted: str) -> str:
    """The part that a name below ``fststyle`` belongs to; ``python -m fststyle`` is the command line."""
    first = [*dotted.split("."), "", ""][1]
    if first == "__main__":
        return "cli"
    return first if first in PARTS else "root"


def modules() -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imports_of(module: str) -> set[str]:
    path = PACKAGE / module
    package = ".".join(["fststyle", *path.relative_to(PACKAGE).parts[:-1]])
    return {*imports(path.read_text(encoding="utf-8"), package)}


def part_of(module: str) -> str:
    return part(".".join(["fststyle", *Path(module).with_suffix("").parts]))


def packages_of(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(module)}


@pytest.mark.parametrize("module", modules())
def test_arrows_point_one_way(module: str) -> None:
    own = part_of(module)
    used = {part(name) for name in imports_of(module) if name.partition(".")[0] == "fststyle"}
    # The package's own __init__ hands out public names lazily, so it may name any part.
    allowed = PARTS if module == "__init__.py" else ARROWS[own] | {own}
    assert used - {"root"} <= allowed


@pytest.mark.parametrize("module", [name for name in modules() if part_of(name) in {"root", "serving"}])
def test_stylising_needs_the_base_install_only(module: str) -> None:
    extras = [EXTRA_PACKAGES.get(place.as_posix(), set()) for place in (Path(module), *Path(module).parents)]
    allowed = BASE_PACKAGES.union(*extras)
    assert packages_of(module) - sys.stdlib_module_names - {"fststyle"} <= allowed


def test_only_the_feature_networks_import_torchvision() -> None:
    # The Inception networks are dozens of branches with batch norms; torchvision's own are what its weights fit.
    allowed = {"nn/vgg.py", "nn/inception_networks.py"}
    assert {module for module in modules() if "torchvision" in packages_of(module)} <= allowed


@pytest.mark.parametrize("module", [name for name in modules() if part_of(name) == "nn"])
def test_networks_and_losses_know_nothing_of_lightning(module: str) -> None:
    assert not packages_of(module) & {"pytorch_lightning", "lightning"}


def test_every_folder_of_the_package_has_its_arrows_declared() -> None:
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= PARTS


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("def f():\n    from fststyle.nn import vgg", {"fststyle.nn.vgg"}),
        ("from . import errors", {"fststyle.serving.errors"}),
        ("from ..nn.vgg import VGGFeatures", {"fststyle.nn.vgg.VGGFeatures"}),
        ("from .. import training", {"fststyle.training"}),
        ("if TYPE_CHECKING:\n    import torch", {"torch"}),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, expected: set[str]) -> None:
    assert {*imports(source, "fststyle.serving")} == expected
