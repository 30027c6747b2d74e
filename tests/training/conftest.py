"""A tiny network, its recipe and its checkpoint, and the file that they are exported to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from fststyle.nn.networks import Architecture, TransformerNet, initial_network
from fststyle.styles import Painting
from fststyle.training.export import Exported, export_network
from fststyle.training.recipe import Recipe
from fststyle.training.run import Run


@pytest.fixture
def run(tmp_path: Path, painting_file: Path, photo_folder: Path, vgg_file: Path) -> Run:
    return Run(
        paintings=(painting_file,),
        photos=photo_folder,
        out=tmp_path / "run",
        accelerator="cpu",
        devices=1,
        workers=0,
        vgg_weights=vgg_file,
        checkpoint_every=2,
        sample_every=3,
        quiet=True,
    )


@dataclass(frozen=True)
class TinyStyle:
    network: TransformerNet
    recipe: Recipe
    exported: Exported


def scrambled_network(architecture: Architecture, seed: int = 0) -> TransformerNet:
    """A network none of whose tensors has the value that it starts training with."""
    network = initial_network(architecture, seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.fixture(scope="session")
def tiny_style(tmp_path_factory: pytest.TempPathFactory) -> TinyStyle:
    """Two residual blocks, exported once for all tests: do not write to the file."""
    network = scrambled_network(Architecture(width=4, blocks=2))
    painting = Painting("Die große Welle", "Hokusai", "1831", "CC0", "a museum")
    recipe = Recipe("tiny-wave", "/home/painter/wave.jpg", painting, start="/home/painter/other.ckpt")
    output = tmp_path_factory.mktemp("styles") / "tiny-wave.onnx"
    return TinyStyle(network, recipe, export_network(network, recipe, output=output, figures={"content": 0.5}))
