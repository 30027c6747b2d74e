"""The road from camera to picture. Where it matters what comes first, events decide and not the clock."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("av")

from fststyle.errors import InputError, OptionError  # noqa: E402
from fststyle.serving.camera import Shot  # noqa: E402
from fststyle.serving.camera_figures import Figures  # noqa: E402
from fststyle.serving.camera_loop import Controls, Live, LiveSettings, View  # noqa: E402
from fststyle.serving.camera_size import scaled  # noqa: E402
from fststyle.serving.camera_styles import StyleShelf  # noqa: E402
from fststyle.serving.look import Look  # noqa: E402
from fststyle.serving.masks import Mask  # noqa: E402
from fststyle.serving.mix_timeline import parse_timeline  # noqa: E402
from fststyle.serving.regions import MaskedStylizer  # noqa: E402
from fststyle.serving.shared_network import with_weights  # noqa: E402
from fststyle.serving.stylizer import Stylizer  # noqa: E402

SIZE = (64, 48)


def grey(level: int) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


class Feed:
    """A camera that gives frame after frame, each of its own grey level, when it is told to."""

    name, size, rate = "feed", SIZE, 30.0

    def __init__(self, levels: list[int], error: Exception | None = None) -> None:
        self._levels, self._error = levels, error
        self.go = threading.Semaphore(0)
        self.given = threading.Semaphore(0)
        self.closed = False

    def shots(self) -> Iterator[Shot]:
        for number, level in enumerate(self._levels):
            self.go.acquire()
            yield Shot(grey(level), number / 30)
            self.given.release()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed = True

    def release(self, count: int) -> None:
        self.go.release(count)


@pytest.fixture(scope="module")
def stylizer(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=1)


@pytest.fixture
def shelf(stylizer: Stylizer) -> StyleShelf:
    return StyleShelf("tiny", lambda name: stylizer, names=())


def live(feed: Feed, shelf: StyleShelf, look: Look | None = None, *, mirror: bool = False, **settings: object) -> Live:
    return Live(feed, shelf, Controls(look or Look(strength=0), mirror), LiveSettings(**settings))  # type: ignore[arg-type]


def levels(views: list[View]) -> list[int]:
    return [int(view.pixels[0, 0, 0]) for view in views]


def collect(running: Live) -> list[View]:
    return [view for view in running.views(0.05) if view is not None]


def test_a_slow_network_gets_the_newest_frame_next(shelf: StyleShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(list(range(10, 30)))
    began, finish = threading.Event(), threading.Event()
    running = live(feed, shelf, every_frame=False)
    stylise = running._stylise

    def slow(shot: Shot) -> View:
        began.set()
        assert finish.wait(60)
        return stylise(shot)

    monkeypatch.setattr(running, "_stylise", slow)
    with running:
        feed.release(1)
        assert began.wait(60)  # the network is busy with the first
        feed.release(18)
        for _ in range(1 + 18):
            assert feed.given.acquire(timeout=60)  # each is in its slot then
        # The last is held back, so that the count is exact.
        finish.set()
        feed.release(1)
        seen = levels(collect(running))
    assert seen[0] in (10, 28, 29)  # what is shown is the newest picture, too
    assert seen[-1] == 29
    figures = running.figures
    assert figures.captured == 20
    assert 2 <= figures.stylised <= 3
    assert figures.dropped == 20 - figures.stylised
    assert feed.closed


def test_every_frame_waits_for_the_network(shelf: StyleShelf) -> None:
    feed = Feed(list(range(50, 62)))
    feed.release(12)
    with live(feed, shelf, every_frame=True) as running:
        assert levels(collect(running)) == list(range(50, 62))
    assert (running.figures.captured, running.figures.dropped, running.figures.shown) == (12, 0, 12)


def test_it_ends_after_so_many_pictures(shelf: StyleShelf) -> None:
    feed = Feed(list(range(12)))
    feed.release(12)
    with live(feed, shelf, every_frame=True, frames=5) as running:
        assert len(collect(running)) == 5
    assert running.figures.stylised == 5
    assert feed.closed


def test_it_ends_after_so_long_even_without_a_frame(shelf: StyleShelf) -> None:
    feed = Feed([1])
    with live(feed, shelf, seconds=0.05) as running:
        assert collect(running) == []
        feed.release(1)


def test_what_was_taken_before_the_camera_failed_is_shown(shelf: StyleShelf) -> None:
    feed = Feed([7, 8], InputError("feed gives no more frames; was it unplugged?"))
    feed.release(2)
    seen: list[View] = []
    with live(feed, shelf, every_frame=True) as running, pytest.raises(InputError, match="unplugged"):
        seen.extend(view for view in running.views(0.05) if view is not None)
    assert running.figures.stylised == 2
    assert feed.closed


def test_an_error_of_the_network_ends_everything(shelf: StyleShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    feed = Feed(list(range(50)))
    feed.release(50)
    running = live(feed, shelf, every_frame=True)

    def fail(shot: Shot) -> None:
        raise InputError("the network broke")

    monkeypatch.setattr(running, "_stylise", fail)
    with pytest.raises(InputError, match="the network broke"), running:
        collect(running)
    assert threading.active_count() == before


def test_a_picture_is_what_the_stylizer_makes_of_the_frame(shelf: StyleShelf, stylizer: Stylizer) -> None:
    feed = Feed([90])
    feed.release(1)
    with live(feed, shelf, Look(strength=0.7, keep_color=True), every_frame=True) as running:
        view = collect(running)[0]
    assert (view.pixels == stylizer(grey(90), strength=0.7, keep_color=True)).all()
    assert (view.style, view.worked_at) == ("tiny", SIZE)
    assert view.network > 0


def test_it_works_small_and_shows_large(shelf: StyleShelf) -> None:
    feed = Feed([90])
    feed.release(1)
    with live(feed, shelf, Look(strength=1), every_frame=True, max_size=32) as running:
        view = collect(running)[0]
    assert view.worked_at == (32, 24)
    assert view.pixels.shape == (48, 64, 3)


def test_a_target_that_is_out_of_reach_lowers_the_size(stylizer: Stylizer) -> None:
    size = (320, 240)
    feed = Feed([])
    feed.size = size
    shelf = StyleShelf("tiny", lambda name: stylizer, names=())
    running = live(feed, shelf, Look(strength=1), target_fps=1e6)
    photo = np.zeros((240, 320, 3), np.uint8)
    worked = [running._stylise(Shot(photo, 0.0)).worked_at[0] for _ in range(20)]
    assert worked[:8] == [320] * 8
    assert worked[8] == worked[15] == 96


def test_mirrored(shelf: StyleShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 48, axis=0).repeat(3, axis=2)
    running = live(Feed([]), shelf, mirror=True)
    assert (running._stylise(Shot(photo, 0.0)).pixels == photo[:, ::-1]).all()


def test_stabilising_starts_afresh_with_another_look(shelf: StyleShelf) -> None:
    running = live(Feed([]), shelf, stabilize=True)
    photo = np.random.default_rng(0).integers(100, 103, (48, 64, 3), dtype=np.uint8)
    other = photo.copy()
    other[::2] += 2
    running._stylise(Shot(photo, 0.0))
    smoothed = running._stylise(Shot(other, 0.0)).pixels
    assert 0 < np.abs(smoothed.astype(int) - other).mean() < 2
    running.controls.look = Look(strength=0, keep_color=True)
    assert (running._stylise(Shot(other, 0.0)).pixels == other).all()


def test_sinks_get_every_picture(shelf: StyleShelf) -> None:
    feed, got = Feed([1, 2, 3]), []
    feed.release(3)
    running = live(feed, shelf, every_frame=True)
    running.sinks = (got.append,)
    with running:
        assert len(collect(running)) == 3
    assert levels(got) == [1, 2, 3]


def test_figures_of_known_times() -> None:
    figures = Figures()
    assert figures.to_dict()["latency"] == {"mean": None, "p95": None}
    assert figures.rate == 0
    for number in range(100):
        figures.stylise(0.02)
        figures.show((number + 1) / 1000)
    told = figures.to_dict()
    assert told["latency"] == {"mean": 50.5, "p95": 95.0}
    assert told["network"] == 20.0
    assert (told["stylised"], told["shown"]) == (100, 100)
    assert figures.latency == 0.1
    assert figures.rate > 0


@pytest.mark.parametrize("name", ["max_size", "target_fps", "frames", "seconds"])
def test_settings_out_of_range(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} must be above 0, got 0"):
        LiveSettings(**{name: 0})


@pytest.fixture(scope="module")
def palette(palette_file: Path) -> Stylizer:
    return Stylizer(palette_file, device="cpu", threads=1)


def test_a_timeline_counts_from_the_first_picture_and_goes_around(palette: Stylizer) -> None:
    timeline = parse_timeline("0 dawn; 1 dusk; 2 dawn")
    running = live(Feed([]), StyleShelf("pair", lambda name: palette, names=()), Look(strength=1), timeline=timeline)
    photo = grey(90)
    photo[::3] = 30
    for seconds, weights in ((0, (0, 1, 0)), (0.25, (0, 0.75, 0.25)), (1, (0, 0, 1)), (2.25, (0, 0.75, 0.25))):
        view = running._stylise(Shot(photo, 50 + seconds))
        np.testing.assert_array_equal(view.pixels, with_weights(palette, weights)(photo))
        assert view.style == with_weights(palette, weights).style.name
    running.controls.timeline = False
    assert running._stylise(Shot(photo, 51)).style == "pair"


def test_smoothing_lasts_while_a_timeline_fades(palette: Stylizer) -> None:
    timeline = parse_timeline("0 dawn; 10 dusk")
    shelf = StyleShelf("pair", lambda name: palette, names=())
    running = live(Feed([]), shelf, Look(strength=1), timeline=timeline, stabilize=True)
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    first = running._stylise(Shot(photo, 0.0)).pixels.astype(float)
    second = running._stylise(Shot(photo, 9.0)).pixels.astype(float)
    alone = with_weights(palette, (0, 0.1, 0.9))(photo).astype(float)
    np.testing.assert_allclose(second, 0.85 * first + 0.15 * alone, atol=1.01)


def test_blending_in_the_network_goes_on_with_pixels_where_a_style_cannot(
    shelf: StyleShelf, stylizer: Stylizer, palette: Stylizer
) -> None:
    look = Look(strength=0.5, blend="network")
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    running = live(Feed([]), StyleShelf("pair", lambda name: palette, names=()), look)
    np.testing.assert_array_equal(
        running._stylise(Shot(photo, 0.0)).pixels, palette(photo, strength=0.5, blend="network")
    )
    running.shelf.current = stylizer
    np.testing.assert_array_equal(running._stylise(Shot(photo, 0.0)).pixels, stylizer(photo, strength=0.5))


@pytest.fixture
def scene() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)


LEFT = np.zeros((48, 64), np.uint8)
LEFT[:, :24] = 255


def masked_live(shelf: StyleShelf, masked: MaskedStylizer, *, mirror: bool = False, **settings: object) -> Live:
    return Live(Feed([]), shelf, Controls(Look(), mirror), LiveSettings(**settings), masked)  # type: ignore[arg-type]


def test_masks_lie_over_whatever_style_is_current(
    shelf: StyleShelf, stylizer: Stylizer, palette: Stylizer, scene: np.ndarray
) -> None:
    running = masked_live(shelf, MaskedStylizer(stylizer, regions=[(LEFT, None)]))
    for current in (stylizer, palette):
        shelf.current = current
        view = running._stylise(Shot(scene, 0.0))
        np.testing.assert_array_equal(view.pixels[:, :24], scene[:, :24])
        np.testing.assert_array_equal(view.pixels[:, 24:], current(scene)[:, 24:])
        assert view.style == current.style.name


def test_the_whole_picture_while_masks_are_off(shelf: StyleShelf, stylizer: Stylizer, scene: np.ndarray) -> None:
    running = masked_live(shelf, MaskedStylizer(stylizer, LEFT))
    running.controls.masks = False
    np.testing.assert_array_equal(running._stylise(Shot(scene, 0.0)).pixels, stylizer(scene))


def test_regions_alone_leave_the_camera_as_it_is(shelf: StyleShelf, palette: Stylizer, scene: np.ndarray) -> None:
    view = masked_live(shelf, MaskedStylizer(None, regions=[(LEFT, palette)]))._stylise(Shot(scene, 0.0))
    np.testing.assert_array_equal(view.pixels[:, 24:], scene[:, 24:])
    np.testing.assert_array_equal(view.pixels[:, :24], palette(scene)[:, :24])
    assert view.style == "pair"


class _Red:
    """A source that finds what is red."""

    digest = "red"

    def plane(self, photo: np.ndarray) -> np.ndarray:
        return np.where(photo[..., 0] > 200, 255, 0).astype(np.uint8)


def test_in_the_mirror_a_mask_stays_and_a_person_is_followed(shelf: StyleShelf, stylizer: Stylizer) -> None:
    photo = grey(90)
    photo[:, :10, 0] = 255  # a person on the left, in the mirror on the right
    shown = photo[:, ::-1]
    fixed = masked_live(shelf, MaskedStylizer(stylizer, LEFT), mirror=True)._stylise(Shot(photo, 0.0)).pixels
    np.testing.assert_array_equal(fixed[:, 24:], shown[:, 24:])
    np.testing.assert_array_equal(fixed[:, :24], stylizer(shown.copy())[:, :24])
    person = MaskedStylizer(stylizer, Mask(_Red()))
    followed = masked_live(shelf, person, mirror=True)._stylise(Shot(photo, 0.0)).pixels
    np.testing.assert_array_equal(followed[:, :54], shown[:, :54])
    assert (followed[:, 54:] != shown[:, 54:]).any()


def test_masks_and_feathers_fit_whatever_size_is_worked_at(
    shelf: StyleShelf, stylizer: Stylizer, palette: Stylizer, scene: np.ndarray
) -> None:
    running = masked_live(shelf, MaskedStylizer(stylizer, regions=[(LEFT, palette)], feather=4), max_size=32)
    expected = MaskedStylizer(stylizer, regions=[(LEFT, palette)], feather=2)(scaled(scene, (32, 24)))
    np.testing.assert_array_equal(running._stylise(Shot(scene, 0.0)).pixels, scaled(expected, SIZE))


def test_what_is_the_cameras_own_is_sharp_however_small_is_worked(
    shelf: StyleShelf, stylizer: Stylizer, scene: np.ndarray
) -> None:
    running = masked_live(shelf, MaskedStylizer(stylizer, LEFT), max_size=32)
    view = running._stylise(Shot(scene, 0.0))
    assert view.worked_at == (32, 24)
    np.testing.assert_array_equal(view.pixels[:, 27:], scene[:, 27:])
    styled = scaled(stylizer(scaled(scene, (32, 24))), SIZE)
    np.testing.assert_array_equal(view.pixels[:, :21], styled[:, :21])


def test_smoothing_takes_masks_too_and_starts_afresh_without_them(
    shelf: StyleShelf, stylizer: Stylizer, scene: np.ndarray
) -> None:
    running = masked_live(shelf, MaskedStylizer(stylizer, Mask(_Red())), stabilize=True)
    assert running.masked is not None
    calm = scene // 64 + 199  # red comes and goes
    for _ in range(2):
        running._stylise(Shot(calm, 0.0))
        smoothed = running._stylise(Shot(calm + 1, 0.0)).pixels
    assert (smoothed != MaskedStylizer(stylizer, Mask(_Red()))(calm + 1)).any()
    running.controls.masks = False
    np.testing.assert_array_equal(running._stylise(Shot(calm, 0.0)).pixels, stylizer(calm))


def test_blending_in_the_network_goes_on_with_pixels_where_a_region_cannot(
    stylizer: Stylizer, palette: Stylizer, scene: np.ndarray
) -> None:
    running = masked_live(
        StyleShelf("pair", lambda name: palette, names=()), MaskedStylizer(palette, regions=[(LEFT, stylizer)])
    )
    running.controls.look = Look(strength=0.5, blend="network")
    np.testing.assert_array_equal(
        running._stylise(Shot(scene, 0.0)).pixels[:, 24:], palette(scene, strength=0.5)[:, 24:]
    )
