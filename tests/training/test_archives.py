"""Photos arrive as a whole folder of verified files, or not at all."""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fststyle.downloads import Patience, Remote
from fststyle.errors import DownloadError, OptionError, OutputError
from fststyle.training.archives import PHOTO_SETS, PhotoSet, fetch_photos, find_photo_set, unpack

if TYPE_CHECKING:
    from tests.conftest import FileServer

QUICK = Patience(retries=2, timeout=5, pause=0)
PHOTOS = {f"small2017/{number:012}.jpg": bytes([number]) * 5000 for number in range(8)}


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def photo_set(server: FileServer, archive: bytes) -> PhotoSet:
    server.files["/zips/small2017.zip"] = archive
    return PhotoSet(
        "small", Remote(server.url("/zips/small2017.zip"), len(archive)), folder="small2017", photos=8, terms="none"
    )


@pytest.fixture
def small(file_server: FileServer) -> PhotoSet:
    return photo_set(file_server, zipped({"small2017/": b"", **PHOTOS}))


def visible(folder: Path) -> set[str]:
    """What a call left behind: not counting the empty lock files."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_the_photos_are_unpacked_and_the_archive_is_removed(small: PhotoSet, tmp_path: Path) -> None:
    folder = fetch_photos(small, tmp_path / "photos", patience=QUICK)
    assert {f"small2017/{path.name}": path.read_bytes() for path in folder.iterdir()} == PHOTOS
    assert visible(tmp_path / "photos") == {"small2017"}


def test_the_archive_can_be_kept(small: PhotoSet, file_server: FileServer, tmp_path: Path) -> None:
    fetch_photos(small, tmp_path, keep_archive=True, patience=QUICK)
    assert (tmp_path / "small2017.zip").read_bytes() == file_server.files["/zips/small2017.zip"]


def test_dropped_connections_do_not_matter(small: PhotoSet, file_server: FileServer, tmp_path: Path) -> None:
    file_server.drops = [10_000, 0, 20_000]
    folder = fetch_photos(small, tmp_path, patience=QUICK)
    assert {f"small2017/{path.name}": path.read_bytes() for path in folder.iterdir()} == PHOTOS
    assert [headers.get("Range") for headers in file_server.requests][1:] == ["bytes=10000-"] * 2 + ["bytes=30000-"]


def test_a_second_call_has_nothing_to_do(small: PhotoSet, file_server: FileServer, tmp_path: Path) -> None:
    first = fetch_photos(small, tmp_path, patience=QUICK)
    assert fetch_photos(small, tmp_path, patience=QUICK) == first
    assert len(file_server.requests) == 1


def test_progress_of_both_steps_ends_at_the_end(small: PhotoSet, tmp_path: Path) -> None:
    downloading: list[tuple[int, int | None]] = []
    unpacking: list[tuple[int, int | None]] = []
    fetch_photos(
        small,
        tmp_path,
        downloading=lambda done, total: downloading.append((done, total)),
        unpacking=lambda done, total: unpacking.append((done, total)),
        patience=QUICK,
    )
    assert downloading[-1] == (small.remote.size, small.remote.size)
    assert unpacking == [(5000 * number, 40_000) for number in range(1, 9)]


def test_a_photo_with_a_wrong_crc_is_an_error_that_leaves_nothing(file_server: FileServer, tmp_path: Path) -> None:
    archive = zipped(PHOTOS).replace(b"\x05" * 5000, b"\x05" * 4999 + b"?")
    with pytest.raises(DownloadError, match=r"small2017\.zip is damaged: Bad CRC-32 for file .*05\.jpg"):
        fetch_photos(photo_set(file_server, archive), tmp_path, patience=QUICK)
    assert visible(tmp_path) == set()


def test_what_is_not_a_zip_is_an_error_that_leaves_nothing(file_server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="damaged: File is not a zip file"):
        fetch_photos(photo_set(file_server, b"<html>please log in</html>"), tmp_path, patience=QUICK)
    assert visible(tmp_path) == set()


def test_a_missing_photo_is_noticed(file_server: FileServer, tmp_path: Path) -> None:
    archive = zipped(dict(list(PHOTOS.items())[1:]))
    with pytest.raises(DownloadError, match="holds 7 photos in small2017/, not 8"):
        fetch_photos(photo_set(file_server, archive), tmp_path, patience=QUICK)
    assert visible(tmp_path) == set()


@pytest.mark.parametrize("name", ["../evil.jpg", "small2017/../../evil.jpg", "/evil.jpg", "..\\evil.jpg", "C:evil.jpg"])
def test_no_member_gets_out_of_the_folder(name: str, file_server: FileServer, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    with pytest.raises(DownloadError, match="leads out of its folder"):
        fetch_photos(photo_set(file_server, zipped({**PHOTOS, name: b"evil"})), inner, patience=QUICK)
    assert visible(inner) == set()
    assert visible(tmp_path) == {"inner"}


def test_a_link_is_not_unpacked(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, b"/etc")
    with pytest.raises(DownloadError, match="'link', which leads out"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_folder_with_something_else_is_not_touched(small: PhotoSet, tmp_path: Path) -> None:
    (tmp_path / "small2017").mkdir()
    (tmp_path / "small2017" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists and holds 1 photos, small has 8; move it out of the way"):
        fetch_photos(small, tmp_path, patience=QUICK)
    assert (tmp_path / "small2017" / "mine.jpg").read_bytes() == b"mine"


def test_an_archive_that_lies_there_is_used_if_it_is_the_right_one(
    small: PhotoSet, file_server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "small2017.zip").write_bytes(file_server.files["/zips/small2017.zip"])
    fetch_photos(small, tmp_path, patience=QUICK)
    assert file_server.requests == []


def test_another_file_of_the_archives_name_is_not_touched(small: PhotoSet, tmp_path: Path) -> None:
    (tmp_path / "small2017.zip").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"small2017\.zip is in the way: the file has 4 bytes"):
        fetch_photos(small, tmp_path, patience=QUICK)
    assert (tmp_path / "small2017.zip").read_bytes() == b"mine"


def test_what_a_killed_call_left_is_replaced(small: PhotoSet, tmp_path: Path) -> None:
    (tmp_path / ".small2017.unpacking" / "small2017").mkdir(parents=True)
    (tmp_path / ".small2017.unpacking" / "small2017" / "half.jpg").write_bytes(b"half")
    assert len(list(fetch_photos(small, tmp_path, patience=QUICK).iterdir())) == 8
    assert visible(tmp_path) == {"small2017"}


def test_room_for_the_archive_and_the_photos_is_asked_for_first(
    small: PhotoSet, file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = small.remote.size
    assert size is not None
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2 * size - 1))
    with pytest.raises(OutputError, match="not enough room in"):
        fetch_photos(small, tmp_path, patience=QUICK)
    assert file_server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2 * size))
    fetch_photos(small, tmp_path, patience=QUICK)


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(
    small: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small2017/bomb.jpg", bytes(10_000_000))
    (tmp_path / "bomb.zip").write_bytes(bomb.getvalue())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=9_000_000))
    with pytest.raises(OutputError, match=r"10\.0 MB needed, 9\.0 MB free"):
        unpack(tmp_path / "bomb.zip", tmp_path / "out")


def test_a_file_where_the_folder_should_be_is_an_output_error(small: PhotoSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write photos to"):
        fetch_photos(small, tmp_path / "file", patience=QUICK)


def test_an_unknown_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"accepted: coco-val2017, coco-train2017; did you mean 'coco-val2017'\?"):
        find_photo_set("coco-val2014")


def test_the_sets_are_the_official_ones() -> None:
    for name, photos in PHOTO_SETS.items():
        assert find_photo_set(name) is photos
        assert photos.remote.url == f"http://images.cocodataset.org/zips/{photos.folder}.zip"
        assert photos.remote.size
        assert photos.remote.checksum.startswith("sha1:")
