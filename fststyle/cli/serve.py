"""``fststyle serve``: the web page, the HTTP interface and the live socket."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fststyle.cli.mask_models import MaskModel, mask_model_options
from fststyle.cli.stylize import device_options
from fststyle.errors import BatchError, DependencyError, InputError, ModelError
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.memory import keep_memory_flat
from fststyle.serving.web.settings import ServerSettings
from fststyle.styles import scan_styles

if TYPE_CHECKING:
    from fststyle.serving.providers import Device

KEY_VARIABLE = "FSTSTYLE_API_KEY"
_PACKAGES = {"fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn", "websockets"}


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for every figure of :class:`ServerSettings`, with its default and its text."""
    for entry in reversed([entry for entry in fields(ServerSettings) if entry.metadata]):
        default: Any = entry.default
        several = isinstance(default, tuple)
        name = {"formats": "format", "allow_origins": "allow-origin", "allow_hosts": "allow-host"}.get(entry.name)
        option = click.option(
            f"--{name or entry.name.replace('_', '-')}",
            entry.name,
            type=str if several else type(default),
            default=default,
            multiple=several,
            show_default=not several or bool(default),
            help=entry.metadata["help"],
        )
        command = option(command)
    return command


@click.command()
@click.option(
    "--style",
    "names",
    multiple=True,
    metavar="NAME|FILE.onnx",
    help="Style or palette to serve; may be repeated.  [default: all]",
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Ask for the key in FILE, or in ${KEY_VARIABLE}.",
)
@click.option(
    "--self-test", is_flag=True, help="Try the promises on a live server with these styles and small limits, and end."
)
@mask_model_options("clients may then ask for the style on the person or the background only.")
@device_options
@setting_options
def serve(
    names: tuple[str, ...],
    api_key_file: Path | None,
    self_test: bool,
    device: Device,
    threads: int | None,
    mask_model: MaskModel,
    **figures: Any,
) -> None:
    """Serve the web page, the HTTP interface and the live socket, until Ctrl-C or SIGTERM.

    With an API key, requests need it as "Authorization: Bearer KEY" or "X-API-Key: KEY".
    """
    settings = ServerSettings(**figures, api_key=_api_key(api_key_file))
    try:
        from fststyle.serving.web.gallery import Gallery
        from fststyle.serving.web.server import Server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        message = f'serving needs {error.name}, which is not installed: pip install "fststyle[serve]"'
        raise DependencyError(message) from error

    if self_test:
        _test(names, device, threads, mask_model)
        return
    keep_memory_flat()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    stylizers = _load(names, device, threads, settings.max_pixels)
    gallery = Gallery(stylizers, mask_model.load(threads))
    click.echo(f"fststyle: {stylizers[0].engine.note}", err=True)
    Server(settings, gallery, lambda address: click.echo(f"fststyle: listening on {address}")).listen_and_serve()


def _api_key(path: Path | None) -> str | None:
    """Never from the command line, which every user of the machine can read."""
    if path is None:
        return os.environ.get(KEY_VARIABLE)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _test(names: tuple[str, ...], device: Device, threads: int | None, mask_model: MaskModel) -> None:
    """Prints a line for each promise; :class:`BatchError` if one was not kept."""
    from fststyle.serving.web.self_test import run_self_test

    options = ["--device", device, *(text for name in names for text in ("--style", name))]
    options += [*([] if threads is None else ["--threads", str(threads)]), *mask_model.options]
    findings = []
    for finding in run_self_test(options):
        findings.append(finding)
        click.echo(f"{'ok  ' if finding.held else 'FAIL'}  {finding.promise:<46}  {finding.found}")
    broken = [finding.promise for finding in findings if not finding.held]
    if broken:
        raise BatchError(f"{len(broken)} of {len(findings)} promises not kept: {', '.join(broken)}")
    click.echo(f"all {len(findings)} promises kept")


def _load(names: tuple[str, ...], device: Device, threads: int | None, max_pixels: int) -> list[Stylizer]:
    """The styles named, or all that can be loaded; what then is left out is said."""

    def load(name: str) -> Stylizer:
        return Stylizer(name, device=device, threads=threads, max_pixels=max_pixels)

    if names:
        return [load(name) for name in dict.fromkeys(names)]
    styles, errors = scan_styles()
    stylizers = []
    for style in styles:
        try:
            stylizers.append(load(style.name))
        except ModelError as damage:
            errors.append(damage)
    for error in errors:
        click.echo(f"fststyle: left out: {error}", err=True)
    if not stylizers:
        raise ModelError("there is no style to serve")
    return stylizers
