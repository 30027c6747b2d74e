"""From a network to a file that says what it is, or to no file at all."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

import fststyle
from fststyle.errors import InputError, ModelError, OptionError, OutputError, ParityError
from fststyle.nn.networks import PRESETS, Architecture, TransformerNet, initial_network
from fststyle.styles import Painting, read_style
from fststyle.training import export as module
from fststyle.training.checkpoint import exported_network
from fststyle.training.export import (
    Exported,
    check_parity,
    describe,
    export,
    export_network,
    parity_images,
    weights_digest,
)
from fststyle.training.onnx_graph import on_cpu
from fststyle.training.recipe import Recipe, recipe_from_dict

if TYPE_CHECKING:
    from tests.training.conftest import TinyStyle

TINY = Architecture(width=4, blocks=2)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe("tiny", "painting.jpg")


@pytest.fixture
def network() -> TransformerNet:
    return initial_network(TINY, 3)


@pytest.fixture
def brightened(tiny_style: TinyStyle) -> Callable[[float], ModelProto]:
    """A function that gives the exported model, made brighter by so many steps of 1/255: a network that is not ours."""

    def brighten(steps: float) -> ModelProto:
        model = onnx.load(tiny_style.exported.path)
        bias = next(tensor for tensor in model.graph.initializer if tensor.name == "head.1.bias")
        shifted = numpy_helper.to_array(bias) + np.float32(4 * steps / 255)  # the network divides by 4 behind it
        bias.CopyFrom(numpy_helper.from_array(shifted, bias.name))
        return model

    return brighten


def test_the_file_says_what_it_is(tiny_style: TinyStyle) -> None:
    style = read_style(tiny_style.exported.path)
    assert style.bytes == tiny_style.exported.bytes
    assert style.painting == Painting("Die große Welle", "Hokusai", "1831", "CC0", "a museum")
    metadata = dict(style.metadata)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(metadata.pop("created"))) < timedelta(hours=1)
    assert recipe_from_dict(metadata.pop("recipe")).name == "tiny-wave"
    assert metadata == {
        "format": 1,
        "name": "tiny-wave",
        "preset": "quality",
        "painting": {
            "title": "Die große Welle",
            "artist": "Hokusai",
            "year": "1831",
            "licence": "CC0",
            "source": "a museum",
        },
        "figures": {"content": 0.5},
        "versions": {"fststyle": fststyle.__version__, "torch": torch.__version__, "onnx": onnx.__version__},
        "weights_sha256": weights_digest(tiny_style.network),
        "parameters": sum(parameter.numel() for parameter in tiny_style.network.parameters()),
        "multiple": 4,
        "minimum_side": 16,
    }


def test_the_file_shows_what_it_does(tiny_style: TinyStyle) -> None:
    model = onnx.load(tiny_style.exported.path)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    with Image.open(io.BytesIO(base64.b64decode(stored["fststyle.preview"], validate=True))) as preview:
        assert (preview.format, preview.size) == ("JPEG", (256, 192))


def test_paths_of_the_machine_are_reduced_to_names(network: TransformerNet) -> None:
    away = Recipe("tiny", str(Path("/home/painter/wave.jpg")), start=str(Path("/home/painter/other.ckpt")))
    described = describe(network, away, figures={})["recipe"]
    assert (described["file"], described["start"]) == ("wave.jpg", "other.ckpt")
    here = Recipe("tiny", "japan/wave.jpg", start="styles/other.onnx")
    described = describe(network, here, figures={})["recipe"]
    assert (described["file"], described["start"]) == ("japan/wave.jpg", "styles/other.onnx")


def test_the_digest_is_of_names_shapes_and_values(network: TransformerNet) -> None:
    total = hashlib.sha256()
    for name in sorted(network.state_dict()):
        array = network.state_dict()[name].numpy()
        total.update(f"{name} {'x'.join(str(side) for side in array.shape)}\n".encode() + array.astype("<f4").tobytes())
    assert weights_digest(network) == total.hexdigest()
    assert weights_digest(network.to(memory_format=torch.channels_last)) == total.hexdigest()


def test_what_was_exported_can_be_loaded_again(tiny_style: TinyStyle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "quality", TINY)
    style = read_style(tiny_style.exported.path)
    assert weights_digest(exported_network(style)) == style.metadata["weights_sha256"]


def test_parity_is_asked_of_noise_and_gradients_of_odd_sizes() -> None:
    images = list(parity_images())
    assert {image.shape[:3] for image in images} == {(1, 16, 16), (2, 17, 33), (1, 31, 301), (3, 250, 131)}
    steps = [np.abs(np.diff(image.astype(int), axis=2)).mean() for image in images]
    assert sum(step > 50 for step in steps) == 4
    assert sum(step < 10 for step in steps) == 4
    assert all(image.std() > 20 for image in images)


def test_the_exported_network_is_the_trained_one(tiny_style: TinyStyle) -> None:
    assert tiny_style.exported.parity.largest <= 1
    assert tiny_style.exported.parity.within_one == 1


@pytest.mark.parametrize(("steps", "largest"), [(0.0, 1), (0.4, 1)])
def test_differences_of_rounding_are_accepted(
    tiny_style: TinyStyle, brightened: Callable[[float], ModelProto], steps: float, largest: int
) -> None:
    content = brightened(steps).SerializeToString()
    assert check_parity(content, on_cpu(tiny_style.network)).largest <= largest


@pytest.mark.parametrize("steps", [2.0, 20.0, float("nan")])
def test_another_network_is_refused(
    tiny_style: TinyStyle, brightened: Callable[[float], ModelProto], steps: float
) -> None:
    with pytest.raises(ParityError, match=r"differs from the trained one by up to \d+/255"):
        check_parity(brightened(steps).SerializeToString(), on_cpu(tiny_style.network))


def test_another_shape_is_refused(tiny_style: TinyStyle) -> None:
    """As if the padding were not cropped back."""
    image, stylized = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", height, "w", 3])
        for name, height in (("image", "h"), ("stylized", "h2"))
    )
    graph = helper.make_graph(
        [helper.make_node("Concat", ["image"] * 2, ["stylized"], axis=1)], "g", [image], [stylized]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(ParityError, match=r"gives uint8 \[1, 32, 16, 3\]"):
        check_parity(model.SerializeToString(), on_cpu(tiny_style.network))


def test_nothing_is_written_without_parity(
    tiny_style: TinyStyle,
    brightened: Callable[[float], ModelProto],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(module, "to_onnx", lambda pictures: brightened(20.0))
    output = tmp_path / "new" / "tiny.onnx"
    with pytest.raises(ParityError):
        export_network(tiny_style.network, tiny_style.recipe, output=output)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_is_not_finite_is_refused(
    network: TransformerNet, recipe: Recipe, tmp_path: Path, value: float
) -> None:
    with torch.no_grad():
        network.get_parameter("head.1.bias")[1] = value
    with pytest.raises(ModelError, match="'tiny' holds values that are not finite"):
        export_network(network, recipe, output=tmp_path / "tiny.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_network_given_is_left_as_it_was(
    tiny_style: TinyStyle, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Training may go on after an export in the middle of it."""
    monkeypatch.setattr(module, "to_onnx", lambda pictures: onnx.load(tiny_style.exported.path))
    network = TINY.network().to(memory_format=torch.channels_last).train()
    network.load_state_dict(tiny_style.network.state_dict())
    export_network(network, recipe, output=tmp_path / "tiny.onnx")
    assert network.training
    assert network.get_parameter("stem.1.weight").is_contiguous(memory_format=torch.channels_last)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert weights_digest(network) == weights_digest(tiny_style.network)


def test_an_existing_file_is_replaced_only_by_force(
    tiny_style: TinyStyle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output = tmp_path / "tiny.onnx"
    output.write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="exists"):
        export_network(tiny_style.network, tiny_style.recipe, output=output)
    assert output.read_bytes() == b"somebody's"
    monkeypatch.setattr(module, "to_onnx", lambda pictures: onnx.load(tiny_style.exported.path))
    assert export_network(tiny_style.network, tiny_style.recipe, output=output, force=True) == Exported(
        output, output.stat().st_size, tiny_style.exported.parity
    )
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]
    assert read_style(output).metadata["name"] == "tiny-wave"


def test_missing_folders_are_made(tiny_style: TinyStyle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "to_onnx", lambda pictures: onnx.load(tiny_style.exported.path))
    output = tmp_path / "one" / "two" / "tiny.onnx"
    export_network(tiny_style.network, tiny_style.recipe, output=output)
    assert output.is_file()


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("tiny.pt", OptionError, r"ends in \.onnx"),
        ("folder.onnx", OutputError, r"folder\.onnx"),
        ("file/tiny.onnx", OutputError, "not a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_work(
    network: TransformerNet,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.delattr(module, "preview_jpeg")  # the first step of the work
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=message):
        export_network(network, recipe, output=tmp_path / name)


def test_a_preview_photo_that_is_none_stops_the_export(network: TransformerNet, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.jpg"):
        export_network(network, recipe, output=tmp_path / "tiny.onnx", preview_photo=tmp_path / "missing.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_exported(tiny_style: TinyStyle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(PRESETS, "quality", TINY)
    monkeypatch.setattr(module, "to_onnx", lambda pictures: onnx.load(tiny_style.exported.path))
    checkpoint = tmp_path / "last.ckpt"
    torch.save({"recipe": tiny_style.recipe.to_dict(), "state_dict": tiny_style.network.state_dict()}, checkpoint)
    output = export(checkpoint, tmp_path / "tiny.onnx", figures={"style": 0.25})
    metadata = read_style(output).metadata
    assert metadata["figures"] == {"style": 0.25}
    assert metadata["weights_sha256"] == weights_digest(tiny_style.network)
