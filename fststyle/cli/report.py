"""What ``fststyle stylize`` prints and reports of each picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from fststyle.atomic import make_folder
from fststyle.errors import BatchError, FststyleError, OutputError, outcome

if TYPE_CHECKING:
    from fststyle.serving.names import Job
    from fststyle.serving.pipeline import Finished
    from fststyle.serving.stylizer import Stylizer

FAILURES_NAMED = 10
"""How many the last line lists; each has had a line of its own."""


class Report:
    """Says what became of each picture: in words or as JSON on standard output, and as JSON in the report."""

    def __init__(self, print_json: bool, file: IO[str] | None) -> None:
        self._print_json, self._file = print_json, file
        self._photos: set[Path] = set()
        self.failed: list[tuple[Path, FststyleError]] = []

    def skipped(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._photos.add(job.source)
            self._write({**_places(job), "status": "skipped"})

    def finished(self, result: Finished, stylizers: Mapping[str, Stylizer], *, say_error: bool = True) -> None:
        job, error = result.job, result.error
        self._photos.add(job.source)
        if error is not None:
            told = {"type": type(error).__name__, "message": str(error), "exit_code": outcome(error).exit_code}
            self._write({**_places(job), "status": "failed", "error": told})
            if say_error and not any(str(error) == str(earlier) for _, earlier in self.failed[-1:]):
                click.echo(f"fststyle: error: {error}", err=True)
            self.failed.append((job.source, error))
            return
        self._write(as_json(_places(job), stylizers[job.style], result.size, result.milliseconds))
        if result.size is not None and not self._print_json:
            seconds = sum(result.milliseconds.values()) / 1000
            width, height = result.size
            source, target = map(click.format_filename, (job.source, job.target))
            click.echo(f"{source} -> {target} ({width} x {height}, {seconds:.2f} s)")

    def check(self) -> None:
        """:class:`BatchError` if a picture failed."""
        if self.failed:
            names = list(dict.fromkeys(str(source) for source, _ in self.failed))
            more = f" and {len(names) - FAILURES_NAMED} more" if len(names) > FAILURES_NAMED else ""
            listed = ", ".join(names[:FAILURES_NAMED])
            raise BatchError(f"{len(names)} of {len(self._photos)} pictures failed: {listed}{more}")

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry)
        if self._print_json:
            click.echo(line)
        if self._file is not None:
            try:
                self._file.write(f"{line}\n")
                self._file.flush()
            except OSError as error:
                raise OutputError(f"cannot write the report: {error.strerror or error}") from error


def _places(job: Job) -> dict[str, str]:
    return {"input": str(job.source), "output": str(job.target), "style": job.style}


def as_json(
    places: dict[str, str], stylizer: Stylizer, size: tuple[int, int] | None, milliseconds: dict[str, float]
) -> dict[str, Any]:
    """What is reported of a picture that came out well; ``places`` has its input, output and style."""
    return {
        **places,
        "status": "written",
        "size": size,
        "milliseconds": {stage: round(spent, 2) for stage, spent in milliseconds.items()},
        "provider": stylizer.engine.provider,
    }


@contextmanager
def open_report(path: Path | None) -> Iterator[IO[str] | None]:
    """For appending, on a line of its own; a file that is no report is left alone."""
    if path is None:
        yield None
        return
    make_folder(path.parent)
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    with file:
        file.seek(0)
        try:
            stored = file.read()
        except ValueError as error:
            raise OutputError(f"{path} exists already and is no report; name another file") from error
        if stored and not stored.startswith("{"):
            raise OutputError(f"{path} exists already and is no report; name another file")
        if stored and not stored.endswith("\n"):
            file.write("\n")
        yield file
