import numpy as np
import pytest

av = pytest.importorskip("av")

from fststyle.serving.video_picture import Colour, VideoReformatter, from_rgb, to_rgb  # noqa: E402

CODES = {"BT.709": 1, "BT.601": 6, "BT.2020": 9}
WEIGHTS = {"BT.709": (0.2126, 0.0722), "BT.601": (0.299, 0.114), "BT.2020": (0.2627, 0.0593)}


def clouds(size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3], smooth, so that halved chroma loses little."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    waves = [np.sin(columns / (19 + 6 * band)) * np.cos(rows / (23 + 4 * band)) for band in range(3)]
    return np.round((np.stack(waves, axis=-1) * 0.4 + 0.5) * 255).astype(np.uint8)


def luma(pixels: np.ndarray, matrix: str, *, full: bool) -> np.ndarray:
    """The Y that the standard gives, not rounded."""
    red, blue = WEIGHTS[matrix]
    value = pixels @ np.array([red, 1 - red - blue, blue]) / 255
    return value * 255 if full else 16 + 219 * value


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", CODES)
def test_rgb_becomes_the_standards_luma(matrix: str, full: bool) -> None:
    pixels = clouds((128, 96))
    frame = from_rgb(pixels, "yuv420p", Colour(CODES[matrix], 2 if full else 1, 1, 1), VideoReformatter())
    error = frame.to_ndarray()[:96] - luma(pixels, matrix, full=full)
    assert abs(error.mean()) < 0.1
    assert np.abs(error).max() < 1.5


@pytest.mark.parametrize("quick", [False, True], ids=["exact", "quick"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", CODES)
def test_there_and_back(matrix: str, full: bool, quick: bool) -> None:
    pixels = clouds((128, 96))
    frame = from_rgb(pixels, "yuv420p", Colour(CODES[matrix], 2 if full else 1, 1, 1), VideoReformatter())
    error = to_rgb(frame, (128, 96), VideoReformatter(), quick=quick).astype(int) - pixels
    # FFmpeg rounds chroma down in the full range, half a level.
    assert abs(error.mean()) < (2 if quick else 0.7 if full else 0.2)
    assert np.abs(error).mean() < (3 if quick else 1.5)


def test_quick_changes_nothing_where_there_is_something_to_scale() -> None:
    frame = from_rgb(clouds((128, 96)), "yuv420p", Colour(1, 1, 1, 1), VideoReformatter())
    exact, quick = (to_rgb(frame, (64, 48), VideoReformatter(), quick=quick) for quick in (False, True))
    np.testing.assert_array_equal(exact, quick)
    assert exact.shape == (48, 64, 3)


def test_quick_takes_odd_sizes_and_other_pixel_formats() -> None:
    for size, pixel_format in (((65, 49), "yuv444p"), ((64, 48), "yuv422p10le"), ((65, 49), "yuv420p")):
        pixels = clouds(size)
        frame = from_rgb(pixels, pixel_format, Colour(1, 1, 1, 1), VideoReformatter())
        found = to_rgb(frame, size, VideoReformatter(), quick=True)
        assert found.shape == pixels.shape
        assert np.abs(found.astype(int) - pixels).mean() < 3
