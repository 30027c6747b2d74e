import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import active_count
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av")

from fststyle.errors import InputError
from fststyle.images import Picture
from fststyle.serving import video_network
from fststyle.serving.look import Look
from fststyle.serving.regions import MaskedStylizer
from fststyle.serving.shared_network import with_weights
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.video_network import FrameNetwork, frames_at_once
from fststyle.serving.video_reader import Frame

SIZE = (40, 32)


@pytest.fixture(scope="module")
def stylizer(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=3)


def frames(count: int) -> list[Frame]:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (count, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return [Frame(pixels, number * 10, 10) for number, pixels in enumerate(pictures)]


def interleaved(pictures: list[Frame]) -> Iterator[Any]:
    """Each frame between two packets, which are numbers here."""
    yield -1
    for number, frame in enumerate(pictures):
        yield frame
        yield number


def test_what_comes_out_is_in_order_and_what_the_stylizer_makes(stylizer: Stylizer) -> None:
    given = frames(9)
    network = FrameNetwork(stylizer, Look(), SIZE, stabilize=False)
    assert network.at_once == 3
    made = list(network.run(interleaved(given)))
    assert [item for item in made if not isinstance(item, Frame)] == [-1, *range(9)]
    stylised = made[1::2]
    assert [(frame.pts, frame.duration) for frame in stylised] == [(frame.pts, 10) for frame in given]
    for before, after in zip(given, stylised, strict=True):
        expected = stylizer(before.pixels).astype(int)
        assert np.abs(after.pixels - expected).max() <= 1  # other threads sum in another order
    assert network.stages.milliseconds["network"] > 0


def test_a_slow_frame_is_waited_for(stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    given = frames(6)

    def slow_at_first(photo: Picture, look: Look, stages: Stages) -> Picture:
        time.sleep(0.2 if photo.pixels is given[0].pixels else 0)
        return photo

    monkeypatch.setattr(stylizer, "stylise", slow_at_first)
    made = list(FrameNetwork(stylizer, Look(), SIZE, stabilize=False).run(given))
    assert [frame.pts for frame in made] == [frame.pts for frame in given]


def test_an_error_comes_at_its_frame_and_ends_the_threads(stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    given, before = frames(8), active_count()

    def fail_at_third(photo: Picture, look: Look, stages: Stages) -> Picture:
        if photo.pixels is given[2].pixels:
            raise InputError("the network broke")
        return photo

    monkeypatch.setattr(stylizer, "stylise", fail_at_third)
    made: list[Frame] = []
    with pytest.raises(InputError, match="the network broke"):
        made.extend(FrameNetwork(stylizer, Look(), SIZE, stabilize=False).run(given))
    assert active_count() == before


def test_whoever_closes_early_leaves_no_threads_and_few_frames_read(stylizer: Stylizer) -> None:
    read: list[Frame] = []

    def source() -> Iterator[Frame]:
        for frame in frames(50):
            read.append(frame)
            yield frame

    before = active_count()
    with closing(FrameNetwork(stylizer, Look(), SIZE, stabilize=False).run(source())) as made:
        assert next(made).pts == 0
        assert active_count() > before
    assert active_count() == before
    assert len(read) < 10


def test_smoothing_over_time_takes_one_frame_after_the_other(stylizer: Stylizer) -> None:
    network = FrameNetwork(stylizer, Look(), SIZE, stabilize=True)
    assert network.at_once == 1
    assert network.stabilizer is not None
    black, white = (np.full((SIZE[1], SIZE[0], 3), level, np.uint8) for level in (0, 255))
    assert len(list(network.run([Frame(pixels, 0, 1) for pixels in (black, black, white, black)]))) == 4
    assert network.stabilizer.cuts == 2
    assert set(network.stages.milliseconds) >= {"network", "stabilize"}


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (9, 4)])
def test_a_frame_for_each_thread_up_to_four(tiny_style_file: Path, threads: int, expected: int) -> None:
    assert frames_at_once(Stylizer(tiny_style_file, device="cpu", threads=threads), SIZE) == expected


def test_fewer_where_memory_is_short(stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 3 * SIZE[0] * SIZE[1]
    monkeypatch.setattr(video_network, "fits", lambda model, pixels: pixels <= room)
    assert frames_at_once(stylizer, SIZE) == 2
    room = 0
    assert frames_at_once(stylizer, SIZE) == 1


def test_networks_of_several_regions_share_the_memory(
    stylizer: Stylizer, palette_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    palette = Stylizer(palette_file, device="cpu", threads=3)
    both = MaskedStylizer(stylizer, regions=[(mask, palette), (mask, palette)])
    monkeypatch.setattr(video_network, "fits", lambda model, pixels: pixels <= 2 * 3 * SIZE[0] * SIZE[1])
    assert (frames_at_once(stylizer, SIZE), frames_at_once(both, SIZE)) == (3, 2)


def test_a_gpu_gets_one_frame_at_a_time(
    stylizer: Stylizer, tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stylizer.engine, "provider", "CUDAExecutionProvider")
    assert frames_at_once(stylizer, SIZE) == 1
    beside = MaskedStylizer(Stylizer(tiny_style_file, device="cpu", threads=3), regions=[(np.zeros((4, 5)), stylizer)])
    assert frames_at_once(beside, SIZE) == 1


@pytest.mark.parametrize("stabilize", [False, True])
def test_each_frame_may_have_weights_of_its_own(palette_file: Path, stabilize: bool) -> None:
    palette = Stylizer(palette_file, device="cpu", threads=2)
    blank = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    given = [Frame(blank if number % 2 else 255 - blank, number, 1) for number in range(4)]  # each is a cut
    mixes = {number: (0.0, 1 - number / 3, number / 3) for number in range(4)}
    network = FrameNetwork(palette, Look(), SIZE, stabilize=stabilize, weights=lambda frame: mixes[frame.pts])
    for before, after in zip(given, network.run(given), strict=True):
        expected = with_weights(palette, mixes[before.pts])(before.pixels).astype(int)
        assert np.abs(after.pixels - expected).max() <= 1


def test_a_weak_style_in_the_network_is_the_same_when_it_is_steady(palette_file: Path) -> None:
    palette, look = Stylizer(palette_file, device="cpu", threads=1), Look(strength=0.5, blend="network")
    frame = frames(1)[0]
    (made,) = FrameNetwork(palette, look, SIZE, stabilize=True).run([frame])
    assert np.abs(made.pixels - palette(frame.pixels, strength=0.5, blend="network").astype(int)).max() <= 1
    assert np.abs(made.pixels - palette(frame.pixels).astype(int)).max() > 1
