"""``fststyle photos`` from the shell's side."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from fststyle.cli.photos import photos
from fststyle.downloads import Remote
from fststyle.errors import OptionError
from fststyle.training.archives import PHOTO_SETS, PhotoSet

if TYPE_CHECKING:
    from tests.conftest import FileServer


@pytest.fixture
def small(file_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set named ``small`` of three photos, on loopback."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(3):
            archive.writestr(f"small2017/{number}.jpg", bytes(100))
    file_server.files["/small.zip"] = buffer.getvalue()
    remote = Remote(file_server.url("/small.zip"), len(buffer.getvalue()))
    photo_set = PhotoSet("small", remote, folder="small2017", photos=3, terms="belongs to its photographers")
    monkeypatch.setitem(PHOTO_SETS, "small", photo_set)


@pytest.mark.usefixtures("small")
def test_prints_the_folder_and_says_whose_the_photos_are(tmp_path: Path) -> None:
    result = CliRunner().invoke(photos, ["small", "--to", str(tmp_path / "new")], catch_exceptions=False)
    assert result.stdout == f"3 photos in {tmp_path / 'new' / 'small2017'}\n"
    assert result.stderr == "Note: belongs to its photographers\n"
    assert sorted(path.name for path in (tmp_path / "new" / "small2017").iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]
    assert not (tmp_path / "new" / "small2017.zip").exists()


@pytest.mark.usefixtures("small")
def test_keeps_the_archive_when_asked(tmp_path: Path) -> None:
    CliRunner().invoke(photos, ["small", "--to", str(tmp_path), "--keep-archive"], catch_exceptions=False)
    assert zipfile.is_zipfile(tmp_path / "small2017.zip")


def test_an_unknown_set_is_the_librarys_error_and_makes_no_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(photos, ["coco-val-2017", "--to", str(tmp_path / "new")])
    assert isinstance(result.exception, OptionError)
    assert "did you mean 'coco-val2017'?" in str(result.exception)
    assert not (tmp_path / "new").exists()


def test_lists_the_sets_with_their_sizes() -> None:
    result = CliRunner().invoke(photos, ["--list"], catch_exceptions=False)
    assert [line.split()[:4] for line in result.stdout.splitlines()] == [
        ["coco-val2017", "5000", "photos", "0.8"],
        ["coco-train2017", "118287", "photos", "19.3"],
    ]
