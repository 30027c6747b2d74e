"""Files and folders for ``fststyle stylize``: all at once, or as they arrive."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fststyle.cli.report import Report, open_report
from fststyle.errors import OptionError

if TYPE_CHECKING:
    from fststyle.serving.look import Look
    from fststyle.serving.pipeline import Finished
    from fststyle.serving.plan import Plan, Planner
    from fststyle.serving.stylizer import Stylizer
    from fststyle.styles import StyleInfo


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for."""

    inputs: tuple[str, ...]
    output: str | None
    look: Look
    masks: str
    cycle: bool
    keep_metadata: bool
    as_json: bool
    report: Path | None
    watch: bool
    force: bool


def stylize_files(
    request: Request, find: Callable[[], list[StyleInfo]], load: Callable[[], dict[str, Stylizer]]
) -> None:
    """``find`` says which styles are asked for; ``load`` gives their stylizers by name, and is called when there is
    something to do.

    :raises BatchError: some of several pictures failed; if there was only one, its own error is raised.
    """
    from fststyle.serving.folder import find_photos

    if request.watch:
        _watch(request, find, load)
        return
    photos = find_photos(request.inputs, request.output)
    planner = _planner(request, find())
    plan = planner.plan(photos)
    plan.check()
    with open_report(request.report) as file:
        report = Report(request.as_json, file)
        report.skipped(plan.done)
        if plan.done and not request.as_json:
            count = len(plan.done) + len(plan.jobs)
            click.echo(f"fststyle: {len(plan.done)} of {count} are done already and skipped", err=True)
        if plan.jobs:
            _run(request, planner, plan, load(), report)
    if len(plan.jobs) + len(plan.done) == 1 and report.failed:
        raise report.failed[0][1]
    report.check()


def _planner(request: Request, styles: list[StyleInfo]) -> Planner:
    from fststyle.serving.plan import Planner

    for style in styles:
        style.verify()
    return Planner(
        request.inputs,
        request.output,
        styles=styles,
        look=request.look,
        masks=request.masks,
        cycle=request.cycle,
        keep_metadata=request.keep_metadata,
        force=request.force,
    )


def _run(request: Request, planner: Planner, plan: Plan, stylizers: dict[str, Stylizer], report: Report) -> None:
    from fststyle.serving.pipeline import run_jobs

    alone = len(plan.jobs) + len(plan.done) == 1
    folders = {job.target.parent for job in (*plan.jobs, *plan.done)}
    with planner.journal.kept(folders) if planner.journal else nullcontext():
        finished = run_jobs(stylizers, plan.jobs, request.look, write=planner.write)
        for result in finished if request.as_json else _with_progress(finished, len(plan.jobs)):
            report.finished(result, stylizers, say_error=not alone)


def _watch(request: Request, find: Callable[[], list[StyleInfo]], load: Callable[[], dict[str, Stylizer]]) -> None:
    from fststyle.serving.folder import photos_below
    from fststyle.serving.pipeline import Finished, run_jobs
    from fststyle.serving.watch import arrivals

    for text in request.inputs:
        if not Path(text).is_dir():
            raise OptionError(f"--watch is for folders; {text} is none")
    if request.output is None:
        raise OptionError(f"{request.inputs[0]} is a folder: say with -o in which folder its results go")
    output = Path(request.output)

    def look() -> list[Any]:
        return [photo for text in request.inputs for photo in photos_below(Path(text), output)]

    planner = _planner(request, find())
    folders = {job.target.parent for job in planner.plan(look()).jobs}
    with open_report(request.report) as file, _stopped_by_signals() as stop:
        stylizers, report = load(), Report(request.as_json, file)
        if planner.journal is None:
            raise OptionError(f"--watch needs a folder for its results; {output} is none")
        with planner.journal.kept(folders):
            if not request.as_json:
                click.echo(f"fststyle: watching {', '.join(request.inputs)}; Ctrl-C stops", err=True)
            for photos in arrivals(look, stop=stop):
                plan = planner.plan(photos)
                report.skipped(plan.done)
                for job, error in plan.refused:
                    report.finished(Finished(job, error=error), stylizers)
                jobs = takewhile(lambda _: not stop.is_set(), plan.jobs)
                for result in run_jobs(stylizers, jobs, request.look, write=planner.write):
                    report.finished(result, stylizers)
    report.check()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Set by the first SIGINT or SIGTERM: what has begun is finished. A second one does what it usually does."""
    stop = threading.Event()
    handlers: dict[signal.Signals, Any] = {}

    def ask(number: int, frame: object) -> None:
        stop.set()
        for each, handler in handlers.items():
            signal.signal(each, handler)

    for each in (signal.SIGINT, signal.SIGTERM):
        handlers[each] = signal.signal(each, ask)
    try:
        yield stop
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


def _with_progress(finished: Iterable[Finished], count: int) -> Iterator[Finished]:
    """Passes results on, with a bar on standard error if there are several and that is a terminal."""
    if count < 2 or not sys.stderr.isatty():
        yield from finished
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]:.2f} files/s")
    columns = (TextColumn("Stylising"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("Stylising", total=count, rate=0.0)
        for done, result in enumerate(finished, start=1):
            yield result
            bar.update(task, advance=1, rate=done / (bar.tasks[0].elapsed or 1e-9))
