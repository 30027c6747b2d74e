"""Photos for those who have none at hand: the archives there are, fetched, verified and unpacked as a whole."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from fststyle.downloads import CHUNK, Patience, Progress, Remote, check_room, download, mismatch
from fststyle.errors import DownloadError, OptionError, OutputError, did_you_mean


@dataclass(frozen=True)
class PhotoSet:
    """A zip archive whose one folder, ``folder``, holds ``photos`` photos."""

    name: str
    remote: Remote
    folder: str
    photos: int
    terms: str


COCO_TERMS = "each photo stays under its photographer's Flickr licence: https://cocodataset.org/#termsofuse"
# The server offers no https under this name. The digests are those that data-set loaders in wide use check.
PHOTO_SETS = {
    "coco-val2017": PhotoSet(
        "coco-val2017",
        Remote(
            "http://images.cocodataset.org/zips/val2017.zip", 815585330, "sha1:4950dc9d00dbe1c933ee0170f5797584351d2a41"
        ),
        folder="val2017",
        photos=5000,
        terms=COCO_TERMS,
    ),
    "coco-train2017": PhotoSet(
        "coco-train2017",
        Remote(
            "http://images.cocodataset.org/zips/train2017.zip",
            19336861798,
            "sha1:10ad623668ab00c62c096f0ed636d6aff41faca5",
        ),
        folder="train2017",
        photos=118287,
        terms=COCO_TERMS,
    ),
}


def find_photo_set(name: str) -> PhotoSet:
    """Raise :class:`~fststyle.errors.OptionError` for an unknown name; the message offers the nearest one."""
    if name not in PHOTO_SETS:
        raise OptionError(
            f"no set of photos named {name!r}; accepted: {', '.join(PHOTO_SETS)}{did_you_mean(name, PHOTO_SETS)}"
        )
    return PHOTO_SETS[name]


def fetch_photos(
    photo_set: PhotoSet,
    to: Path,
    *,
    keep_archive: bool = False,
    downloading: Progress | None = None,
    unpacking: Progress | None = None,
    patience: Patience | None = None,
) -> Path:
    """Bring a set of photos to ``to / photo_set.folder`` and return that folder; if it is there, nothing is done.

    The folder appears only when every photo in it has been verified. An interrupted download is continued by the next
    call, and an archive that lies in ``to`` is used. It is removed in the end unless ``keep_archive``. ``downloading``
    and ``unpacking`` are told bytes done and bytes in all.

    Raises :class:`~fststyle.errors.DownloadError` (unreachable, damaged, or an archive that is not what it should be)
    or :class:`~fststyle.errors.OutputError` (``to`` cannot be written to or has not enough room, or something else lies
    where the archive or the photos go).
    """
    from filelock import FileLock

    folder = to / photo_set.folder
    try:
        to.mkdir(parents=True, exist_ok=True)
        with FileLock(to / f".{photo_set.folder}.lock"):
            if folder.exists():
                return _complete(folder, photo_set)
            archive = to / f"{photo_set.folder}.zip"
            _check_room(photo_set, archive)
            if not archive.exists():
                download(photo_set.remote, archive, progress=downloading, patience=patience)
            elif (problem := mismatch(photo_set.remote, archive)) is not None:
                raise OutputError(f"{archive} is in the way: {problem}; move or remove it")
            _unpack_photos(photo_set, archive, folder, unpacking)
            if not keep_archive:
                archive.unlink()
    except OSError as error:
        raise OutputError(f"cannot write photos to {to}: {error.strerror or error}") from error
    return folder


def unpack(archive: Path, folder: Path, *, progress: Progress | None = None) -> int:
    """Unpack a zip archive into a new folder, check each file's CRC-32, and return how many files there are.

    Raises :class:`~fststyle.errors.DownloadError` for a damaged or encrypted archive and for members that are links or
    whose names lead out of the folder, :class:`~fststyle.errors.OutputError` if there is not enough room. Whatever was
    unpacked before an error stays in ``folder``.
    """
    folder.mkdir()
    done = 0
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not member.is_dir()]
            targets = [_target(member, folder, archive) for member in members]
            total = sum(member.file_size for member in members)
            check_room(folder, total)
            for member, target in zip(members, targets, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                with content.open(member) as source, target.open("xb") as file:
                    done = _copy(source, file, done, total, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, FileExistsError) as error:
        raise DownloadError(f"{archive} is damaged: {error}") from error
    return len(members)


def _check_room(photo_set: PhotoSet, archive: Path) -> None:
    """Ask for the rest of the archive and for the photos: JPEGs in a zip take the room that they take outside it."""
    size = photo_set.remote.size or 0
    part = archive.with_name(f"{archive.name}.part")
    here = next((path.stat().st_size for path in (archive, part) if path.exists()), 0)
    check_room(archive.parent, 2 * size - min(here, size))


def _unpack_photos(photo_set: PhotoSet, archive: Path, folder: Path, progress: Progress | None) -> None:
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a call that was killed
    try:
        unpack(archive, temporary, progress=progress)
        found = temporary / photo_set.folder
        count = _count(found)
        if count != photo_set.photos:
            raise DownloadError(
                f"{photo_set.remote.url} holds {count} photos in {photo_set.folder}/, not {photo_set.photos}"
            )
        found.rename(folder)
    except DownloadError:
        archive.unlink(missing_ok=True)  # so that the next call fetches it again
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _complete(folder: Path, photo_set: PhotoSet) -> Path:
    if (count := _count(folder)) != photo_set.photos:
        raise OutputError(
            f"{folder} exists and holds {count} photos, {photo_set.name} has {photo_set.photos}; move it out of the way"
        )
    return folder


def _count(folder: Path) -> int:
    return sum(1 for path in folder.glob("*.jpg"))


def _target(member: zipfile.ZipInfo, folder: Path, archive: Path) -> Path:
    name = PurePosixPath(member.filename)
    link = stat.S_ISLNK(member.external_attr >> 16)
    if link or name.is_absolute() or ".." in name.parts or any(mark in member.filename for mark in "\\:"):
        raise DownloadError(f"{archive} is refused: it holds {member.filename!r}, which leads out of its folder")
    return folder / name


def _copy(source: IO[bytes], file: IO[bytes], done: int, total: int, progress: Progress | None) -> int:
    while chunk := source.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    return done
