import numpy as np
import pytest

from fststyle.serving import composition
from fststyle.serving.composition import Composition

RANDOM = np.random.default_rng(0)


def picture() -> np.ndarray:
    return RANDOM.integers(0, 256, (30, 40, 3), np.uint8)


def composed(photo: np.ndarray, *layers: tuple[np.ndarray, np.ndarray | None]) -> np.ndarray:
    made = Composition(photo)
    for layer, mask in layers:
        made.add(layer, made.share(mask))
    return made.finished()


def test_shares_of_a_pixel_are_together_one() -> None:
    photo, above, below = picture(), picture(), picture()
    masks = RANDOM.integers(0, 256, (2, 30, 40, 1), np.uint8)
    first, second = masks[0].astype(float), np.minimum(masks[1], 255 - masks[0]).astype(float)
    expected = (above * first + below * second + photo * (255 - first - second)) / 255
    result = composed(photo, (above, masks[0, ..., 0]), (below, masks[1, ..., 0]))
    assert np.abs(result - expected).max() <= 0.51


def test_whoever_gets_all_is_there_to_the_bit() -> None:
    photo, layer = picture(), picture()
    np.testing.assert_array_equal(composed(photo, (layer, None)), layer)
    np.testing.assert_array_equal(composed(photo, (layer, np.zeros((30, 40), np.uint8))), photo)
    np.testing.assert_array_equal(composed(photo), photo)


def test_what_is_the_photos_is_told() -> None:
    photo, layer = picture(), picture()
    mask = RANDOM.integers(0, 256, (30, 40), np.uint8)
    made = Composition(photo)
    made.keep(made.share(mask))
    made.keep(made.share(mask // 2))
    made.add(layer, made.share(np.full((30, 40), 90, np.uint8)))
    others = np.minimum(90, 255 - np.minimum(255, mask + (mask // 2).astype(int)))
    np.testing.assert_array_equal(made.photo_share, 255 - others)
    expected = (layer * others[..., None] + photo * (255.0 - others)[..., None]) / 255
    assert np.abs(made.finished() - expected).max() <= 0.51


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, layer, mask = picture(), picture(), RANDOM.integers(0, 256, (30, 40), np.uint8)
    mask[10:20] = 0
    expected = composed(photo, (layer, mask))
    monkeypatch.setattr(composition, "_AT_ONCE", 90)
    np.testing.assert_array_equal(composed(photo, (layer, mask)), expected)
