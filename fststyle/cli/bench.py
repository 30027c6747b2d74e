"""``fststyle bench``: how fast the networks of styles are on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fststyle.atomic import atomic_path, make_folder
from fststyle.cli.bench_table import Row, Table
from fststyle.cli.sizes import Size
from fststyle.errors import BatchError, FststyleError, OptionError, StyleNotFoundError
from fststyle.machine import describe_machine
from fststyle.serving.bench import (
    LEAST_RUNS,
    Case,
    Sampling,
    gpu_name,
    measure,
    one_style_a_preset,
    working_devices,
)
from fststyle.style_folders import user_folder
from fststyle.styles import StyleInfo, find_style

if TYPE_CHECKING:
    from fststyle.serving.providers import Device

SIZES = ("512x512", "1280x720", "1920x1080")
MEASURED = "the engine alone, from an array of pixels to an array of pixels; each row in a process of its own"


@click.command()
@click.option(
    "--style",
    "names",
    multiple=True,
    metavar="NAME|FILE.onnx",
    help="Which style; may be repeated.  [default: a shipped one of each preset]",
)
@click.option("--size", "sizes", multiple=True, type=Size(), default=SIZES, show_default=True, help="May be repeated.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    type=click.Choice(["cpu", "cuda"]),
    help="Where the network runs; may be repeated.  [default: wherever it really runs]",
)
@click.option(
    "--threads",
    "counts",
    multiple=True,
    type=int,
    help="Processor threads; may be repeated.  [default: all that this process may use]",
)
@click.option(
    "--seconds",
    type=float,
    help=f"Measure each row so long, and {LEAST_RUNS} runs at least.  [default: {Sampling.seconds:g}]",
)
@click.option("--runs", type=int, help="Measure each row so many times, however long that takes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write the JSON object to FILE.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def bench(
    names: tuple[str, ...],
    sizes: tuple[tuple[int, int], ...],
    devices: tuple[Device, ...],
    counts: tuple[int, ...],
    seconds: float | None,
    runs: int | None,
    as_json: bool,
    output: Path | None,
    force: bool,
) -> None:
    """Measure how fast the networks of styles are on this machine, in every combination of the options.

    The engine alone is measured, after a warm-up: an array of pixels in, an array of pixels out. Reading and writing
    pictures comes on top. Each row is measured in a process of its own, whose peak of main memory is shown. A row that
    cannot be measured does not stop the others.
    """
    sampling = _sampling(seconds, runs)
    styles = [find_style(name) for name in dict.fromkeys(names)] or one_style_a_preset()
    if not styles:
        raise StyleNotFoundError(f"there are no styles: none are shipped and {user_folder()} has none")
    if output is not None:
        make_folder(output.parent)
    # Opened before the first row is measured, which may be minutes before the last.
    with nullcontext() if output is None else atomic_path(output, overwrite=force) as file:
        on = devices or _working_devices(styles[0], say=not as_json)
        cases = _cases(styles, sizes, on, counts or (None,))
        machine = _machine(on)
        if not as_json:
            click.echo(f"{machine}\n{MEASURED}\n")
        rows = _measure(cases, sampling, show=not as_json)
        report = json.dumps({"machine": machine, "measured": MEASURED, "rows": [row.as_json() for row in rows]})
        if file is not None:
            file.write_text(f"{report}\n", encoding="utf-8")
    if as_json:
        click.echo(report)
    _check(rows)


def _sampling(seconds: float | None, runs: int | None) -> Sampling:
    if seconds is not None and runs is not None:
        raise OptionError("--seconds and --runs both say how long a row is measured: give one of them")
    return Sampling(runs=runs) if seconds is None else Sampling(seconds)


def _working_devices(style: StyleInfo, *, say: bool) -> Sequence[Device]:
    devices, lacking = working_devices(style.path)
    if lacking and say:
        click.echo(f"fststyle: the GPU is left out: {lacking}", err=True)
    return devices


def _cases(
    styles: Sequence[StyleInfo],
    sizes: Sequence[tuple[int, int]],
    devices: Sequence[Device],
    counts: Sequence[int | None],
) -> list[tuple[StyleInfo, Case]]:
    """Every combination, each once; an option out of range raises."""
    combined = product(styles, *(dict.fromkeys(values) for values in (sizes, devices, counts)))
    return [
        (style, Case(style.path, width, height, device=device, threads=count))
        for style, (width, height), device, count in combined
    ]


def _machine(devices: Sequence[Device]) -> str:
    named = [gpu_name() if "cuda" in devices else "", describe_machine("onnxruntime-gpu", "onnxruntime", "numpy")]
    return ", ".join(filter(None, named))


def _measure(cases: Sequence[tuple[StyleInfo, Case]], sampling: Sampling, *, show: bool) -> list[Row]:
    table, rows = Table(cases), []
    if show:
        click.echo(table.head())
    for style, case in cases:
        try:
            rows.append(Row(style, case, measure(case, sampling)))
        except FststyleError as error:
            rows.append(Row(style, case, error))
        if show:
            click.echo(table.line(rows[-1].cells()))
    return rows


def _check(rows: Sequence[Row]) -> None:
    """:class:`BatchError` if a row failed; if there was only one, its own error."""
    failed = [(row.place, row.found) for row in rows if isinstance(row.found, FststyleError)]
    if failed and len(rows) == 1:
        raise failed[0][1]
    if failed:
        places = ", ".join(place for place, _ in failed)
        raise BatchError(f"{len(failed)} of {len(rows)} rows could not be measured: {places}")
