import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fststyle.errors import OptionError, OutputError
from fststyle.images import Picture, load_rgb, read_picture
from fststyle.serving.folder import find_photos
from fststyle.serving.journal import Version
from fststyle.serving.plan import Plan, Planner
from fststyle.serving.stylizer import Look, Stages
from fststyle.styles import read_style

Plans = Callable[..., tuple[Planner, Plan]]


@pytest.fixture
def plans(tmp_path: Path, tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Plans for the photos ``a.png`` and ``sea/b.jpg`` of the folder ``in``, with the style ``tiny``."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "sea/b.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), "teal").save(path)

    def plan(source: str = "in", output: str | None = "out", **options: object) -> tuple[Planner, Plan]:
        look = options.pop("look", Look())
        styles = [read_style(tiny_style_file)]
        planner = Planner([source], output, styles=styles, look=look, **options)  # type: ignore[arg-type]
        return planner, planner.plan(find_photos([source], output))

    return plan


def write_all(planner: Planner, plan: Plan) -> None:
    assert planner.journal is not None
    with planner.journal.kept([]):
        for job in plan.jobs:
            planner.write(read_picture(job.source), job, Version.of(job.source), Stages())


def names(plan: Plan) -> tuple[list[str], list[str], list[str]]:
    refused = [job for job, _ in plan.refused]
    jobs, done, not_made = ([job.target.as_posix() for job in each] for each in (plan.jobs, plan.done, refused))
    return jobs, done, not_made


def test_what_an_earlier_run_wrote_is_done(plans: Plans) -> None:
    planner, plan = plans()
    assert names(plan) == (["out/a.png", "out/sea/b.jpg"], [], [])
    plan.jobs.pop()
    write_all(planner, plan)
    assert names(plans()[1]) == (["out/sea/b.jpg"], ["out/a.png"], [])


def test_force_makes_everything_again(plans: Plans) -> None:
    write_all(*plans())
    planner, plan = plans(force=True)
    assert names(plan) == (["out/a.png", "out/sea/b.jpg"], [], [])
    write_all(planner, plan)


def test_what_stands_there_for_another_reason_is_refused_before_anything_starts(plans: Plans) -> None:
    write_all(*plans())
    Image.new("RGB", (8, 8)).save("in/a.png")
    Path("out/sea/b.jpg").write_text("mine")
    _, plan = plans()
    assert names(plan)[2] == ["out/a.png", "out/sea/b.jpg"]
    with pytest.raises(OutputError, match=r"a\.png exists already, made from another version.*and 1 more like it"):
        plan.check()
    plans(force=True)[1].check()


@pytest.mark.parametrize(
    "changed", [{"look": Look(strength=0.5)}, {"look": Look(max_size=300)}, {"keep_metadata": True}]
)
def test_results_with_other_settings_are_refused(plans: Plans, changed: dict[str, object]) -> None:
    write_all(*plans())
    with pytest.raises(OutputError, match=r"a\.png exists already, made with other settings; --force"):
        plans(**changed)[1].check()


def test_photos_may_move(plans: Plans) -> None:
    write_all(*plans())
    shutil.move("in", "elsewhere")
    assert names(plans("elsewhere")[1]) == ([], ["out/a.png", "out/sea/b.jpg"], [])


def test_without_a_folder_nothing_is_known_of_earlier_runs(plans: Plans) -> None:
    planner, plan = plans("in/a.png", "one.png")
    job = plan.jobs[0]
    planner.write(read_picture(job.source), job, Version.of(job.source), Stages())
    assert load_rgb("one.png").shape == (16, 20, 3)
    assert planner.journal is None
    with pytest.raises(OutputError, match=r"one\.png exists already; --force"):
        plans("in/a.png", "one.png")[1].check()


def test_a_slip_in_a_files_suffix_does_not_make_a_folder(plans: Plans) -> None:
    with pytest.raises(OptionError, match=r"did you mean '\.jpg'"):
        plans("in/a.png", "out.jpgg")


def test_a_result_that_came_to_exist_in_the_meantime_is_left_alone(plans: Plans) -> None:
    planner, plan = plans()
    assert planner.journal is not None
    job = plan.jobs[0]
    Path("out").mkdir()
    job.target.write_text("mine")
    with planner.journal.kept([]), pytest.raises(OutputError, match="exists already"):
        planner.write(Picture(load_rgb(job.source)), job, Version.of(job.source), Stages())
    assert job.target.read_text() == "mine"
