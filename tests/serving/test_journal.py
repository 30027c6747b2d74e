import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fststyle.errors import OutputError
from fststyle.serving.journal import Journal, Settings, State, Version

SETTINGS = Settings("0" * 64, 1.0, False, None, False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "b.jpg"
    path.parent.mkdir()
    path.write_bytes(b"photo")
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "sea" / "b.jpg"


def write(journal: Journal, target: Path, photo: Path, *, data: bytes = b"result", overwrite: bool = False) -> None:
    version = Version.of(photo)
    journal.write(data, target, source=photo, photo=version, label="", settings=SETTINGS, overwrite=overwrite)


@pytest.fixture
def journal(tmp_path: Path, target: Path, photo: Path) -> Journal:
    """The journal of a folder with one result."""
    journal = Journal(tmp_path / "out")
    with journal.kept([target.parent]):
        write(journal, target, photo)
    return journal


def test_reading_makes_nothing(tmp_path: Path, target: Path, photo: Path) -> None:
    assert Journal(tmp_path / "out").state(target, photo, SETTINGS) is State.MISSING
    assert [*Journal(tmp_path / "out").results()] == []
    assert not (tmp_path / "out").exists()


def test_what_was_written_is_done_for_this_run_and_the_next(journal: Journal, target: Path, photo: Path) -> None:
    assert target.read_bytes() == b"result"
    for each in (journal, Journal(journal.folder)):
        assert each.state(target, photo, SETTINGS) is State.DONE
        assert [record.output for record in each.results()] == ["sea/b.jpg"]


def test_a_folder_may_be_moved_and_copied(journal: Journal, target: Path, photo: Path, tmp_path: Path) -> None:
    moved = journal.folder.rename(tmp_path / "moved")
    assert Journal(moved).state(moved / "sea" / "b.jpg", photo, SETTINGS) is State.DONE
    os.utime(moved / "sea" / "b.jpg", (1, 1))
    assert Journal(moved).state(moved / "sea" / "b.jpg", photo, SETTINGS) is State.DONE


def test_everything_else_is_not_done(journal: Journal, target: Path, photo: Path) -> None:
    assert journal.state(target, photo, replace(SETTINGS, strength=0.5)) is State.OTHER_SETTINGS
    assert journal.state(target.with_name("c.jpg"), photo, SETTINGS) is State.MISSING
    photo.write_bytes(b"another photo")
    assert journal.state(target, photo, SETTINGS) is State.OTHER_PHOTO
    photo.unlink()
    assert journal.state(target, photo, SETTINGS) is State.OTHER_PHOTO
    target.write_bytes(b"edited")  # as long as it was
    assert journal.state(target, photo, SETTINGS) is State.FOREIGN
    target.unlink()
    assert journal.state(target, photo, SETTINGS) is State.MISSING
    assert [*journal.results()] == []


def test_a_file_that_the_journal_does_not_know_is_foreign(journal: Journal, target: Path, photo: Path) -> None:
    other = target.with_name("other.jpg")
    other.write_bytes(b"result")
    assert journal.state(other, photo, SETTINGS) is State.FOREIGN


def test_the_last_record_counts(journal: Journal, target: Path, photo: Path) -> None:
    with journal.kept([]):
        write(journal, target, photo, data=b"second", overwrite=True)
    assert Journal(journal.folder).state(target, photo, SETTINGS) is State.DONE
    with journal.kept([]), pytest.raises(OutputError, match="exists already"):
        write(journal, target, photo)


def test_a_record_whose_file_never_got_its_name_counts_for_nothing(
    journal: Journal, target: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    late = target.with_name("late.jpg")
    with journal.kept([]), monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr("fststyle.atomic._publish", killed)
        write(journal, late, photo)
    again = Journal(journal.folder)
    assert again.state(late, photo, SETTINGS) is State.MISSING
    assert again.state(target, photo, SETTINGS) is State.DONE


@pytest.mark.parametrize("damage", [b'{"output": "c.jpg", "sou', b"\xff\xfe\n", b"[]\n{}\n7\n", b'{"output": "x"}'])
def test_damaged_lines_count_as_not_written(journal: Journal, target: Path, photo: Path, damage: bytes) -> None:
    with (journal.folder / ".fststyle" / "journal.jsonl").open("ab") as file:
        file.write(damage)
    late = target.with_name("late.jpg")
    again = Journal(journal.folder)
    with again.kept([]):
        write(again, late, photo)
    again = Journal(journal.folder)
    assert [again.state(path, photo, SETTINGS) for path in (target, late)] == [State.DONE, State.DONE]


def test_half_written_pictures_are_removed_and_nothing_else(journal: Journal, target: Path) -> None:
    half = [target.parent / ".fststyle-0123456789ab.jpg", journal.folder / ".fststyle-ba9876543210.PNG"]
    kept = [".fststyle-0123456789ab.mp4", ".fststyle-xyz.jpg", "a.fststyle-0123456789ab.jpg"]
    for path in [*half, *(target.parent / name for name in kept)]:
        path.touch()
    with journal.kept([target.parent, target.parent / "missing"]):
        assert not any(path.exists() for path in half)
    assert all((target.parent / name).exists() for name in kept)


def test_one_process_at_a_time_writes_to_a_folder(journal: Journal) -> None:
    script = "import sys; from pathlib import Path; from fststyle.serving.journal import Journal\n"
    script += "with Journal(Path(sys.argv[1])).kept([]): pass"
    command = [sys.executable, "-c", script, str(journal.folder)]
    with journal.kept([]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "OutputError: another fststyle is writing to" in done.stderr
    assert subprocess.run(command, check=False).returncode == 0


def test_several_threads_write_whole_lines(journal: Journal, target: Path, photo: Path) -> None:
    targets = [target.with_name(f"{number}.jpg") for number in range(20)]
    with journal.kept([]), ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: write(journal, each, photo), targets))
    again = Journal(journal.folder)
    assert all(again.state(each, photo, SETTINGS) is State.DONE for each in targets)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Not a directory"), Journal(tmp_path / "file" / "out").kept([]):
        pass


def test_a_mix_is_known_again_and_another_is_not(journal: Journal, target: Path, photo: Path) -> None:
    mixed = replace(SETTINGS, blend="network", weights=(0.0, 0.1, 0.9))
    with journal.kept([]):
        journal.write(b"mixed", target, source=photo, photo=Version.of(photo), label="", settings=mixed, overwrite=True)
    again = Journal(journal.folder)
    assert again.state(target, photo, mixed) is State.DONE
    assert again.state(target, photo, replace(mixed, weights=(0.0, 0.2, 0.8))) is State.OTHER_SETTINGS


def test_lines_from_before_there_were_mixes_are_read(journal: Journal, target: Path, photo: Path) -> None:
    file = journal.folder / ".fststyle" / "journal.jsonl"
    stored = json.loads(file.read_text())
    del stored["settings"]["weights"], stored["settings"]["blend"]
    file.write_text(json.dumps(stored) + "\n")
    assert Journal(journal.folder).state(target, photo, SETTINGS) is State.DONE
