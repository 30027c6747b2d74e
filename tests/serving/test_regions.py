from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fststyle
import fststyle.strips
from fststyle.errors import InputError, OptionError
from fststyle.images import Picture
from fststyle.mixes import Mix
from fststyle.serving.look import Look
from fststyle.serving.masks import Mask
from fststyle.serving.regions import MaskedStylizer, region_style, regions_digest
from fststyle.serving.stylizer import Stylizer


@pytest.fixture(scope="module")
def tiny(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=1)


@pytest.fixture(scope="module")
def dawn(palette_file: Path) -> Stylizer:
    return Stylizer(palette_file, device="cpu", threads=1)


@pytest.fixture(scope="module")
def dusk(dawn: Stylizer) -> Stylizer:
    return dawn.mixed(Mix({"dusk": 1}))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    clouds = Image.fromarray(np.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return np.asarray(clouds.resize((80, 60), Image.Resampling.BICUBIC))


@pytest.fixture
def left() -> np.ndarray:
    mask = np.zeros((60, 80), np.uint8)
    mask[:, :40] = 255
    return mask


@pytest.fixture
def ramp() -> np.ndarray:
    return np.repeat(np.linspace(0, 255, 80).round().astype(np.uint8)[None], 60, axis=0)


def mixed(below: np.ndarray, above: np.ndarray, mask: np.ndarray) -> np.ndarray:
    share = mask[..., None] / 255
    return below * (1 - share) + above * share


def test_a_style_stays_inside_its_mask(tiny: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    result = MaskedStylizer(tiny, left)(photo)
    np.testing.assert_array_equal(result[:, 40:], photo[:, 40:])
    np.testing.assert_array_equal(result[:, :40], tiny(photo)[:, :40])


def test_between_black_and_white_pictures_are_mixed(tiny: Stylizer, photo: np.ndarray, ramp: np.ndarray) -> None:
    difference = MaskedStylizer(tiny, ramp)(photo) - mixed(photo, tiny(photo), ramp)
    assert np.abs(difference).max() <= 0.51


def test_feathered_masks_confine_to_rounding(tiny: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    result = MaskedStylizer(tiny, left, feather=4)(photo)
    np.testing.assert_array_equal(result[:, 60:], photo[:, 60:])
    np.testing.assert_array_equal(result[:, :20], tiny(photo)[:, :20])
    edge, styled = result[:, 38:42], tiny(photo)[:, 38:42]
    assert (edge != photo[:, 38:42]).any()
    assert (edge != styled).any()


def test_a_style_without_a_mask_is_everywhere(tiny: Stylizer, photo: np.ndarray) -> None:
    np.testing.assert_array_equal(MaskedStylizer(tiny)(photo), tiny(photo))


def test_later_regions_lie_over_earlier_ones(
    tiny: Stylizer, dawn: Stylizer, dusk: Stylizer, photo: np.ndarray, left: np.ndarray
) -> None:
    top = np.ascontiguousarray(np.rot90(np.zeros((80, 60), np.uint8)))
    top[:20] = 255
    result = MaskedStylizer(tiny, regions=[(left, dawn), (top, dusk)])(photo)
    np.testing.assert_array_equal(result[:20], dusk(photo)[:20])
    np.testing.assert_array_equal(result[20:, :40], dawn(photo)[20:, :40])
    np.testing.assert_array_equal(result[20:, 40:], tiny(photo)[20:, 40:])


def test_the_photo_can_be_a_region(tiny: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    result = MaskedStylizer(tiny, regions=[(left, None)])(photo)
    np.testing.assert_array_equal(result[:, :40], photo[:, :40])
    np.testing.assert_array_equal(result[:, 40:], tiny(photo)[:, 40:])


def test_without_a_main_style_the_rest_is_the_photo(tiny: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    result = MaskedStylizer(None, regions=[(left, tiny)])(photo)
    np.testing.assert_array_equal(result, MaskedStylizer(tiny, left)(photo))


def test_nothing_shows_between_two_masks_that_fill_each_other_up(
    tiny: Stylizer, dawn: Stylizer, dusk: Stylizer, photo: np.ndarray, ramp: np.ndarray
) -> None:
    result = MaskedStylizer(tiny, regions=[(ramp, dawn), (255 - ramp, dusk)])(photo)
    assert np.abs(result - mixed(dusk(photo), dawn(photo), ramp)).max() <= 0.51


def test_a_network_without_a_share_is_not_run(
    tiny: Stylizer, dawn: Stylizer, photo: np.ndarray, left: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = dawn(photo)
    ran = []
    stylise = Stylizer.stylise
    monkeypatch.setattr(Stylizer, "stylise", lambda self, *arguments: [ran.append(self), stylise(self, *arguments)][-1])
    covered = MaskedStylizer(tiny, regions=[(left, tiny), (np.ones((60, 80)), dawn), (np.zeros((60, 80)), tiny)])
    np.testing.assert_array_equal(covered(photo), expected)
    assert ran == [dawn]


def test_options_are_those_of_every_stylizer(
    dawn: Stylizer, dusk: Stylizer, photo: np.ndarray, left: np.ndarray
) -> None:
    both = MaskedStylizer(dawn, regions=[(left, dusk)])
    for options in (
        {"strength": 0.4},
        {"strength": 0.4, "blend": "network"},
        {"keep_color": True},
        {"stroke_size": 16.0},
        {"tile": 256},
    ):
        result = both(photo, **options)
        np.testing.assert_array_equal(result[:, :40], dusk(photo, **options)[:, :40])
        np.testing.assert_array_equal(result[:, 40:], dawn(photo, **options)[:, 40:])
    small = both(photo, max_size=40)
    np.testing.assert_array_equal(small[:, :19], dusk(photo, max_size=40)[:, :19])
    np.testing.assert_array_equal(both(photo, strength=0), photo)


def test_alpha_is_kept(tiny: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    result = MaskedStylizer(tiny, left)(np.dstack((photo, alpha)))
    np.testing.assert_array_equal(result[..., 3], alpha)
    np.testing.assert_array_equal(result[..., :3], MaskedStylizer(tiny, left)(photo))


def test_the_mask_is_laid_over_the_upright_photo(
    tiny: Stylizer, photo: np.ndarray, left: np.ndarray, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned to the left
    Image.fromarray(np.rot90(photo)).save(tmp_path / "turned.png", exif=exif)
    result = np.asarray(MaskedStylizer(tiny, left)(tmp_path / "turned.png"))
    np.testing.assert_array_equal(result, MaskedStylizer(tiny, left)(photo))


def test_a_mask_of_another_shape_is_refused(tiny: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    with pytest.raises(InputError, match="another shape"):
        MaskedStylizer(tiny, left.T)(photo)


def test_there_must_be_a_style(left: np.ndarray) -> None:
    with pytest.raises(OptionError, match="at least one"):
        MaskedStylizer(None, regions=[(left, None)])
    with pytest.raises(OptionError, match="at least one"):
        MaskedStylizer(None, left)


def test_strips_of_a_large_picture_do_not_show(
    tiny: Stylizer, dawn: Stylizer, photo: np.ndarray, ramp: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = MaskedStylizer(tiny, ramp, regions=[(ramp[::-1].copy(), dawn)], feather=3)
    expected = both(photo)
    monkeypatch.setattr(fststyle.strips, "STRIP_PIXELS", 700)
    both = MaskedStylizer(tiny, ramp, regions=[(ramp[::-1].copy(), dawn)], feather=3)  # which has no mask at hand yet
    np.testing.assert_array_equal(both(photo), expected)


def test_a_picture_that_lies_in_a_file(
    tiny: Stylizer, photo: np.ndarray, ramp: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = MaskedStylizer(tiny, ramp)(photo)
    monkeypatch.setattr(fststyle.strips, "IN_MEMORY", 100)
    result = MaskedStylizer(tiny, ramp).stylise(Picture(photo), Look()).pixels
    assert isinstance(result, np.memmap)
    np.testing.assert_array_equal(result, expected)


class _Half:
    """A source of masks that counts how often it is asked: the left half."""

    digest = "left"

    def __init__(self) -> None:
        self.asked = 0

    def plane(self, photo: np.ndarray) -> np.ndarray:
        self.asked += 1
        mask = np.zeros(photo.shape[:2], np.uint8)
        mask[:, : photo.shape[1] // 2] = 255
        return mask


def test_a_source_of_several_masks_is_asked_once_a_photo(tiny: Stylizer, dawn: Stylizer, photo: np.ndarray) -> None:
    half = _Half()
    both = MaskedStylizer(None, regions=[(Mask(half), tiny), (Mask(half, inverted=True), dawn)], feather=5)
    result = both(photo)
    assert half.asked == 1
    np.testing.assert_array_equal(result[:, :15], tiny(photo)[:, :15])
    np.testing.assert_array_equal(result[:, 65:], dawn(photo)[:, 65:])


def test_twins_keep_their_masks(dawn: Stylizer, dusk: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    masked = MaskedStylizer(dawn, left)
    np.testing.assert_array_equal(masked.mixed(Mix({"dusk": 1}))(photo), MaskedStylizer(dusk, left)(photo))
    np.testing.assert_array_equal(masked.side_by_side(1)(photo), masked(photo))
    weaker = masked.towards_photo(0.5)(photo)
    np.testing.assert_array_equal(weaker, masked(photo, strength=0.5, blend="network"))
    with pytest.raises(OptionError, match="the photo itself"):
        MaskedStylizer(None, regions=[(left, dawn)]).mixed(Mix({"dusk": 1}))


def test_another_main_style_under_the_same_regions(
    tiny: Stylizer, dawn: Stylizer, dusk: Stylizer, photo: np.ndarray, left: np.ndarray
) -> None:
    masked = MaskedStylizer(tiny, regions=[(left, dawn)])
    np.testing.assert_array_equal(masked.over(dusk)(photo), MaskedStylizer(dusk, regions=[(left, dawn)])(photo))
    assert masked.over(dusk).style.name == dusk.style.name
    assert masked.style.name == "tiny"
    faded = MaskedStylizer(dawn, left).with_style(dusk.style)
    np.testing.assert_array_equal(faded(photo), MaskedStylizer(dusk, left)(photo))


def test_without_a_main_style_none_is_put_in_its_place(
    tiny: Stylizer, dawn: Stylizer, photo: np.ndarray, left: np.ndarray
) -> None:
    masked = MaskedStylizer(None, regions=[(left, dawn)])
    assert masked.main is None
    np.testing.assert_array_equal(masked.over(tiny)(photo), masked(photo))
    with pytest.raises(OptionError, match="of which there is no pair"):
        masked.with_style(dawn.style)


def test_a_feather_can_be_told_in_pixels_of_another_size(tiny: Stylizer, photo: np.ndarray, left: np.ndarray) -> None:
    for main in (tiny, None):
        masked = MaskedStylizer(main, left if main else None, regions=[(left, tiny)], feather=8)
        half = MaskedStylizer(main, left if main else None, regions=[(left, tiny)], feather=4)
        np.testing.assert_array_equal(masked.over(tiny, 0.5)(photo), half(photo))


def test_its_parts_are_all_its_networks(tiny: Stylizer, dawn: Stylizer, left: np.ndarray) -> None:
    inner = MaskedStylizer(dawn, left, regions=[(left, None)])
    assert MaskedStylizer(tiny, regions=[(left, inner), (left, dawn)]).parts == (tiny, dawn, dawn)
    assert tiny.parts == (tiny,)


def test_whether_the_photo_shows(tiny: Stylizer, dawn: Stylizer, left: np.ndarray) -> None:
    white, black = np.full_like(left, 255), np.zeros_like(left)
    assert not tiny.shows_photo
    assert not MaskedStylizer(tiny, regions=[(left, dawn)]).shows_photo
    assert not MaskedStylizer(tiny, white).shows_photo
    assert not MaskedStylizer(None, regions=[(black, None), (white, tiny), (left, dawn)]).shows_photo
    assert MaskedStylizer(tiny, left).shows_photo
    assert MaskedStylizer(tiny, regions=[(left, None)]).shows_photo
    assert MaskedStylizer(None, regions=[(left, tiny)]).shows_photo
    assert MaskedStylizer(None, regions=[(white, MaskedStylizer(tiny, left))]).shows_photo


def test_its_masks_digest_is_that_of_its_regions(tiny: Stylizer, dawn: Stylizer, left: np.ndarray) -> None:
    digests = {
        masked.masks_digest
        for masked in (
            MaskedStylizer(tiny, left),
            MaskedStylizer(tiny, 255 - left),
            MaskedStylizer(tiny, left, feather=1),
            MaskedStylizer(tiny, regions=[(left, dawn)]),
            MaskedStylizer(tiny, regions=[(left, None)]),
        )
    }
    assert len(digests) == 5
    assert MaskedStylizer(tiny, left.copy()).masks_digest in digests
    assert tiny.masks_digest == ""


def test_without_strength_nothing_is_run_but_a_mask_must_fit(
    tiny: Stylizer, photo: np.ndarray, left: np.ndarray
) -> None:
    half = _Half()
    np.testing.assert_array_equal(MaskedStylizer(tiny, Mask(half))(photo, strength=0), photo)
    assert half.asked == 0
    with pytest.raises(InputError, match="another shape"):
        MaskedStylizer(tiny, left.T)(photo, strength=0)


def test_side_by_side_the_styles_of_a_palette_share_its_network(
    dawn: Stylizer, dusk: Stylizer, photo: np.ndarray, left: np.ndarray
) -> None:
    both = MaskedStylizer(dawn, regions=[(left, dusk)])
    beside = both.side_by_side(2)
    np.testing.assert_array_equal(beside(photo), both(photo))
    first, second = (part.engine._session for part in beside.parts)
    assert first is second
    assert first is not dawn.engine._session


def test_steady_masks_go_on_sharing_their_source(
    tiny: Stylizer, dawn: Stylizer, photo: np.ndarray, left: np.ndarray
) -> None:
    half = _Half()
    both = MaskedStylizer(tiny, left, regions=[(Mask(half), tiny), (Mask(half, inverted=True), dawn)])
    steady = both.steady_masks()
    np.testing.assert_array_equal(steady(photo), both(photo))
    assert half.asked == 2


def test_its_style_is_the_main_one_or_those_of_its_regions(tiny: Stylizer, dusk: Stylizer, left: np.ndarray) -> None:
    assert MaskedStylizer(tiny, regions=[(left, dusk)]).style.name == "tiny"
    assert MaskedStylizer(None, regions=[(left, dusk), (left, tiny), (left, dusk)]).style.name == "dusk+tiny"


def test_digests_tell_regions_apart(tiny: Stylizer, dawn: Stylizer, dusk: Stylizer) -> None:
    styles = [tiny.style, dawn.style, dusk.style, None]
    digests = {regions_digest([(mask, style)], feather) for mask in "ab" for style in styles for feather in (0, 1)}
    assert len(digests) == 16
    assert region_style([tiny.style]).name == "tiny"


def test_the_public_name() -> None:
    assert fststyle.MaskedStylizer is MaskedStylizer
