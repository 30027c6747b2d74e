"""Compare what a built wheel holds with the source tree it should have come from.

    python .ci/check_wheel.py WHEEL_OR_FOLDER [SOURCE_TREE]

Right means: every file under ``fststyle/`` byte for byte, ``checkpoints/*.onnx`` and ``SHA256SUMS`` as
``fststyle/checkpoints/``, the licence, the console script, no requirement outside an extra that would bring torch, and
not one file more (no tests, no left-overs of an earlier build).
"""

import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

IGNORED = {"__pycache__", ".DS_Store"}


def expected_files(tree: Path) -> dict[str, bytes]:
    """What has to be in the wheel besides its dist-info: name in the wheel -> contents."""
    package = (path for path in (tree / "fststyle").rglob("*") if path.is_file() and not IGNORED & set(path.parts))
    styles = [*(tree / "checkpoints").glob("*.onnx"), tree / "checkpoints" / "SHA256SUMS"]
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in package} | {
        f"fststyle/checkpoints/{path.name}": path.read_bytes() for path in styles
    }


def problems(wheel: Path, tree: Path) -> list[str]:
    """One line for each thing that is wrong with the wheel; empty when all is right."""
    expected = expected_files(tree)
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    info = {name.partition(".dist-info/")[2]: data for name, data in contents.items() if ".dist-info/" in name}
    files = {name: data for name, data in contents.items() if ".dist-info/" not in name}
    return [
        *(f"missing: {name}" for name in sorted(expected.keys() - files.keys())),
        *(f"should not be there: {name}" for name in sorted(files.keys() - expected.keys())),
        *(f"differs: {name}" for name in sorted(expected.keys() & files.keys()) if expected[name] != files[name]),
        *_metadata_problems(info),
    ]


def _metadata_problems(info: dict[str, bytes]) -> list[str]:
    metadata = message_from_bytes(info["METADATA"])
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    found = []
    if "licenses/LICENSE" not in info:
        found.append("missing: the licence")
    if b"fststyle = fststyle.cli.main:main" not in info.get("entry_points.txt", b""):
        found.append("missing: the console script")
    if any(line.startswith(("torch", "onnxscript", "pytorch")) for line in base):
        found.append(f"the base install asks for training packages: {base}")
    return found


def main() -> int:
    where = Path(sys.argv[1])
    tree = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent.parent
    wheels = [where] if where.is_file() else sorted(where.glob("*.whl"))
    if len(wheels) != 1:
        print(f"expected one wheel in {where}, found {len(wheels)}", file=sys.stderr)
        return 1
    found = problems(wheels[0], tree)
    for problem in found:
        print(f"{wheels[0].name}: {problem}", file=sys.stderr)
    if not found:
        styles = [name for name in expected_files(tree) if name.endswith(".onnx")]
        print(f"{wheels[0].name}: holds what it should, {len(styles)} styles among it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
