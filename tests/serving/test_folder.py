from pathlib import Path

import pytest
from PIL import Image

from fststyle.errors import InputError, OptionError, OutputError
from fststyle.serving.folder import Job, plan_jobs, run_jobs
from fststyle.serving.stylizer import Look, Stylizer


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


def planned(inputs: list[str], output: str | None, *, force: bool = False) -> dict[str, str]:
    jobs = plan_jobs(inputs, output, style="tiny", force=force)
    return {job.source.as_posix(): job.target.as_posix() for job in jobs}


def test_a_folder_keeps_its_sub_folders(holiday: Path) -> None:
    assert planned(["holiday"], "out") == {
        "holiday/a.PNG": "out/a.PNG",
        "holiday/b.jpg": "out/b.jpg",
        "holiday/sea/c.webp": "out/sea/c.webp",
        "holiday/sea/cliff/d.tif": "out/sea/cliff/d.tif",
    }


def test_a_folder_needs_a_place_for_its_results(holiday: Path) -> None:
    with pytest.raises(OptionError, match="say with -o"):
        planned(["holiday"], None)


def test_results_in_a_folder_below_are_not_stylised_again(holiday: Path) -> None:
    before = planned(["holiday"], "holiday/out")
    (holiday / "holiday" / "out").mkdir()
    Image.new("RGB", (20, 16)).save(holiday / "holiday" / "out" / "b.jpg")
    assert planned(["holiday"], "holiday/out", force=True) == before


def test_without_an_output_a_result_lies_beside_its_photo(holiday: Path) -> None:
    assert planned(["holiday/b.jpg"], None) == {"holiday/b.jpg": "holiday/b-tiny.jpg"}


def test_one_photo_goes_to_a_file_or_into_a_folder(holiday: Path) -> None:
    assert planned(["holiday/b.jpg"], "new/x.png") == {"holiday/b.jpg": "new/x.png"}
    assert planned(["holiday/b.jpg"], "new") == {"holiday/b.jpg": "new/b.jpg"}
    assert planned(["holiday/b.jpg"], "x.d/") == {"holiday/b.jpg": "x.d/b.jpg"}
    (holiday / "there.jpg").mkdir()
    assert planned(["holiday/b.jpg"], "there.jpg") == {"holiday/b.jpg": "there.jpg/b.jpg"}


def test_a_slip_in_a_files_suffix_does_not_make_a_folder(holiday: Path) -> None:
    with pytest.raises(OptionError, match=r"did you mean '\.jpg'"):
        planned(["holiday/b.jpg"], "out.jpgg")


def test_a_file_is_no_folder_for_results(holiday: Path) -> None:
    (holiday / "notes").touch()
    with pytest.raises(OutputError, match="there is a file of that name"):
        planned(["holiday"], "notes")


def test_several_photos_do_not_fit_into_one_file(holiday: Path) -> None:
    for inputs in (["holiday"], ["holiday/a.PNG", "holiday/b.jpg"]):
        with pytest.raises(OptionError, match="several pictures"):
            planned(inputs, "out.jpg")


def test_a_glob_keeps_what_comes_after_its_fixed_part(holiday: Path) -> None:
    assert planned(["holiday/*"], "out") == {"holiday/a.PNG": "out/a.PNG", "holiday/b.jpg": "out/b.jpg"}
    assert planned(["holiday/**/*.[tw]*"], "out") == {
        "holiday/sea/c.webp": "out/sea/c.webp",
        "holiday/sea/cliff/d.tif": "out/sea/cliff/d.tif",
    }
    assert planned([f"{holiday}/holiday/sea/*"], "out") == {f"{holiday}/holiday/sea/c.webp": "out/c.webp"}


def test_a_file_whose_name_looks_like_a_glob_is_a_file(holiday: Path) -> None:
    Image.new("RGB", (20, 16)).save(holiday / "photo[1].jpg")
    assert planned(["photo[1].jpg"], "out") == {"photo[1].jpg": "out/photo[1].jpg"}


def test_formats_that_are_only_read_change_their_suffix(holiday: Path) -> None:
    for name in ("x.gif", "y.bmp", "z.heic", "noend"):
        (holiday / name).touch()
    assert [*planned(["x.gif", "y.bmp", "z.heic", "noend"], "out").values()] == [
        "out/x.png",
        "out/y.png",
        "out/z.jpg",
        "out/noend.png",
    ]


def test_two_inputs_never_write_one_output(holiday: Path) -> None:
    (holiday / "other").mkdir()
    Image.new("RGB", (20, 16)).save(holiday / "other" / "b.jpg")
    with pytest.raises(OptionError, match=r"holiday/b\.jpg and other/b\.jpg would both be written to out/b\.jpg"):
        planned(["holiday/b.jpg", "other/b.jpg"], "out")


def test_names_that_meet_after_a_change_of_suffix_are_noticed(holiday: Path) -> None:
    (holiday / "x.gif").touch()
    (holiday / "x.bmp").touch()
    with pytest.raises(OptionError, match="would both be written to"):
        planned(["x.gif", "x.bmp"], "out")


def test_the_same_photo_twice_is_one_job(holiday: Path) -> None:
    assert len(planned(["holiday/b.jpg", "holiday/b.jpg"], "out")) == 1
    assert len(planned(["holiday", "holiday/b.jpg"], "out")) == 4


@pytest.mark.parametrize("output", ["holiday", "holiday/../holiday"])
def test_inputs_are_never_written_to(holiday: Path, output: str) -> None:
    with pytest.raises(OptionError, match="would replace an input"):
        planned(["holiday"], output, force=True)


def test_a_link_to_an_input_is_the_input(holiday: Path) -> None:
    (holiday / "link.jpg").symlink_to("holiday/b.jpg")
    with pytest.raises(OptionError, match="would replace an input"):
        planned(["holiday/b.jpg"], "link.jpg", force=True)


def test_results_that_exist_stop_everything_before_it_starts(holiday: Path) -> None:
    (holiday / "out").mkdir()
    for name in ("b.jpg", "a.PNG"):
        (holiday / "out" / name).touch()
    with pytest.raises(OutputError, match=r"out/a\.PNG exists already.*and 1 more"):
        planned(["holiday"], "out")
    assert len(planned(["holiday"], "out", force=True)) == 4


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
        planned([text], "out")


def test_a_job_that_fails_does_not_stop_the_others(holiday: Path, tiny_style_file: Path) -> None:
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    (holiday / "holiday" / "b.jpg").write_text("no picture")
    jobs = plan_jobs(["holiday"], "out", style="tiny")
    finished = [*run_jobs(stylizer, jobs, Look(max_size=16))]
    assert [result.job for result in finished] == jobs
    assert [type(result.error) for result in finished].count(type(None)) == 3
    assert "b.jpg is not a picture" in str(finished[1].error)
    assert finished[0].size == (16, 13)
    assert {"decode", "network", "encode", "write"} <= finished[0].milliseconds.keys()
    with Image.open(holiday / "out" / "sea" / "cliff" / "d.tif") as image:
        assert image.size == (16, 13)
    assert not (holiday / "out" / "b.jpg").exists()


def test_jobs_run_one_at_a_time_as_they_are_asked_for(holiday: Path, tiny_style_file: Path) -> None:
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    results = run_jobs(stylizer, [Job(Path("holiday/b.jpg"), Path("1.jpg")), Job(Path("x"), Path("2.jpg"))], Look())
    assert next(results).error is None
    assert (holiday / "1.jpg").exists()
    assert isinstance(next(results).error, InputError)
