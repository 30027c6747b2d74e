import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fststyle.atomic import atomic_path, atomic_write, make_folder
from fststyle.errors import InputError, OutputError


def test_a_file_comes_whole_and_alone(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a.bin", b"content")
    assert (tmp_path / "a.bin").read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a.bin", b"content")
    (tmp_path / "plain.bin").write_bytes(b"content")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain.bin").stat().st_mode


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def interrupt(temporary: Path) -> None:
        temporary.write_bytes(b"ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_path(target) as temporary:
        interrupt(temporary)
    assert target.read_bytes() == b"old"
    assert len([*tmp_path.iterdir()]) == 1


def test_the_temporary_file_has_the_suffix_that_writers_choose_the_format_by(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path


def test_errors_of_the_block_pass_through(tmp_path: Path) -> None:
    with pytest.raises(InputError), atomic_path(tmp_path / "a.bin"):
        raise InputError("text")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.bin"):
        (tmp_path / "other.bin").read_bytes()
    assert not [*tmp_path.iterdir()]


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        atomic_write(tmp_path / "a.bin", b"new", overwrite=False)
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    atomic_write(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_a_file_that_appears_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"), atomic_path(tmp_path / "a.bin", overwrite=False):
        (tmp_path / "a.bin").write_bytes(b"of another process")
    assert (tmp_path / "a.bin").read_bytes() == b"of another process"
    assert len([*tmp_path.iterdir()]) == 1


def test_without_hard_links_a_new_file_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    atomic_write(tmp_path / "a.bin", b"content", overwrite=False)
    assert (tmp_path / "a.bin").read_bytes() == b"content"
    assert len([*tmp_path.iterdir()]) == 1


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("real.bin")
    atomic_write(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="not a regular file"):
        atomic_write(tmp_path / "pipe", b"content")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("place", ["missing/a.bin", "file/a.bin", "x" * 300])
def test_a_place_that_cannot_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        atomic_write(tmp_path / place, b"content")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "below")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 64 KiB where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root on Linux may mount a small disk; the test with a limited process runs everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    (small_disk / "a.bin").write_bytes(b"old")
    with pytest.raises(OutputError, match="No space left"):
        atomic_write(small_disk / "a.bin", bytes(100_000))
    with pytest.raises(OutputError, match="No space left"), atomic_path(small_disk / "b.bin") as temporary:
        temporary.write_bytes(bytes(100_000))
    assert [(path.name, path.read_bytes()) for path in small_disk.iterdir()] == [("a.bin", b"old")]


LIMITED = """
import resource, sys
from fststyle.atomic import atomic_write
from fststyle.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_write(sys.argv[1], bytes(2000))
except OutputError as error:
    print(error)
"""


def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a.bin")], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert not [*tmp_path.iterdir()]
