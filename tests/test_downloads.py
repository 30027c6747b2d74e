"""A download is whole and verified or not there at all, whatever the server does."""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fststyle.downloads import Patience, Remote, check_room, download, matches
from fststyle.errors import DownloadError, OptionError, OutputError

if TYPE_CHECKING:
    from tests.conftest import FileServer

CONTENT = bytes(range(256)) * 4000
QUICK = Patience(retries=3, timeout=5, pause=0)


@pytest.fixture
def remote(file_server: FileServer) -> Remote:
    file_server.files["/file.bin"] = CONTENT
    return Remote(file_server.url("/file.bin"), len(CONTENT), f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_brings_the_file_and_leaves_nothing_beside_it(remote: Remote, tmp_path: Path) -> None:
    path = download(remote, tmp_path / "new" / "file.bin", patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == {"file.bin"}


def test_asks_for_the_rest_after_each_dropped_connection(
    remote: Remote, file_server: FileServer, tmp_path: Path
) -> None:
    file_server.drops = [100_000, 0, 300_000]
    assert download(remote, tmp_path / "file.bin", patience=QUICK).read_bytes() == CONTENT
    ranges = [headers.get("Range") for headers in file_server.requests]
    assert ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=400000-"]
    assert all(headers["If-Range"] == '"first"' for headers in file_server.requests[1:])


def test_a_later_call_continues_where_an_earlier_one_gave_up(
    remote: Remote, file_server: FileServer, tmp_path: Path
) -> None:
    file_server.drops = [700_000]
    with pytest.raises(DownloadError, match=r"file\.bin: the connection was closed after 700000 of 1024000 bytes"):
        download(remote, tmp_path / "file.bin", patience=Patience(retries=0))
    assert not (tmp_path / "file.bin").exists()
    download(remote, tmp_path / "file.bin", patience=QUICK)
    assert file_server.requests[-1]["Range"] == "bytes=700000-"
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert leftovers(tmp_path) == {"file.bin"}


def test_retries_are_counted_anew_after_every_byte_that_came(
    remote: Remote, file_server: FileServer, tmp_path: Path
) -> None:
    file_server.drops = [1000] * 20
    assert download(remote, tmp_path / "file.bin", patience=Patience(retries=1, pause=0)).read_bytes() == CONTENT


def test_gives_up_when_nothing_comes(remote: Remote, file_server: FileServer, tmp_path: Path) -> None:
    file_server.drops = [0] * 20
    with pytest.raises(DownloadError, match="the connection was closed after 0 of"):
        download(remote, tmp_path / "file.bin", patience=QUICK)
    assert len(file_server.requests) == 1 + QUICK.retries


def test_starts_over_with_a_server_that_ignores_ranges(remote: Remote, file_server: FileServer, tmp_path: Path) -> None:
    file_server.ranges = False
    file_server.drops = [500_000]
    assert download(remote, tmp_path / "file.bin", patience=QUICK).read_bytes() == CONTENT


def test_never_joins_two_versions_of_a_file(file_server: FileServer, tmp_path: Path) -> None:
    file_server.files["/file.bin"] = b"old" * 1000
    file_server.drops = [1500]
    remote = Remote(file_server.url("/file.bin"))
    with pytest.raises(DownloadError):
        download(remote, tmp_path / "file.bin", patience=Patience(retries=0))
    file_server.files["/file.bin"], file_server.etag = b"new" * 1000, '"second"'
    assert download(remote, tmp_path / "file.bin", patience=QUICK).read_bytes() == b"new" * 1000


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_starts_over_where_the_server_cannot_promise_the_same_bytes(
    etag: str | None, remote: Remote, file_server: FileServer, tmp_path: Path
) -> None:
    file_server.etag = etag
    file_server.drops = [1000]
    assert download(remote, tmp_path / "file.bin", patience=QUICK).read_bytes() == CONTENT
    assert [headers.get("Range") for headers in file_server.requests] == [None, None]


def test_starts_over_when_more_is_here_than_the_server_has(file_server: FileServer, tmp_path: Path) -> None:
    file_server.files["/file.bin"] = CONTENT
    (tmp_path / "file.bin.part").write_bytes(CONTENT * 2)
    (tmp_path / "file.bin.part.validator").write_text('"first"')
    assert download(Remote(file_server.url("/file.bin")), tmp_path / "file.bin", patience=QUICK).read_bytes() == CONTENT


def test_a_part_that_was_complete_is_verified_without_asking_again(
    remote: Remote, file_server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    (tmp_path / "file.bin.part.validator").write_text('"first"')
    assert download(remote, tmp_path / "file.bin").read_bytes() == CONTENT
    assert file_server.requests == []


def test_a_passing_server_error_is_retried(remote: Remote, file_server: FileServer, tmp_path: Path) -> None:
    file_server.statuses = [503, 429]
    assert download(remote, tmp_path / "file.bin", patience=QUICK).read_bytes() == CONTENT


def test_a_final_server_error_is_not_retried(remote: Remote, file_server: FileServer, tmp_path: Path) -> None:
    file_server.statuses = [403]
    with pytest.raises(DownloadError, match=r"cannot download http://.*/file\.bin: HTTP status 403"):
        download(remote, tmp_path / "file.bin", patience=QUICK)
    assert len(file_server.requests) == 1


def test_a_file_with_another_checksum_is_thrown_away(file_server: FileServer, tmp_path: Path) -> None:
    file_server.files["/file.bin"] = CONTENT[:-1] + b"?"
    remote = Remote(file_server.url("/file.bin"), len(CONTENT), f"sha1:{hashlib.sha1(CONTENT).hexdigest()}")
    with pytest.raises(DownloadError, match="does not have the checksum sha1:"):
        download(remote, tmp_path / "file.bin", patience=QUICK)
    assert leftovers(tmp_path) == set()


def test_a_file_of_another_size_is_refused_before_it_is_fetched(file_server: FileServer, tmp_path: Path) -> None:
    file_server.files["/file.bin"] = CONTENT
    with pytest.raises(DownloadError, match="now has 1024000 bytes, 7 were expected"):
        download(Remote(file_server.url("/file.bin"), 7), tmp_path / "file.bin", patience=QUICK)
    assert leftovers(tmp_path) == set()


def test_a_sound_file_is_not_fetched_again_and_a_damaged_one_is(
    remote: Remote, file_server: FileServer, tmp_path: Path
) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    download(remote, path)
    assert file_server.requests == []
    path.write_bytes(CONTENT[:-1] + b"?")
    assert download(remote, path).read_bytes() == CONTENT


def test_two_at_once_fetch_once(remote: Remote, file_server: FileServer, tmp_path: Path) -> None:
    threads = [threading.Thread(target=download, args=(remote, tmp_path / "file.bin")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert len(file_server.requests) == 1


def test_progress_counts_from_what_is_already_here_to_the_end(
    remote: Remote, file_server: FileServer, tmp_path: Path
) -> None:
    file_server.drops = [400_000]
    seen: list[tuple[int, int | None]] = []
    download(remote, tmp_path / "file.bin", progress=lambda done, total: seen.append((done, total)), patience=QUICK)
    assert seen[0] == (0, len(CONTENT))
    assert (400_000, len(CONTENT)) in seen
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_nobody_listening_is_one_line_with_the_address(file_server: FileServer, tmp_path: Path) -> None:
    url = file_server.url("/file.bin")
    file_server.shutdown()
    file_server.server_close()
    with pytest.raises(DownloadError, match="refused") as caught:
        download(Remote(url), tmp_path / "file.bin", patience=Patience(retries=1, pause=0))
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_host_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"cannot download http://no-such-host\.invalid/"):
        download(Remote("http://no-such-host.invalid/file"), tmp_path / "file", patience=Patience(pause=30))


def test_a_folder_that_cannot_be_made_is_an_output_error(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        download(remote, tmp_path / "file" / "file.bin", patience=QUICK)


def test_a_full_disk_is_noticed_before_anything_is_written(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(OutputError, match=r"not enough room in .*: 1\.0 MB needed, 1\.0 MB free"):
        download(remote, tmp_path / "file.bin", patience=QUICK)
    assert leftovers(tmp_path) == set()


def test_room_is_what_the_disk_says(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(OutputError, match="not enough room"):
        check_room(tmp_path, 1 << 70)


def test_a_checksum_may_be_given_by_its_first_digits(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    full = hashlib.sha256(CONTENT).hexdigest()
    assert matches(path, f"sha256:{full[:8]}")
    assert not matches(path, f"sha256:{full[1:9]}")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "host/file", "http:///file"])
def test_only_web_addresses_are_taken(url: str) -> None:
    with pytest.raises(OptionError, match="not an http or https address"):
        Remote(url)


@pytest.mark.parametrize("checksum", ["0123456789", "sha256:", "sha256:XYZ", "crc32:01234567", "sha256:0123456"])
def test_a_checksum_that_could_never_fit_is_refused(checksum: str) -> None:
    with pytest.raises(OptionError, match="not a checksum"):
        Remote("http://host/file", checksum=checksum)
