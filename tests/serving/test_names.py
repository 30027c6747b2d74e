from pathlib import Path

import pytest

from fststyle.errors import OptionError
from fststyle.serving.folder import Photo
from fststyle.serving.journal import Record, Settings, Version
from fststyle.serving.names import Names

SETTINGS = Settings("0" * 64, 1.0, False, None, False)


def photos(*sources: str, base: str = "") -> list[Photo]:
    return [Photo(Path(base, source), Path(source)) for source in sources]


def named(names: Names, *sources: str, base: str = "") -> list[str]:
    return [job.target.as_posix() for job in names.jobs(photos(*sources, base=base))]


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def record(source: str, output: str, label: str = "") -> Record:
    """As an earlier run leaves it, of a photo that is still there."""
    Path(source).touch()
    return Record(output, str(Path(source).resolve()), label, Version(0, 0), SETTINGS, Version(0, 0), "")


def test_a_result_has_its_photos_place_and_name() -> None:
    assert named(Names(Path("out"), {"tiny": "tiny"}), "a.jpg", "sea/b.PNG", base="in") == [
        "out/a.jpg",
        "out/sea/b.PNG",
    ]


def test_without_a_folder_a_result_lies_beside_its_photo() -> None:
    assert named(Names(None, {"tiny": "tiny"}), "in/b.jpg") == ["in/b-tiny.jpg"]


def test_several_styles_are_told_apart_by_their_names() -> None:
    for folder, expected in ((Path("out"), ["out/b-x.jpg", "out/b-y.jpg"]), (None, ["b-x.jpg", "b-y.jpg"])):
        jobs = Names(folder, {"x": "x", "y": "y"}).jobs(photos("b.jpg"))
        assert [job.target.as_posix() for job in jobs] == expected
        assert [job.style for job in jobs] == ["x", "y"]


def test_formats_that_are_only_read_change_their_suffix() -> None:
    names = Names(Path("out"), {"tiny": "tiny"})
    assert named(names, "x.gif", "y.bmp", "z.heic", "noend", base="in") == [
        "out/x.png",
        "out/y.png",
        "out/z.jpg",
        "out/noend.png",
    ]


def test_who_keeps_his_suffix_keeps_his_name_whatever_the_order() -> None:
    assert named(Names(Path("out"), {"tiny": "tiny"}), "x.bmp", "x.gif", "x.png", base="in") == [
        "out/x-bmp.png",
        "out/x-gif.png",
        "out/x.png",
    ]


def test_names_that_differ_in_case_or_spelling_only_are_told_apart() -> None:
    names = Names(Path("out"), {"tiny": "tiny"})
    assert named(names, "B.jpg", "b.JPG", "b.jpg", base="in") == ["out/B.jpg", "out/b-2.JPG", "out/b-3.jpg"]
    assert named(names, "Caf\u00e9.jpg", "Cafe\u0301.jpg", base="in")[1] == "out/Cafe\u0301-2.jpg"


def test_a_name_made_up_does_not_meet_a_real_one() -> None:
    assert named(Names(Path("out"), {"tiny": "tiny"}), "b-2.jpg", "b.jpg", "B.jpg", base="in") == [
        "out/b-2.jpg",
        "out/b.jpg",
        "out/B-3.jpg",
    ]


def test_photos_of_one_name_from_two_folders() -> None:
    found = [Photo(Path("x/b.jpg"), Path("b.jpg")), Photo(Path("y/b.jpg"), Path("b.jpg"))]
    jobs = Names(Path("out"), {"tiny": "tiny"}).jobs(found)
    assert [job.target.as_posix() for job in jobs] == ["out/b.jpg", "out/b-2.jpg"]


def test_names_stay_as_more_photos_arrive() -> None:
    names = Names(Path("out"), {"tiny": "tiny"})
    assert named(names, "x.gif", base="in") == ["out/x.png"]
    assert named(names, "x.gif", "x.png", base="in") == ["out/x.png", "out/x-2.png"]


def test_names_of_earlier_runs_stay() -> None:
    Path("in").mkdir()
    known = [record("in/x.gif", "x.png"), record("in/y.jpg", "y-tiny.jpg", "tiny")]
    assert named(Names(Path("out"), {"tiny": "tiny"}, known), "x.gif", "x.png", "y.jpg", base="in") == [
        "out/x.png",
        "out/x-2.png",
        "out/y.jpg",
    ]


def test_a_photo_that_is_gone_leaves_its_name_to_others() -> None:
    known = [record("moved.jpg", "b.jpg")]
    Path("moved.jpg").unlink()
    assert named(Names(Path("out"), {"tiny": "tiny"}, known), "b.jpg", base="in") == ["out/b.jpg"]


@pytest.mark.parametrize("folder", ["in", "in/../in"])
def test_photos_are_never_written_to(folder: str) -> None:
    Path("in").mkdir()
    with pytest.raises(OptionError, match="would replace an input"):
        Names(Path(folder), {"tiny": "tiny"}).jobs(photos("b.jpg", base="in"))


def test_a_link_to_a_photo_is_the_photo() -> None:
    Path("link.jpg").symlink_to("b.jpg")
    with pytest.raises(OptionError, match="would replace an input"):
        Names(None, {"tiny": "tiny"}).renamed(photos("b.jpg"), Path("link.jpg"))


def test_in_turn_the_count_goes_on_as_more_photos_arrive() -> None:
    names = Names(None, {"x": "x", "y:1": "y-1", "z": "z"}, turns={str(Path("c.jpg").resolve()): "x"})
    assert named(names, "a.jpg", "b.jpg") == ["a-x.jpg", "b-y-1.jpg"]
    assert named(names, "b.jpg", "c.jpg", "d.jpg") == ["b-y-1.jpg", "c-x.jpg", "d-x.jpg"]
    assert [job.style for job in names.jobs(photos("d.jpg", "b.jpg"))] == ["x", "y:1"]
