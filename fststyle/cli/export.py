"""``fststyle export``: a checkpoint of a training becomes a style's ONNX file."""

from __future__ import annotations

from pathlib import Path

import click

from fststyle.nn.compatibility import check_torch_pair


@click.command(short_help="Turn a checkpoint into a style's ONNX file.")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, ending in .onnx, or a folder. [default: NAME.onnx here, with the recipe's name]",
)
@click.option(
    "--preview-photo",
    type=click.Path(path_type=Path),
    help="Photo for the preview inside the file, which everyone who gets the file can see. [default: a drawn scene]",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def export(checkpoint: Path, output: Path | None, preview_photo: Path | None, force: bool) -> None:
    """Turn CHECKPOINT, a last.ckpt that training wrote, into an ONNX file that stylises without torch.

    The file is compared with the trained network on pictures of several sizes before it is written.
    """
    check_torch_pair()
    from fststyle.training.checkpoint import load_network
    from fststyle.training.export import export_network

    network, recipe = load_network(checkpoint)
    file = output or Path()
    if file.is_dir():
        file = file / f"{recipe.name}.onnx"
    exported = export_network(network, recipe, output=file, force=force, preview_photo=preview_photo)
    click.echo(
        f"{exported.path}: {exported.bytes / 1e6:.1f} MB, preset {recipe.preset}, within {exported.parity.largest}/255 "
        "of the trained network"
    )
