"""Videos under masks: written without loss, so that what is the frame's own can be compared to the bit."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

from fststyle.errors import InputError, OptionError  # noqa: E402
from fststyle.mixes import Mix  # noqa: E402
from fststyle.serving import video_resume  # noqa: E402
from fststyle.serving.look import Look  # noqa: E402
from fststyle.serving.masks import Mask  # noqa: E402
from fststyle.serving.mix_timeline import parse_timeline  # noqa: E402
from fststyle.serving.regions import MaskedStylizer  # noqa: E402
from fststyle.serving.stylizer import Stylizer  # noqa: E402
from fststyle.serving.video import VideoReport, frame_size, stylise_video  # noqa: E402
from fststyle.serving.video_formats import VideoSettings  # noqa: E402

WIDTH, HEIGHT = 65, 49  # odd, so that it is written with full chroma
LEFT = np.zeros((HEIGHT, WIDTH), np.uint8)
LEFT[:, :30] = 255


@pytest.fixture(scope="module")
def tiny(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=1)


@pytest.fixture(scope="module")
def dawn(palette_file: Path) -> Stylizer:
    return Stylizer(palette_file, device="cpu", threads=1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six frames of noise, of which the last three are another scene, ten a second."""
    random = np.random.default_rng(0)
    scenes = random.integers(0, 100, (HEIGHT, WIDTH, 3)), random.integers(120, 250, (HEIGHT, WIDTH, 3))
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = WIDTH, HEIGHT, "yuv444p", {"crf": "0"}
        for number in range(6):
            picture = scenes[number // 3] + random.integers(0, 4, (HEIGHT, WIDTH, 3))
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def run(stylizer: Stylizer, clip: Path, look: Look | None = None, **more: Any) -> VideoReport:
    settings = VideoSettings(quality=0, stabilize=more.pop("stabilize", False))
    return stylise_video(stylizer, clip, clip.with_name("out.mp4"), look or Look(), settings, force=True, **more)


def made(stylizer: Stylizer, clip: Path, look: Look | None = None, **more: Any) -> np.ndarray:
    """uint8 [frames, H, W, 3]."""
    with av.open(str(run(stylizer, clip, look, **more).output)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


class Bright:
    """A source that takes what is bright for a person."""

    digest = "bright"

    def plane(self, photo: np.ndarray) -> np.ndarray:
        return np.where(photo.mean(axis=2) > 110, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("look", [Look(), Look(strength=0.6, keep_color=True)])
def test_outside_the_mask_is_the_photo_and_inside_the_style(tiny: Stylizer, clip: Path, look: Look) -> None:
    result = made(MaskedStylizer(tiny, LEFT), clip, look)
    np.testing.assert_array_equal(result[:, :, 30:], made(tiny, clip, Look(strength=0))[:, :, 30:])
    styled = made(tiny, clip, look)[:, :, :30]
    assert np.abs(result[:, :, :30].astype(int) - styled).max() <= 8  # a network's own frames are decoded quickly
    assert np.abs(result[:, :, :30].astype(int) - styled).mean() < 1


@pytest.mark.parametrize("stabilize", [False, True])
def test_a_white_mask_is_none(tiny: Stylizer, clip: Path, stabilize: bool) -> None:
    white = MaskedStylizer(tiny, np.full_like(LEFT, 255), feather=3)
    np.testing.assert_array_equal(made(white, clip, stabilize=stabilize), made(tiny, clip, stabilize=stabilize))


def test_several_threads_make_the_same(tiny_style_file: Path, palette_file: Path, clip: Path) -> None:
    results = []
    for threads in (1, 3):
        main, other = (Stylizer(file, device="cpu", threads=threads) for file in (tiny_style_file, palette_file))
        results.append(made(MaskedStylizer(main, LEFT, regions=[(Mask(Bright()), other)], feather=2), clip))
    assert np.abs(results[0].astype(int) - results[1]).max() <= 2  # other threads sum in another order


def test_masks_are_each_frames_own(tiny: Stylizer, clip: Path) -> None:
    result = made(MaskedStylizer(None, regions=[(Mask(Bright()), tiny)]), clip)
    frames, whole = made(tiny, clip, Look(strength=0)), made(MaskedStylizer(tiny, regions=[(LEFT * 0, None)]), clip)
    np.testing.assert_array_equal(result[:3], frames[:3])
    np.testing.assert_array_equal(result[3:], whole[3:])


def test_smoothing_over_time_takes_the_whole_picture(tiny: Stylizer, clip: Path) -> None:
    masked = MaskedStylizer(tiny, LEFT)
    alone, smooth = made(masked, clip).astype(int), made(masked, clip, stabilize=True).astype(int)
    for part in (np.s_[..., :25, :], np.s_[..., 35:, :]):
        assert np.abs(np.diff(smooth[part][:3], axis=0)).mean() < 0.6 * np.abs(np.diff(alone[part][:3], axis=0)).mean()


def test_a_timeline_fades_the_main_style(dawn: Stylizer, tiny: Stylizer, clip: Path) -> None:
    dusk = dawn.mixed(Mix({"dusk": 1}))
    fading = made(MaskedStylizer(dawn, regions=[(LEFT, tiny)]), clip, timeline=parse_timeline("0 dawn; 0.5 dusk"))
    first, last = (made(MaskedStylizer(main, regions=[(LEFT, tiny)]), clip) for main in (dawn, dusk))
    np.testing.assert_array_equal(fading[0], first[0])
    np.testing.assert_array_equal(fading[-1], last[-1])
    np.testing.assert_array_equal(fading[:, :, :30], first[:, :, :30])
    assert (fading[2] != first[2]).any()


def test_a_weak_style_inside_the_network(dawn: Stylizer, clip: Path) -> None:
    look = Look(strength=0.5, blend="network")
    result = made(MaskedStylizer(dawn, LEFT), clip, look)
    assert np.abs(result[:, :, :30].astype(int) - made(dawn, clip, look)[:, :, :30]).max() <= 2


def test_a_region_that_cannot_blend_in_its_network_is_said_before_the_work(
    dawn: Stylizer, tiny: Stylizer, clip: Path
) -> None:
    with pytest.raises(OptionError, match="tiny is a network of one style"):
        run(MaskedStylizer(dawn, regions=[(LEFT, tiny)]), clip, Look(strength=0.5, blend="network"))


def test_a_mask_of_another_shape_is_said_before_the_work(tiny: Stylizer, clip: Path) -> None:
    with pytest.raises(InputError, match="49 x 65 pixels and the video's frames, upright, 65 x 49"):
        run(MaskedStylizer(tiny, np.ascontiguousarray(LEFT.T)), clip, resume=True)
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_a_mask_fits_frames_that_are_scaled_down(tiny: Stylizer, clip: Path) -> None:
    assert frame_size(clip, VideoSettings(), max_pixels=10_000) == (WIDTH, HEIGHT)
    result = made(MaskedStylizer(tiny, LEFT), clip, Look(max_size=33))
    frames = made(tiny, clip, Look(strength=0, max_size=33))
    assert result.shape[2] == 32
    assert np.abs(result[:, :, 18:].astype(int) - frames[:, :, 18:]).mean() < 1


def test_other_masks_begin_anew(tiny: Stylizer, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_resume, "_FRAMES", 2)

    def stop(done: int, total: int | None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    def interrupted(mask: np.ndarray) -> VideoReport:
        with pytest.raises(KeyboardInterrupt):
            run(MaskedStylizer(tiny, LEFT), clip, resume=True, progress=stop)
        return run(MaskedStylizer(tiny, mask), clip, resume=True)

    same, other = interrupted(LEFT.copy()), interrupted(255 - LEFT)
    assert (same.restarted, same.resumed > 0) == (False, True)
    assert (other.restarted, other.resumed) == (True, 0)
