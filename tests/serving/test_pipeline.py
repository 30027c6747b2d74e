import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fststyle.errors import InputError, OutputError
from fststyle.images import Picture
from fststyle.serving import pipeline
from fststyle.serving.journal import Version
from fststyle.serving.look import Look
from fststyle.serving.names import Job
from fststyle.serving.pipeline import run_jobs
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer

SIDE = 20


@pytest.fixture(scope="module")
def stylizer(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=1)


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Twelve photos, each of one colour."""
    made = [Job(tmp_path / f"{number}.png", tmp_path / f"out{number}.png", "tiny") for number in range(12)]
    for number, job in enumerate(made):
        Image.new("RGB", (SIDE, SIDE), (number * 20, 0, 0)).save(job.source)
    return made


class Writer:
    """Keeps what would be written."""

    def __init__(self) -> None:
        self.pictures: dict[Path, Picture] = {}

    def __call__(self, picture: Picture, job: Job, photo: Version, stages: Stages) -> None:
        assert photo == Version.of(job.source)
        with stages.measure("write"):
            self.pictures[job.target] = picture


def test_results_are_those_of_one_picture_at_a_time_and_in_order(stylizer: Stylizer, jobs: list[Job]) -> None:
    writer = Writer()
    finished = [*run_jobs({"tiny": stylizer}, jobs, Look(max_size=16), write=writer)]
    assert [result.job for result in finished] == jobs
    assert {result.size for result in finished} == {(16, 16)}
    assert finished[0].milliseconds.keys() == {"decode", "resize", "network", "colour", "write"}
    for job in jobs:
        alone = np.asarray(stylizer(job.source, max_size=16))
        np.testing.assert_array_equal(writer.pictures[job.target].pixels, alone)


def test_several_styles_decode_a_photo_once(
    stylizer: Stylizer, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    original = pipeline.read_picture

    def counted(path: Path | str, *, max_pixels: int, max_size: int | None) -> Picture:
        decoded.append(path)
        return original(path, max_pixels=max_pixels, max_size=max_size)

    monkeypatch.setattr(pipeline, "read_picture", counted)
    doubled = [Job(job.source, job.target.with_suffix(f".{style}.png"), style) for job in jobs for style in "xy"]
    finished = [*run_jobs({"x": stylizer, "y": stylizer}, doubled, Look(), write=Writer())]
    assert [result.job for result in finished] == doubled
    assert decoded.count(jobs[3].source) == 1


def test_what_fails_does_not_stop_the_others(stylizer: Stylizer, jobs: list[Job]) -> None:
    jobs[2].source.write_text("no picture")
    jobs[5].source.unlink()

    class Full(Writer):
        def __call__(self, picture: Picture, job: Job, photo: Version, stages: Stages) -> None:
            if job is jobs[7]:
                raise OutputError("the disk is full")
            super().__call__(picture, job, photo, stages)

    finished = [*run_jobs({"tiny": stylizer}, jobs, Look(), write=Full())]
    assert [result.job for result in finished] == jobs
    failed = {number: type(result.error) for number, result in enumerate(finished) if result.error}
    assert issubclass(failed[2], InputError)
    assert (failed[5], failed[7]) == (InputError, OutputError)
    assert len(failed) == 3


def test_jobs_are_asked_for_a_few_ahead_only(stylizer: Stylizer, jobs: list[Job]) -> None:
    asked: list[Job] = []

    def source() -> Iterator[Job]:
        for job in jobs:
            asked.append(job)
            yield job

    results = run_jobs({"tiny": stylizer}, source(), Look(), write=Writer(), workers=2)
    for done in range(1, 5):
        next(results)
        assert len(asked) <= done + 7  # three being decoded or waiting, three being written, one read ahead
    results.close()


@pytest.mark.parametrize("room", [1, SIDE * SIDE, 3 * SIDE * SIDE, 10**9])
def test_pixels_in_memory_are_bounded_and_nothing_waits_for_ever(
    stylizer: Stylizer, jobs: list[Job], monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    held: list[int] = []
    take = pipeline._PixelBudget.take

    def watched(budget: pipeline._PixelBudget, number: int, pixels: int) -> None:
        take(budget, number, pixels)
        held.append(budget._held)

    monkeypatch.setattr(pipeline._PixelBudget, "take", watched)
    finished = [
        *run_jobs({"tiny": stylizer}, jobs, Look(), write=Writer(), workers=4, pixels_in_memory=room),
    ]
    assert all(result.error is None for result in finished)
    assert max(held) <= room + SIDE * SIDE


def test_what_a_photo_held_is_given_back_whatever_becomes_of_it(
    stylizer: Stylizer, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[pipeline._PixelBudget] = []
    original = pipeline._PixelBudget.__init__

    def kept(budget: pipeline._PixelBudget, pixels: int) -> None:
        original(budget, pixels)
        budgets.append(budget)

    monkeypatch.setattr(pipeline._PixelBudget, "__init__", kept)
    jobs[1].source.write_bytes(jobs[1].source.read_bytes()[:60])
    assert len([*run_jobs({"tiny": stylizer}, jobs, Look(max_size=16), write=Writer())]) == len(jobs)
    assert budgets[0]._held == 0


def test_closing_early_writes_what_was_stylised_and_ends_the_threads(stylizer: Stylizer, jobs: list[Job]) -> None:
    writing, writer = threading.Event(), Writer()

    def slowly(picture: Picture, job: Job, photo: Version, stages: Stages) -> None:
        writing.set()
        time.sleep(0.05)
        writer(picture, job, photo, stages)

    before = threading.active_count()
    results = run_jobs({"tiny": stylizer}, jobs, Look(), write=slowly, workers=2, pixels_in_memory=1)
    next(results)
    assert writing.is_set()
    results.close()
    assert jobs[0].target in writer.pictures
    assert len(writer.pictures) < len(jobs)
    assert threading.active_count() == before
