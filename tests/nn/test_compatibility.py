"""A torchvision that was built for another torch is named, with the command that mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECK = """
from fststyle.errors import DependencyError
from fststyle.nn.compatibility import check_torch_pair
try:
    check_torch_pair()
except DependencyError as error:
    print(error)
"""


def install_fake(folder: Path, package: str, version: str, *, body: str, requires: str = "") -> None:
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(body)
    about = folder / f"{package}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{requires}")


def check(folder: Path, *, isolated: bool = False) -> str:
    """What the check says to a fresh interpreter that sees ``folder`` first; isolated: and no site-packages."""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), root])}
    command = [sys.executable, *(["-S"] if isolated else []), "-c", CHECK]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_a_torchvision_for_another_torch_is_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    install_fake(tmp_path, "torch", "2.15.0", body="")
    install_fake(
        tmp_path,
        "torchvision",
        "0.21.0",
        body="raise RuntimeError('operator torchvision::nms does not exist')",
        requires="Requires-Dist: numpy\nRequires-Dist: torch==2.6.0\n",
    )
    message = check(tmp_path)
    assert message.startswith(
        "torch 2.15.0 and torchvision 0.21.0 do not fit each other: this torchvision needs torch ==2.6.0 "
        "(operator torchvision::nms does not exist); mend it with: "
    )
    assert message.endswith(" -m pip install --upgrade --force-reinstall torch torchvision")


def test_a_library_that_cannot_be_loaded_is_the_same_case(tmp_path: Path) -> None:
    install_fake(tmp_path, "torch", "2.15.0", body="")
    install_fake(
        tmp_path, "torchvision", "0.21.0", body="raise ImportError('_C.so: undefined symbol: _ZN5torch\\nmore')"
    )
    message = check(tmp_path)
    assert "torch 2.15.0 and torchvision 0.21.0 do not fit each other (_C.so: undefined symbol: _ZN5torch)" in message
    assert "\n" not in message


def test_a_pair_that_fits_passes(tmp_path: Path) -> None:
    install_fake(tmp_path, "torch", "2.15.0", body="")
    install_fake(tmp_path, "torchvision", "0.30.0", body="")
    assert check(tmp_path) == ""


def test_torch_without_torchvision_passes(tmp_path: Path) -> None:
    install_fake(tmp_path, "torch", "2.15.0", body="")
    assert check(tmp_path, isolated=True) == ""


def test_no_torch_at_all_names_the_extra(tmp_path: Path) -> None:
    assert check(tmp_path, isolated=True) == 'torch is not installed; install it with: pip install "fststyle[train]"'
