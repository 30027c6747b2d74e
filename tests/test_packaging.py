"""The source distribution is complete enough to build the wheel, and the wheel holds what it should."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
IGNORE = shutil.ignore_patterns(
    "__pycache__", "*.egg-info", ".venv", ".git", "build", "dist", ".*_cache", "demo", "runs"
)


@pytest.fixture(scope="module")
def check_wheel(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script(".ci/check_wheel.py")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build in, with a style and with what an earlier build may have left behind."""
    copy = tmp_path_factory.mktemp("source") / "fststyle"
    shutil.copytree(ROOT, copy, ignore=IGNORE)
    (copy / "checkpoints" / "added.onnx").write_bytes(b"any bytes: building does not look inside")
    left_over = copy / "build" / "lib" / "fststyle" / "checkpoints"
    left_over.mkdir(parents=True)
    (left_over / "removed.onnx").write_bytes(b"")
    return copy


@pytest.fixture(scope="module")
def dist(tree: Path) -> Path:
    """Source distribution first and the wheel from it, with the build tools at hand: no network is needed."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tree / "dist"), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


def test_wheel_holds_the_package_and_the_styles_and_nothing_else(
    check_wheel: ModuleType, wheel: Path, tree: Path
) -> None:
    assert check_wheel.problems(wheel, tree) == []
    names = zipfile.ZipFile(wheel).namelist()
    assert {"fststyle/py.typed", "fststyle/checkpoints/added.onnx", "fststyle/checkpoints/SHA256SUMS"} <= {*names}
    assert not [name for name in names if name.startswith(("tests", "train", "benchmarks"))]


def test_a_wheel_built_beside_left_overs_leaves_them_out(check_wheel: ModuleType, tree: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(tree)]
    subprocess.run(command, capture_output=True, check=True)
    assert check_wheel.problems(next(tmp_path.glob("*.whl")), tree) == []


def test_source_distribution_can_run_the_checks(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "constraints.txt", ".ci/run", "tests/test_packaging.py", "checkpoints/SHA256SUMS", "setup.py"}
    assert needed <= names


Contents = dict[str, bytes]


def without(name: str) -> Callable[[Contents], Contents]:
    return lambda contents: {key: data for key, data in contents.items() if not key.endswith(name)}


def having(name: str, data: bytes) -> Callable[[Contents], Contents]:
    return lambda contents: contents | {name: data}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (without("fststyle/errors.py"), "missing: fststyle/errors.py"),
        (without("fststyle/checkpoints/added.onnx"), "missing: fststyle/checkpoints/added.onnx"),
        (without("LICENSE"), "missing: the licence"),
        (without("entry_points.txt"), "missing: the console script"),
        (having("tests/test_x.py", b""), "should not be there: tests/test_x.py"),
        (having("fststyle/__init__.py", b""), "differs: fststyle/__init__.py"),
    ],
)
def test_the_check_names_what_is_wrong(
    check_wheel: ModuleType,
    wheel: Path,
    tree: Path,
    tmp_path: Path,
    spoil: Callable[[Contents], Contents],
    complaint: str,
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        contents = spoil({name: archive.read(name) for name in archive.namelist()})
    spoilt = tmp_path / wheel.name
    with zipfile.ZipFile(spoilt, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    assert check_wheel.problems(spoilt, tree) == [complaint]


def test_a_tree_without_digests_is_refused(tree: Path, tmp_path: Path) -> None:
    incomplete = tmp_path / "incomplete"
    shutil.copytree(tree, incomplete, ignore=IGNORE)
    (incomplete / "checkpoints" / "SHA256SUMS").unlink()
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", str(incomplete)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "SHA256SUMS is missing" in done.stdout + done.stderr
