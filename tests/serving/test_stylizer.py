from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fststyle
from fststyle.colour import blend, keep_chroma
from fststyle.errors import ImageTooLargeError, InputError, OptionError, OutputError, StyleNotFoundError
from fststyle.images import load_rgb
from fststyle.serving.look import Look
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer


@pytest.fixture(scope="module")
def stylizer(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=1)


@pytest.fixture
def pixels(photo_file: Path) -> np.ndarray:
    return load_rgb(photo_file)


def test_the_like_of_what_goes_in_comes_out(stylizer: Stylizer, photo_file: Path, pixels: np.ndarray) -> None:
    expected = stylizer.engine(pixels[None])[0]
    np.testing.assert_array_equal(stylizer(pixels), expected)
    np.testing.assert_array_equal(np.asarray(stylizer(Image.fromarray(pixels))), expected)
    np.testing.assert_array_equal(np.asarray(stylizer(photo_file)), expected)
    np.testing.assert_array_equal(np.asarray(stylizer(str(photo_file))), expected)
    encoded = stylizer(photo_file.read_bytes())
    with Image.open(BytesIO(encoded)) as image:
        assert (image.format, image.size) == ("JPEG", (40, 30))


def test_an_output_is_written_in_the_format_of_its_suffix(stylizer: Stylizer, photo_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.png"
    assert stylizer(photo_file, output=target) == target
    np.testing.assert_array_equal(load_rgb(target), np.asarray(stylizer(photo_file)))


def test_an_output_that_exists_is_kept_unless_forced(stylizer: Stylizer, photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        stylizer(photo_file, output=tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    stylizer(photo_file, output=tmp_path / "out.png", force=True)
    assert load_rgb(tmp_path / "out.png").shape == (30, 40, 3)


def test_alpha_passes_unchanged(stylizer: Stylizer, pixels: np.ndarray) -> None:
    alpha = np.arange(1200, dtype=np.uint16).reshape(30, 40).astype(np.uint8)
    result = stylizer(np.dstack((pixels, alpha)))
    np.testing.assert_array_equal(result[..., 3], alpha)
    np.testing.assert_array_equal(result[..., :3], stylizer(pixels))
    assert stylizer(Image.fromarray(np.dstack((pixels, alpha)))).mode == "RGBA"


def test_grey_in_colour_out(stylizer: Stylizer, pixels: np.ndarray) -> None:
    grey = pixels[..., 0]
    np.testing.assert_array_equal(stylizer(grey), stylizer(np.dstack((grey, grey, grey))))


def test_strength_blends_with_the_photo(stylizer: Stylizer, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(stylizer(pixels, strength=0), pixels)
    np.testing.assert_array_equal(stylizer(pixels, strength=0.3), blend(pixels, stylizer(pixels), 0.3))


def test_colour_can_be_kept(stylizer: Stylizer, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(stylizer(pixels, keep_color=True), keep_chroma(stylizer(pixels), pixels))


def test_the_output_has_the_inputs_size_or_the_limit(stylizer: Stylizer, photo_file: Path) -> None:
    assert stylizer(photo_file).size == (40, 30)
    assert stylizer(photo_file, max_size=20).size == (20, 15)
    assert stylizer(photo_file, max_size=20, strength=0).size == (20, 15)


def test_one_pixel_is_a_picture(stylizer: Stylizer) -> None:
    assert stylizer(np.zeros((1, 1, 3), np.uint8)).shape == (1, 1, 3)


def test_the_photo_is_not_touched(stylizer: Stylizer, pixels: np.ndarray, photo_file: Path) -> None:
    before, content = pixels.copy(), photo_file.read_bytes()
    stylizer(pixels, strength=0.5, keep_color=True)
    stylizer(photo_file)
    np.testing.assert_array_equal(pixels, before)
    assert photo_file.read_bytes() == content


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        17,
    ],
)
def test_what_is_no_picture_is_refused(stylizer: Stylizer, image: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        stylizer(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.5}, "strength must be 0 to 1, got 1.5"),
        ({"strength": -0.1}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"max_size": 0}, "max_size must be at least 1"),
        ({"output": "out.gif"}, "accepted: .jpg"),
    ],
)
def test_options_out_of_range_are_refused(stylizer: Stylizer, photo_file: Path, options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        stylizer(photo_file, **options)


def test_the_pixel_cap_is_an_option(tiny_style_file: Path, photo_file: Path) -> None:
    small = Stylizer(tiny_style_file, device="cpu", threads=1, max_pixels=1000)
    for image in (photo_file, photo_file.read_bytes(), Image.new("RGB", (40, 30))):
        with pytest.raises(ImageTooLargeError):
            small(image)
    with pytest.raises(OptionError, match="max_pixels"):
        Stylizer(tiny_style_file, max_pixels=0)


def test_a_style_is_found_by_name(styles_folder: Path) -> None:
    assert Stylizer("tiny", device="cpu").style.origin == "user"
    with pytest.raises(StyleNotFoundError, match="did you mean 'tiny'"):
        Stylizer("tinny")


def test_it_is_a_public_name(tiny_style_file: Path) -> None:
    assert fststyle.Stylizer is Stylizer


@pytest.mark.parametrize("use", [lambda s, p: s(p), lambda s, p: s(p, keep_color=True, strength=0.5)])
def test_several_threads_may_share_one(
    stylizer: Stylizer, pixels: np.ndarray, use: Callable[[Stylizer, np.ndarray], np.ndarray]
) -> None:
    expected = use(stylizer, pixels)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: use(stylizer, pixels), range(12)):
            np.testing.assert_array_equal(got, expected)


def test_stages_add_up() -> None:
    stages = Stages()
    for _ in range(2):
        with stages.measure("network"):
            pass
    assert stages.milliseconds.keys() == {"network"}
    assert stages.milliseconds["network"] > 0


def test_a_look_is_checked_when_made() -> None:
    assert Look() == Look(strength=1.0, keep_color=False, max_size=None)
    with pytest.raises(OptionError):
        Look(strength=2)
