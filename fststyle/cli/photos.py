"""``fststyle photos``: a folder of photos to train on, for those who have none."""

from __future__ import annotations

from pathlib import Path

import click

from fststyle.cli.transfers import transfer_progress
from fststyle.training.archives import PHOTO_SETS, fetch_photos, find_photo_set


def _list_sets(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    for photo_set in PHOTO_SETS.values():
        size = (photo_set.remote.size or 0) / 1e9
        click.echo(f"{photo_set.name:<16}{photo_set.photos:>8} photos {size:>6.1f} GB  {photo_set.remote.url}")
    context.exit()


@click.command(short_help="Download photos to train on.")
@click.argument("name", metavar="SET")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder that gets the photos.")
@click.option("--keep-archive", is_flag=True, help="Keep the zip archive beside the photos.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_sets, help="List the sets.")
def photos(name: str, folder: Path, keep_archive: bool) -> None:
    """Download a set of photos to train on and unpack it: coco-val2017 (0.8 GB) or coco-train2017 (19.3 GB).

    The photos come to a folder inside --to, whose name is printed. A download that is interrupted goes on where it
    stopped when the command is run again. Twice the size of the set is needed on the disk until the archive is removed.
    """
    photo_set = find_photo_set(name)
    with transfer_progress() as track:
        found = fetch_photos(
            photo_set,
            folder,
            keep_archive=keep_archive,
            downloading=track(f"Downloading {photo_set.name}"),
            unpacking=track(f"Unpacking {photo_set.name}"),
        )
    click.echo(f"{photo_set.photos} photos in {found}")
    click.echo(f"Note: {photo_set.terms}", err=True)
