from pathlib import Path

import pytest
from PIL import Image

from fststyle.errors import InputError, OptionError, OutputError
from fststyle.serving.folder import find_photos, output_folder, photos_below


@pytest.fixture
def holiday(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with photos in ``holiday`` at two depths, and files beside them that are no photos."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.PNG", "sea/c.webp", "sea/cliff/d.tif"):
        path = tmp_path / "holiday" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), "teal").save(path)
    for name in ("desktop.ini", ".hidden.jpg", "sea/notes.txt", ".trash/e.jpg"):
        path = tmp_path / "holiday" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no picture")
    return tmp_path


def found(inputs: list[str], output: str | None) -> dict[str, str]:
    """Each photo, and its place below the output folder."""
    return {photo.source.as_posix(): photo.place.as_posix() for photo in find_photos(inputs, output)}


def test_a_folder_keeps_its_sub_folders(holiday: Path) -> None:
    assert found(["holiday"], "out") == {
        "holiday/a.PNG": "a.PNG",
        "holiday/b.jpg": "b.jpg",
        "holiday/sea/c.webp": "sea/c.webp",
        "holiday/sea/cliff/d.tif": "sea/cliff/d.tif",
    }


def test_a_folder_needs_a_place_for_its_results(holiday: Path) -> None:
    with pytest.raises(OptionError, match="say with -o"):
        find_photos(["holiday"], None)


def test_results_in_a_folder_below_are_no_photos(holiday: Path) -> None:
    before = found(["holiday"], "holiday/out")
    (holiday / "holiday" / "out").mkdir()
    Image.new("RGB", (20, 16)).save(holiday / "holiday" / "out" / "b.jpg")
    assert found(["holiday"], "holiday/out") == before
    assert len(photos_below(Path("holiday"), Path("elsewhere"))) == len(before) + 1


def test_a_folder_without_photos_may_get_some_later(holiday: Path) -> None:
    (holiday / "empty").mkdir()
    assert photos_below(Path("empty"), Path("out")) == []


def test_a_glob_keeps_what_comes_after_its_fixed_part(holiday: Path) -> None:
    assert found(["holiday/*"], "out") == {"holiday/a.PNG": "a.PNG", "holiday/b.jpg": "b.jpg"}
    assert found(["holiday/**/*.[tw]*"], "out") == {
        "holiday/sea/c.webp": "sea/c.webp",
        "holiday/sea/cliff/d.tif": "sea/cliff/d.tif",
    }
    assert found([f"{holiday}/holiday/sea/*"], "out") == {f"{holiday}/holiday/sea/c.webp": "c.webp"}


def test_a_file_whose_name_looks_like_a_glob_is_a_file(holiday: Path) -> None:
    Image.new("RGB", (20, 16)).save(holiday / "photo[1].jpg")
    assert found(["photo[1].jpg"], "out") == {"photo[1].jpg": "photo[1].jpg"}


def test_the_same_photo_twice_is_one(holiday: Path) -> None:
    assert len(find_photos(["holiday/b.jpg", "holiday/b.jpg"], "out")) == 1
    assert len(find_photos(["holiday", "holiday/b.jpg"], "out")) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("missing.jpg", "cannot read missing.jpg: no such file"),
        ("empty", "no pictures in empty"),
        ("holiday/*.bmp", "no picture matches"),
    ],
)
def test_inputs_without_pictures_are_named(holiday: Path, text: str, message: str) -> None:
    (holiday / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        find_photos([text], "out")


def test_one_photo_goes_to_a_file_or_into_a_folder(holiday: Path) -> None:
    assert output_folder(["holiday/b.jpg"], None) is None
    assert output_folder(["holiday/b.jpg"], "new/x.png") is None
    assert output_folder(["holiday/b.jpg"], "out.jpgg") is None  # a slip, which the suffix check names; no folder
    assert output_folder(["holiday/b.jpg"], "new") == Path("new")
    assert output_folder(["holiday/b.jpg"], "x.d/") == Path("x.d")
    (holiday / "there.jpg").mkdir()
    assert output_folder(["holiday/b.jpg"], "there.jpg") == Path("there.jpg")


def test_a_file_is_no_folder_for_results(holiday: Path) -> None:
    (holiday / "notes").touch()
    with pytest.raises(OutputError, match="there is a file of that name"):
        output_folder(["holiday"], "notes")


def test_several_photos_do_not_fit_into_one_file(holiday: Path) -> None:
    for inputs in (["holiday"], ["holiday/a.PNG", "holiday/b.jpg"]):
        with pytest.raises(OptionError, match="several pictures"):
            output_folder(inputs, "out.jpg")
