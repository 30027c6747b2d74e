"""``fststyle weights``: the pretrained loss network that training looks through."""

from __future__ import annotations

from pathlib import Path

import click

from fststyle.cli.transfers import transfer_progress
from fststyle.errors import WeightsError
from fststyle.nn.weight_files import ARCHITECTURES, VGGWeights, find_architecture
from fststyle.nn.weight_sources import SOURCES
from fststyle.nn.weights import FILE_VARIABLE, cache_path, load_vgg_weights, named_file, read_cache, read_weights_file


@click.group(invoke_without_command=True, short_help="Show, fetch and verify the loss network's weights.")
@click.pass_context
def weights(context: click.Context) -> None:
    """Show where the loss network's weights come from, their licence, and what the cache holds."""
    if context.invoked_subcommand is not None:
        return
    for name in ARCHITECTURES:
        click.echo(f"{name}: {_cache_state(name)}")
        for source in SOURCES:
            if source.architecture == name:
                click.echo(f"  from {source.name}; licence: {source.licence}")
    if (file := named_file()) is not None:
        click.echo(f"{FILE_VARIABLE} is set: training uses {file} instead")


@weights.command()
@click.argument("architecture", default="vgg16", metavar="[vgg16|vgg19]")
def fetch(architecture: str) -> None:
    """Bring weights to the cache, if they are not there yet, so that training can start without a network."""
    vgg = find_architecture(architecture)
    with transfer_progress() as track:
        loaded = load_vgg_weights(vgg, progress=track(f"Downloading {vgg.name}"))
    if (file := named_file()) is None:
        loaded = read_cache(vgg)  # a cache that could not be written stops no training, but it is no success here
    click.echo(f"{vgg.name}: {file or cache_path(vgg.name)}: {_description(loaded)}")


@weights.command()
@click.argument("architecture", required=False, metavar="[vgg16|vgg19]")
@click.option(
    "--vgg-weights",
    "file",
    type=click.Path(path_type=Path),
    envvar=FILE_VARIABLE,
    show_envvar=True,
    help="Check this file instead of the cache (as vgg16 if no network is named).",
)
def verify(architecture: str | None, file: Path | None) -> None:
    """Check the weights in the cache against their digests: those of one network, or all that are there."""
    if file is not None:
        vgg = find_architecture(architecture or "vgg16")
        click.echo(f"{vgg.name}: {file}: {_description(read_weights_file(file, vgg))}")
        return
    wanted = [find_architecture(architecture)] if architecture else list(ARCHITECTURES.values())
    present = [vgg for vgg in wanted if architecture or cache_path(vgg.name).exists()]
    if not present:
        raise WeightsError(f"nothing to verify in {cache_path('vgg16').parent}; bring it with: fststyle weights fetch")
    for vgg in present:
        click.echo(f"{vgg.name}: {cache_path(vgg.name)}: {_description(read_cache(vgg))}")


def _cache_state(name: str) -> str:
    path = cache_path(name)
    if not path.exists():
        return f"not in the cache ({path})"
    try:
        loaded = read_cache(ARCHITECTURES[name])
    except WeightsError as error:
        return f"DAMAGED: {error}; the next use fetches it again"
    return f"in the cache and sound ({path}), from {loaded.source}"


def _description(loaded: VGGWeights) -> str:
    return f"sound, SHA-256 {loaded.sha256}, from {loaded.source}, licence: {loaded.licence}"
