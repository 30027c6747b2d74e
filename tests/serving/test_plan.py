import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fststyle.errors import OptionError, OutputError
from fststyle.images import Picture, load_rgb, read_picture
from fststyle.serving.folder import find_photos
from fststyle.serving.journal import Version
from fststyle.serving.look import Look
from fststyle.serving.plan import Plan, Planner
from fststyle.serving.stages import Stages
from fststyle.styles import find_style, read_style

Plans = Callable[..., tuple[Planner, Plan]]


@pytest.fixture
def plans(tmp_path: Path, tiny_style_file: Path, palette_file: Path, monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Plans for the photos ``a.png`` and ``sea/b.jpg`` of the folder ``in``, with the style ``tiny``, or with ``mixes``
    of a palette.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "sea/b.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), "teal").save(path)

    def plan(source: str = "in", output: str | None = "out", **options: object) -> tuple[Planner, Plan]:
        look = options.pop("look", Look())
        mixes = options.pop("mixes", [])
        styles = [find_style(f"{mix}@{palette_file}") for mix in mixes] or [read_style(tiny_style_file)]  # type: ignore[attr-defined]
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
    "changed",
    [
        {"look": Look(strength=0.5)},
        {"look": Look(max_size=300)},
        {"look": Look(blend="network"), "mixes": ["dawn"]},
        {"mixes": ["dawn:0.5,dusk:0.5"]},
        {"keep_metadata": True},
    ],
)
def test_results_with_other_settings_are_refused(plans: Plans, changed: dict[str, object]) -> None:
    write_all(*(plans(mixes=["dawn"]) if "mixes" in changed else plans()))
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


def test_several_mixes_have_names_that_every_system_takes(plans: Plans) -> None:
    made, _, _ = names(plans("in/a.png", mixes=["dawn", "dawn:0.7,dusk:0.3"])[1])
    assert made == ["out/a-dawn.png", "out/a-dawn-0.7+dusk-0.3.png"]
    with pytest.raises(OptionError, match="two styles have one name"):
        plans(mixes=["dawn:1,dusk:1", "dawn,dusk"])


def test_in_turn_each_photo_gets_one_style(plans: Plans) -> None:
    _, plan = plans(mixes=["dusk", "dawn"], cycle=True)
    assert names(plan)[0] == ["out/a.png", "out/sea/b.jpg"]
    assert [job.style for job in plan.jobs] == ["dusk", "dawn"]


def test_in_turn_photos_keep_the_style_that_they_have_had(plans: Plans) -> None:
    planner, plan = plans(mixes=["dusk", "dawn"], cycle=True)
    write_all(planner, plan)
    for name in ("0.png", "z.png"):
        Image.new("RGB", (20, 16), "navy").save(Path("in", name))
    again = plans(mixes=["dusk", "dawn"], cycle=True)[1]
    assert [(job.source.name, job.style) for job in again.done] == [("a.png", "dusk"), ("b.jpg", "dawn")]
    assert [(job.source.name, job.style) for job in again.jobs] == [("0.png", "dusk"), ("z.png", "dusk")]
    anew = plans(mixes=["dusk", "dawn"], cycle=True, force=True)[1]
    assert [job.style for job in anew.jobs] == ["dusk", "dawn", "dusk", "dawn"]
    with pytest.raises(OutputError, match="made with other settings"):
        plans(mixes=["dusk:0.5,dawn:0.5"], cycle=True)[1].check()


def test_a_style_that_cannot_blend_in_the_network_is_refused(plans: Plans) -> None:
    with pytest.raises(OptionError, match="tiny is a network of one style"):
        plans(look=Look(blend="network"))
