"""Whatever is wrong with what a user gives: one clear line, the documented exit code, and nothing half-written."""

import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import onnx
import pytest
from PIL import Image

from fststyle.cli.main import main


@pytest.fixture
def work(styles_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: ``photo.jpg``, and everything that is wrong beside it; ``out`` is empty."""
    folder = tmp_path / "work"
    for name in ("out", "empty"):
        (folder / name).mkdir(parents=True)
    buffer = BytesIO()
    Image.effect_noise((60, 40), 80).convert("RGB").save(buffer, "JPEG")
    (folder / "photo.jpg").write_bytes(buffer.getvalue())
    (folder / "truncated.jpg").write_bytes(buffer.getvalue()[:600])
    (folder / "zero.jpg").touch()
    (folder / "text.jpg").write_text("This is not a picture.\n")
    (folder / "huge.png").write_bytes(claimed_png(100_000, 100_000))
    (folder / "damaged.onnx").write_bytes((styles_folder / "tiny.onnx").read_bytes()[:5000])
    (folder / "text.onnx").write_text("This is not a network.\n")
    (folder / "foreign.onnx").write_bytes(foreign_network())
    (folder / "twin").mkdir()
    for name in ("twin/tiny.onnx", "other.onnx"):
        (folder / name).write_bytes((styles_folder / "tiny.onnx").read_bytes())
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 100))
    clear.save(folder / "clear.png")
    Image.new("RGB", (1, 1), "red").save(folder / "dot.png")
    monkeypatch.chdir(folder)
    return folder


def claimed_png(width: int, height: int) -> bytes:
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(50))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def foreign_network() -> bytes:
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "foreign", value[:1], value[1:]))
    return bytes(model.SerializeToString())


CASES = [
    ("missing.jpg", 3, "cannot read missing.jpg: no such file"),
    ("empty -o out/x", 3, "no pictures in empty"),
    ("*.bmp -o out", 3, "no picture matches *.bmp"),
    ("truncated.jpg -o out/x.jpg", 3, "truncated.jpg is damaged or cut short"),
    ("zero.jpg -o out/x.jpg", 3, "zero.jpg is empty (0 bytes)"),
    ("text.jpg -o out/x.jpg", 3, "text.jpg is not a picture of a known format; accepted: JPEG, PNG, WEBP"),
    ("huge.png -o out/x.jpg", 3, "huge.png has 100000 x 100000 pixels, above the cap of 200 megapixels"),
    ("photo.jpg -o out/x.jpg --max-pixels 2399", 3, "above the cap of 0.002399 megapixels"),
    ("photo.jpg -o photo.jpg/x.jpg", 4, "photo.jpg"),
    ("photo.jpg -o /proc/nowhere/x.jpg", 4, "cannot"),
    ("photo.jpg -o /dev/null", 4, "not a regular file"),
    ("photo.jpg -o photo.jpg --force", 2, "would replace an input"),
    ("clear.png -o out/x.jpg", 2, "transparency, which JPEG cannot hold"),
    ("photo.jpg -o out/x.jpgg", 2, "did you mean '.jpg'?"),
    ("photo.jpg -o out/x.jpg --style tinny", 5, "did you mean 'tiny'?"),
    ("photo.jpg -o out/x.jpg --style missing.onnx", 5, "no style file missing.onnx"),
    ("photo.jpg -o out/x.jpg --style damaged.onnx", 6, "damaged.onnx is damaged"),
    ("photo.jpg -o out/x.jpg --style text.onnx", 6, "text.onnx is damaged or not an ONNX file"),
    ("photo.jpg -o out/x.jpg --style foreign.onnx", 6, "foreign.onnx is an ONNX file, but not one of a style"),
    ("photo.jpg -o out/x.jpg --strength 1.1", 2, "strength must be 0 to 1, got 1.1"),
    ("photo.jpg -o out/x.jpg --max-size -3", 2, "max_size must be at least 1 pixel, got -3"),
    ("photo.jpg -o out/x.jpg --threads 0", 2, "threads must be at least 1, got 0"),
    ("photo.jpg -o out/x.jpg --style tiny --style twin/tiny.onnx", 2, "two styles have one name"),
    ("photo.jpg -o out/x.jpg --style tiny --style other.onnx", 2, "several styles cannot all be written to out/x.jpg"),
    ("photo.jpg -o out/x.jpg --report text.jpg", 4, "text.jpg exists already and is no report"),
    ("photo.jpg -o out/x.jpg --report photo.jpg", 4, "photo.jpg exists already and is no report"),
    ("photo.jpg -o out --watch", 2, "--watch is for folders; photo.jpg is none"),
    ("empty --watch", 2, "say with -o in which folder"),
    ("empty -o photo.jpg --watch", 2, "several pictures cannot all be written to photo.jpg"),
    ("empty -o text.onnx --watch", 4, "there is a file of that name"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_is_one_line_and_its_exit_code(
    work: Path, arguments: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    style = [] if "--style" in arguments else ["--style", "tiny"]
    assert main(["stylize", *arguments.split(), *style, "--device", "cpu"]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("fststyle: error: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()} == before


def test_one_pixel_is_no_bad_input(work: Path) -> None:
    assert main(["stylize", "dot.png", "-o", "out/dot.png", "--style", "tiny", "--device", "cpu"]) == 0
    with Image.open("out/dot.png") as image:
        assert image.size == (1, 1)


def test_a_batch_names_every_bad_file_and_does_the_rest(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = ["huge.png", "text.jpg", "truncated.jpg", "zero.jpg"]
    assert main(["stylize", *bad, "photo.jpg", "-o", "out", "--style", "tiny", "--device", "cpu"]) == 1
    *lines, last = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("fststyle: error: ").partition(" ")[0] for line in lines] == bad
    assert last == f"fststyle: error: 4 of 5 pictures failed: {', '.join(bad)}"
    assert [path.name for path in (work / "out").iterdir() if path.is_file()] == ["photo.jpg"]


@pytest.fixture
def full_disk(work: Path) -> Iterator[Path]:
    disk = work / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root on Linux may mount a small disk; the test with a limited process runs everywhere")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(full_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "photo.jpg", "-o", "disk/x.png", "--style", "tiny", "--device", "cpu"]) == 4
    assert capsys.readouterr().err == "fststyle: error: cannot write disk/x.png: No space left on device\n"
    assert not [*full_disk.iterdir()]


def test_a_file_that_may_not_grow(work: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fststyle", "stylize", "photo.jpg", "-o", "out/x.png", "--style", "tiny", "--json"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert done.returncode == 4
    assert done.stderr == "fststyle: error: cannot write out/x.png: File too large\n"
    assert not [*(work / "out").iterdir()]
