"""The small picture inside an exported style."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fststyle.errors import InputError
from fststyle.nn.networks import Architecture, initial_network
from fststyle.training.onnx_graph import PictureNet, on_cpu
from fststyle.training.preview import LONG_SIDE, preview_jpeg, scene


@pytest.fixture(scope="module")
def pictures() -> PictureNet:
    return on_cpu(initial_network(Architecture(width=2, blocks=0), 0))


def decoded(jpeg: bytes) -> Image.Image:
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return image.convert("RGB")


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """In steps of 1/255, of what JPEG keeps: both are shrunk first."""
    shrunk = [np.asarray(image.resize((32, 24), Image.Resampling.BOX)).astype(float) for image in (one, other)]
    return float(np.abs(shrunk[0] - shrunk[1]).mean())


def test_the_scene_is_always_the_same_and_has_many_colours() -> None:
    first, again = np.asarray(scene()), np.asarray(scene())
    np.testing.assert_array_equal(first, again)
    assert first.std(axis=(0, 1)).min() > 20
    assert len(np.unique(first // 32 @ np.array([1, 8, 64]))) > 50


def test_the_preview_is_what_the_network_makes_of_the_scene(pictures: PictureNet) -> None:
    with torch.no_grad():
        stylized = pictures(torch.from_numpy(np.asarray(scene()).copy())[None])[0].numpy()
    expected = Image.fromarray(stylized).resize((256, 192), Image.Resampling.LANCZOS)
    preview = decoded(preview_jpeg(pictures))
    assert preview.size == expected.size
    assert mean_difference(preview, expected) < 1
    assert mean_difference(preview, scene()) > 10


@pytest.mark.parametrize(
    ("size", "expected"), [((1024, 512), (256, 128)), ((40, 30), (40, 30)), ((2000, 20), (256, 16))]
)
def test_a_photo_of_ones_own_is_shrunk_never_enlarged(
    pictures: PictureNet, tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    assert decoded(preview_jpeg(pictures, tmp_path / "photo.png")).size == expected
    assert max(expected) <= LONG_SIDE


def test_a_photo_that_is_none_is_an_error(pictures: PictureNet, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("not a picture")
    with pytest.raises(InputError, match=r"photo\.jpg"):
        preview_jpeg(pictures, tmp_path / "photo.jpg")
