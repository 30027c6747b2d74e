"""``fststyle doctor``: what works here, what does not, and what mends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from fststyle.cli.sizes import Size
from fststyle.cli.stylize import device_options
from fststyle.errors import BatchError
from fststyle.styles import DEFAULT_STYLE, find_style

if TYPE_CHECKING:
    from fststyle.serving.doctor import Check, Estimate
    from fststyle.serving.providers import Device


@click.command()
@click.option("--size", type=Size(), help="Estimate time and memory for a picture of so many pixels.")
@click.option("--style", default=DEFAULT_STYLE, show_default=True, metavar="NAME|FILE.onnx", help="Style to estimate.")
@device_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(size: tuple[int, int] | None, style: str, device: Device, threads: int | None, as_json: bool) -> None:
    """Try what stylising needs: packages, picture formats, styles, and the network on each device.

    Optional parts that are not there are said and count as no failure; with --device cuda, the GPU is not optional.
    """
    from fststyle.serving.doctor import check_all, estimate

    # First, since the memory that it takes shows best in a process that has done nothing else.
    expected = None if size is None else estimate(find_style(style), *size, device=device, threads=threads)
    checks = []
    for check in check_all(device):
        checks.append(check)
        if not as_json:
            _print(check)
    failed = [check.name for check in checks if check.status == "fails"]
    if as_json:
        report = {"works": not failed, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(report | ({"estimate": asdict(expected)} if expected else {}), indent=2))
    elif expected is not None:
        _print_estimate(expected)
    if failed:
        raise BatchError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")


def _print(check: Check) -> None:
    mark = {"works": "ok  ", "absent": "-   ", "fails": "FAIL"}[check.status]
    click.echo(f"{mark} {check.name}: {check.found}")
    if check.mend:
        click.echo(f"     mend: {check.mend}")


def _print_estimate(expected: Estimate) -> None:
    memory = f"{expected.bytes / 2**20:.0f} MiB of memory" if expected.bytes is not None else "memory not measured"
    width, height = expected.measured_at
    click.echo(
        f"{expected.width} x {expected.height}: about {expected.seconds:.2f} s and {memory} for the network "
        f"({expected.provider}); an estimate, from a run at {width} x {height} in proportion to the pixels"
    )
