"""Real files: written with PyAV, stylised, and read back."""

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

from fststyle.errors import (  # noqa: E402
    FststyleError,
    ImageTooLargeError,
    InputError,
    OptionError,
    OutputError,
    StyleNotFoundError,
    UnsupportedFormatError,
)
from fststyle.serving import video_resume  # noqa: E402
from fststyle.serving.look import Look  # noqa: E402
from fststyle.serving.mix_timeline import parse_timeline  # noqa: E402
from fststyle.serving.shared_network import with_weights  # noqa: E402
from fststyle.serving.stylizer import Stylizer  # noqa: E402
from fststyle.serving.video import VideoReport, stylise_video  # noqa: E402
from fststyle.serving.video_formats import VideoSettings  # noqa: E402
from fststyle.serving.video_writer import VideoWriter  # noqa: E402

RATE = 48_000
# An odd size is written with full chroma, and H.264 at quality 0 then loses nothing but roundings.
LOSSLESS: dict[str, Any] = {"size": (65, 49), "pixels": "yuv444p", "options": {"crf": "0"}}


@dataclass
class Clip:
    """What to write. ``pts`` are in ``time_base``; without them frames come at ``rate``."""

    size: tuple[int, int] = (64, 48)
    frames: int = 10
    codec: str = "libx264"
    pixels: str = "yuv420p"
    rate: int = 10
    pts: list[int] = field(default_factory=list)
    time_base: Fraction = Fraction(1, 90_000)
    audio: str | None = "aac"
    rotation: tuple[int, bool] | None = None
    aspect: Fraction = Fraction(1)
    colour: tuple[int, int] = (6, 1)
    options: dict[str, str] = field(default_factory=lambda: {"crf": "4"})

    def picture(self, number: int) -> np.ndarray:
        """Blocks of colour that tell the corners apart, and a bar that moves."""
        width, height = self.size
        picture = np.zeros((height, width, 3), np.uint8)
        picture[: height // 2, : width // 2] = (220, 40, 40)
        picture[: height // 2, width // 2 :] = (40, 200, 60)
        picture[height // 2 :, : width // 2] = (40, 60, 210)
        picture[height // 2 :, width // 2 :] = (200, 200, 200)
        picture[:, number * 4 % width : number * 4 % width + 4] = 120
        return picture

    def write(self, path: Path) -> Path:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(self.codec, rate=self.rate)
            stream.width, stream.height = self.size
            stream.pix_fmt = self.pixels
            context = stream.codec_context
            context.options, context.sample_aspect_ratio = self.options, self.aspect
            context.colorspace, context.color_range = self.colour
            if self.pts:
                context.time_base = self.time_base
            if self.rotation is not None:
                stream.set_display_rotation(self.rotation[0], hflip=self.rotation[1])
            audio = container.add_stream(self.audio, rate=RATE) if self.audio else None
            for number in range(self.frames):
                container.mux(stream.encode(self._frame(number)))
            container.mux(stream.encode(None))
            if audio is not None:
                self._write_tone(container, audio)
        return path

    def _frame(self, number: int) -> Any:
        frame = av.VideoFrame.from_ndarray(self.picture(number)).reformat(
            format=self.pixels, dst_colorspace={1: 1, 6: 5, 9: 9}[self.colour[0]], dst_color_range=self.colour[1]
        )
        frame.pts = self.pts[number] if self.pts else number
        frame.time_base = self.time_base if self.pts else Fraction(1, self.rate)
        return frame

    def _write_tone(self, container: Any, audio: Any) -> None:
        seconds = self.frames / self.rate
        tone = (0.2 * np.sin(np.arange(int(RATE * seconds)) * 0.05)).astype(np.float32)
        for start in range(0, len(tone), 960):
            frame = av.AudioFrame.from_ndarray(np.stack([tone[start : start + 960]] * 2), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def frames_of(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def pictures_of(path: Path) -> list[np.ndarray]:
    return [frame.to_ndarray(format="rgb24", dst_color_range=2) for frame in frames_of(path)]


def times_of(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames_of(path)]


def packets_of(path: Path, kind: str = "audio") -> list[tuple[Any, ...]]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        packets = (packet for packet in container.demux(stream) if packet.dts is not None)
        return [(packet.pts * packet.time_base, packet.duration, bytes(packet)) for packet in packets]


@pytest.fixture(scope="module")
def stylizer(tiny_style_file: Path) -> Stylizer:
    return Stylizer(tiny_style_file, device="cpu", threads=1)


Run = Callable[..., Path]


@pytest.fixture
def run(stylizer: Stylizer, tmp_path: Path) -> Run:
    """Stylises a clip or a file; strength 0 unless told, so that the frames themselves can be compared."""

    def stylise(
        source: Clip | Path, *, name: str = "out.mp4", suffix: str = ".mp4", strength: float = 0, **settings: Any
    ) -> Path:
        path = source if isinstance(source, Path) else source.write(tmp_path / f"in{suffix}")
        look = Look(strength=strength, max_size=settings.pop("max_size", None))
        settings.setdefault("quality", 4)
        return stylise_video(stylizer, path, tmp_path / name, look, VideoSettings(**settings)).output

    return stylise


def assert_near(first: np.ndarray, second: np.ndarray, *, mean: float) -> None:
    assert first.shape == second.shape
    assert np.abs(first.astype(int) - second).mean() < mean


def test_times_size_rate_and_duration_are_the_inputs(run: Run, tmp_path: Path) -> None:
    result = run(Clip(), name="out.mp4")
    assert times_of(result) == times_of(tmp_path / "in.mp4")
    with av.open(str(tmp_path / "in.mp4")) as before, av.open(str(result)) as after:
        old, new = before.streams.video[0], after.streams.video[0]
        assert (new.width, new.height, new.average_rate) == (old.width, old.height, old.average_rate)
        assert after.duration == before.duration
        assert new.duration * new.time_base == old.duration * old.time_base


def test_variable_frame_rate_is_kept(run: Run, tmp_path: Path) -> None:
    pts = [0, 3003, 9000, 9001, 30_000, 90_000, 91_234, 140_000]
    result = run(Clip(frames=8, pts=pts))
    assert times_of(result) == [Fraction(at, 90_000) for at in pts] == times_of(tmp_path / "in.mp4")
    with av.open(str(tmp_path / "in.mp4")) as before, av.open(str(result)) as after:
        assert after.duration == before.duration


def test_each_frame_is_what_the_stylizer_makes_of_it(run: Run, stylizer: Stylizer, tmp_path: Path) -> None:
    result = run(Clip(frames=4, **LOSSLESS), strength=1, quality=0)
    for before, after in zip(pictures_of(tmp_path / "in.mp4"), pictures_of(result), strict=True):
        assert_near(after, stylizer(before), mean=1.5)


def test_sound_is_copied_bit_by_bit(run: Run, tmp_path: Path) -> None:
    assert packets_of(run(Clip())) == packets_of(tmp_path / "in.mp4")


def test_sound_that_the_file_cannot_hold_is_said(run: Run, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.webm file cannot hold the sound of .* \(audio aac\); try \.mkv"):
        run(Clip(), name="out.webm")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_subtitles_are_copied_or_named(stylizer: Stylizer, tmp_path: Path) -> None:
    (tmp_path / "in.srt").write_text("1\n00:00:00,200 --> 00:00:00,600\nhello\n\n")
    source = tmp_path / "in.mkv"
    with (
        av.open(str(Clip().write(tmp_path / "in.mp4"))) as film,
        av.open(str(tmp_path / "in.srt")) as texts,
        av.open(str(source), "w") as both,
    ):
        for part in (film, texts):
            for stream in part.streams:
                both.add_stream_from_template(stream, opaque=True)
        for part, first in ((film, 0), (texts, len(film.streams))):
            for packet in part.demux():
                if packet.dts is not None:
                    packet.stream = both.streams[first + packet.stream.index]
                    both.mux(packet)
    report = stylise_video(stylizer, source, tmp_path / "out.mkv", Look(strength=0), VideoSettings())
    assert (report.copied, report.left_out) == (["audio aac", "subtitle subrip"], [])
    assert packets_of(report.output, "subtitle") == packets_of(source, "subtitle")
    report = stylise_video(stylizer, source, tmp_path / "out.mp4", Look(strength=0), VideoSettings())
    assert (report.copied, report.left_out) == (["audio aac"], ["subtitle subrip"])


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
@pytest.mark.parametrize("size", [(64, 48), (65, 49)], ids=["even", "odd"])
def test_every_codec_keeps_the_size(run: Run, codec: str, size: tuple[int, int], tmp_path: Path) -> None:
    clip = Clip(size=size, frames=3, pixels="yuv444p", audio=None)
    result = run(clip, name="out.mkv", codec=codec)
    pictures = pictures_of(result)
    assert len(pictures) == 3
    for before, after in zip(pictures_of(tmp_path / "in.mp4"), pictures, strict=True):
        assert_near(after, before, mean=6)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems schedule otherwise")
@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_no_encoder_makes_threads_real_time(stylizer: Stylizer, codec: str, tmp_path: Path) -> None:
    """As root, SVT-AV1 would, this one included, and the machine would wait for the video."""
    source, policies = Clip(frames=3, audio=None).write(tmp_path / "in.mp4"), set()

    def look_around(*_: int) -> None:
        for entry in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # it has ended
                policies.add(os.sched_getscheduler(int(entry.name)))

    settings = VideoSettings(codec=codec)
    stylise_video(stylizer, source, tmp_path / "out.mkv", Look(strength=0), settings, progress=look_around)
    look_around()
    assert policies == {os.SCHED_OTHER}


def test_hevc_in_mp4_is_tagged_as_apple_wants_it(run: Run) -> None:
    with av.open(str(run(Clip(frames=2), codec="hevc"))) as container:
        assert container.streams.video[0].codec_tag == "hvc1"


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_a_very_short_video_keeps_its_times(run: Run, frames: int) -> None:
    """x265 has no decoding times of its own for these."""
    assert times_of(run(Clip(frames=frames, audio=None), codec="hevc")) == [Fraction(at, 10) for at in range(frames)]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_display_matrix_is_applied(run: Run, degrees: int, mirrored: bool) -> None:
    clip = Clip(frames=2, rotation=(degrees, mirrored), audio=None)
    expected = clip.picture(0)
    expected = np.rot90(expected, degrees // 90)  # counter-clockwise, as the writer's
    expected = expected[:, ::-1] if mirrored else expected
    result = run(clip)
    assert_near(pictures_of(result)[0], expected, mean=5)
    assert frames_of(result)[0].rotation == 0


def test_a_turned_video_has_its_pixels_aspect_turned(run: Run) -> None:
    with av.open(str(run(Clip(frames=2, aspect=Fraction(4, 3), rotation=(90, False))))) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(3, 4)


@pytest.mark.parametrize("value_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 6, 9], ids=["BT.709", "BT.601", "BT.2020"])
def test_colours_survive_in_every_matrix_and_range(run: Run, matrix: int, value_range: int) -> None:
    clip = Clip(frames=2, colour=(matrix, value_range), pixels="yuv444p", audio=None)
    result = run(clip, codec="vp9", name="out.mkv")
    frame = frames_of(result)[0]
    assert (frame.colorspace, frame.color_range) == (matrix, value_range)
    scaler = {1: 1, 6: 5, 9: 9}[matrix]
    shown = frame.to_ndarray(format="rgb24", src_colorspace=scaler, src_color_range=value_range, dst_color_range=2)
    assert_near(shown[4:20, 8:28], clip.picture(0)[4:20, 8:28], mean=4)


def test_untagged_colours_are_taken_by_size_and_tagged(run: Run) -> None:
    small = Clip(frames=1, colour=(6, 1), audio=None)
    large = Clip(size=(32, 720), frames=1, colour=(1, 1), audio=None)
    for clip, matrix in ((small, 6), (large, 1)):
        clip.codec, clip.options = "ffv1", {}  # keeps no tags in Matroska's header when none are set
        frame = frames_of(run(_untagged(clip), suffix=".mkv", name=f"{matrix}.mp4"))[0]
        assert (frame.colorspace, frame.color_range) == (matrix, 1)


def _untagged(clip: Clip) -> Clip:
    class Untagged(Clip):
        def _frame(self, number: int) -> Any:
            frame = super()._frame(number)
            frame.colorspace, frame.color_range = 2, 0
            return frame

    return Untagged(**vars(clip))


def test_max_size_scales_down_to_even_sizes(run: Run) -> None:
    assert pictures_of(run(Clip(size=(100, 70), frames=2), max_size=61))[0].shape == (42, 60, 3)


def test_a_part_is_cut_out_with_its_sound(run: Run, tmp_path: Path) -> None:
    clip = Clip(frames=30, options={"crf": "4", "g": "10"})
    result = run(clip, start=1.25, end=2.05)
    whole = pictures_of(tmp_path / "in.mp4")
    part = pictures_of(result)
    assert times_of(result) == [Fraction(number, 10) - Fraction(5, 4) for number in range(13, 21)]
    for before, after in zip(whole[13:21], part, strict=True):
        assert_near(after, before, mean=4)
    sound = packets_of(result)
    assert 0.75 < sum(packet[1] for packet in sound) / RATE <= 0.85
    assert {packet[2] for packet in sound} <= {packet[2] for packet in packets_of(tmp_path / "in.mp4")}


def test_a_file_that_does_not_begin_at_0_is_moved_there(run: Run, tmp_path: Path) -> None:
    result = run(Clip(), suffix=".ts")
    first = packets_of(tmp_path / "in.ts")[0][0]
    begins = min(first, times_of(tmp_path / "in.ts")[0])
    assert begins > 0.1
    assert times_of(result) == pytest.approx([time - begins for time in times_of(tmp_path / "in.ts")], abs=1e-4)
    assert packets_of(result)[0][0] == pytest.approx(first - begins, abs=1e-4)


def test_progress_counts_every_frame(stylizer: Stylizer, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    source = Clip(frames=7).write(tmp_path / "in.mp4")
    report = stylise_video(
        stylizer, source, tmp_path / "out.mp4", Look(), VideoSettings(), progress=lambda *at: seen.append(at)
    )
    assert seen == [(number, 7) for number in range(1, 8)]
    assert (report.frames, report.seconds, report.size, report.copied) == (7, 0.7, (64, 48), ["audio aac"])


def test_stabilize_acts_on_the_written_frames(run: Run) -> None:
    clip = Clip(frames=6, audio=None, **LOSSLESS)
    plain = pictures_of(run(clip, strength=1, quality=0, name="plain.mp4"))
    smooth = pictures_of(run(clip, strength=1, quality=0, name="smooth.mp4", stabilize=True))
    np.testing.assert_array_equal(plain[0], smooth[0])
    assert np.abs(plain[-1].astype(int) - smooth[-1]).max() > 0


def bad_file(kind: str, folder: Path) -> Path:
    whole = Clip(frames=60, options={"crf": "1"})
    path = folder / f"bad{'.mkv' if 'mkv' in kind else '.mp4'}"
    if kind == "text":
        path.write_text("not a video, but some lines of text\n" * 50)
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "sound":
        with av.open(str(path), "w") as container:
            whole._write_tone(container, container.add_stream("aac", rate=RATE))
    elif kind == "picture":
        av.VideoFrame.from_ndarray(whole.picture(0)).to_image().save(path, "PNG")
    elif kind != "missing":
        with_index_first = {"movflags": "faststart"} if kind == "mp4 with its index, cut short" else {}
        complete = whole.write(folder / f"whole{path.suffix}")
        if with_index_first:
            _remux(complete, path, with_index_first)
            complete = path
        data = complete.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    return path


def _remux(source: Path, target: Path, options: dict[str, str]) -> None:
    with av.open(str(source)) as old, av.open(str(target), "w", container_options=options) as new:
        streams = {stream.index: new.add_stream_from_template(stream, opaque=True) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("missing", InputError, "no such file"),
        ("folder", InputError, "not a file"),
        ("empty", InputError, r"is empty \(0 bytes\)"),
        ("text", UnsupportedFormatError, "is not a video"),
        ("picture", UnsupportedFormatError, "is not a video"),
        ("sound", InputError, "has no video stream"),
        ("mp4 without its index", UnsupportedFormatError, "damaged"),
        ("mp4 with its index, cut short", InputError, "damaged|cut short"),
        ("mkv cut short", InputError, "damaged|cut short"),
    ],
)
def test_a_bad_file_is_one_error_and_leaves_nothing(
    run: Run, kind: str, error: type[FststyleError], message: str, tmp_path: Path
) -> None:
    source = bad_file(kind, tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(error, match=message):
        run(source)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_file_that_speaks_of_other_files_is_refused(run: Run, tmp_path: Path) -> None:
    Clip(frames=3, audio=None).write(tmp_path / "secret.ts")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.3,\nsecret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnsupportedFormatError, match="not a video"):
        run(playlist)


def test_frames_above_the_cap_are_refused(tiny_style_file: Path, tmp_path: Path) -> None:
    small = Stylizer(tiny_style_file, device="cpu", threads=1, max_pixels=1000)
    source = Clip(frames=1).write(tmp_path / "in.mp4")
    with pytest.raises(ImageTooLargeError, match="64 x 48"):
        stylise_video(small, source, tmp_path / "out.mp4", Look(), VideoSettings())


def test_a_part_with_nothing_in_it_is_an_error(run: Run, tmp_path: Path) -> None:
    source = Clip().write(tmp_path / "in.mp4")
    with pytest.raises(InputError, match=r"over after 1\.00 s, before the start at 5 s"):
        run(source, start=5)
    with pytest.raises(InputError, match="no frames between"):
        run(source, start=0.01, end=0.02)


def test_what_exists_is_kept_unless_forced(stylizer: Stylizer, tmp_path: Path) -> None:
    source = Clip(frames=2).write(tmp_path / "in.mp4")
    output = tmp_path / "out.mp4"
    output.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        stylise_video(stylizer, source, output, Look(), VideoSettings())
    with pytest.raises(OptionError, match="would replace the input"):
        stylise_video(stylizer, source, source, Look(), VideoSettings(), force=True)
    assert output.read_bytes() == b"mine"
    stylise_video(stylizer, source, output, Look(), VideoSettings(), force=True)
    assert len(pictures_of(output)) == 2


def test_an_error_of_the_network_stops_all_threads(
    stylizer: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    def fail(*arguments: object) -> None:
        raise InputError("the network broke")

    source = Clip(frames=60).write(tmp_path / "in.mp4")
    monkeypatch.setattr(stylizer, "stylise", fail)
    before = threading.active_count()
    with pytest.raises(InputError, match="the network broke"):
        stylise_video(stylizer, source, tmp_path / "out.mp4", Look(), VideoSettings())
    assert threading.active_count() == before
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


Interrupt = Callable[..., Path]


@pytest.fixture
def interrupted(stylizer: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    """Begins to stylise a clip of 24 frames, is stopped after 18, and has kept the first 15; gives the input."""
    monkeypatch.setattr(video_resume, "_FRAMES", 5)

    def stop(done: int, total: int | None) -> None:
        if done == 18:
            raise KeyboardInterrupt

    def begin(name: str = "out.mp4", strength: float = 0, **settings: Any) -> Path:
        source = Clip(frames=24, audio=settings.pop("audio", "aac")).write(tmp_path / "in.mp4")
        look, wanted = Look(strength=strength), VideoSettings(**settings)
        with pytest.raises(KeyboardInterrupt):
            stylise_video(stylizer, source, tmp_path / name, look, wanted, resume=True, progress=stop)
        # Encoding goes on beside the network, which may have been ahead of it.
        kept = sorted((tmp_path / f".{name}.fststyle-partial").glob("*.packets"))
        for path in kept[3:]:
            path.unlink()
        assert len(kept) >= 2
        return source

    return begin


@pytest.mark.parametrize(
    ("name", "codec"), [("out.mp4", "h264"), ("out.mp4", "hevc"), ("out.mkv", "vp9"), ("out.mp4", "av1")]
)
def test_a_resumed_video_is_like_one_in_a_go(
    interrupted: Interrupt, stylizer: Stylizer, name: str, codec: str, tmp_path: Path
) -> None:
    source, settings = interrupted(name, codec=codec), VideoSettings(codec=codec)
    assert not (tmp_path / name).exists()
    calls: list[int] = []
    report = stylise_video(
        stylizer,
        source,
        tmp_path / name,
        Look(strength=0),
        settings,
        resume=True,
        progress=lambda done, _: calls.append(done),
    )
    straight = tmp_path / f"straight-{name}"
    before = stylise_video(stylizer, source, straight, Look(strength=0), settings)
    assert report.resumed in (10, 15)
    assert calls == list(range(report.resumed + 1, 25))
    assert (report.frames, report.seconds, report.copied) == (24, before.seconds, before.copied)
    assert times_of(tmp_path / name) == times_of(straight)
    assert packets_of(tmp_path / name) == packets_of(straight)
    with av.open(str(straight)) as one, av.open(str(tmp_path / name)) as other:
        assert one.duration == other.duration
        assert one.streams.video[0].average_rate == other.streams.video[0].average_rate
    for first, second in zip(pictures_of(straight), pictures_of(tmp_path / name), strict=True):
        assert_near(first, second, mean=6)
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", name, straight.name}


def test_a_resumed_video_keeps_its_variable_frame_rate(
    stylizer: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_resume, "_FRAMES", 3)
    pts = [0, 3003, 9000, 9001, 30_000, 90_000, 91_234, 140_000]
    source = Clip(frames=8, pts=pts).write(tmp_path / "in.mp4")
    stylise_video(stylizer, source, tmp_path / "out.mp4", Look(strength=0), VideoSettings(), resume=True)
    assert times_of(tmp_path / "out.mp4") == [Fraction(at, 90_000) for at in pts]
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert after.duration == before.duration


def test_smoothing_over_time_goes_on_where_it_was(interrupted: Interrupt, stylizer: Stylizer, tmp_path: Path) -> None:
    settings = VideoSettings(stabilize=True, quality=0)
    source = interrupted(strength=1, stabilize=True, quality=0)
    stylise_video(stylizer, source, tmp_path / "out.mp4", Look(), settings, resume=True)
    stylise_video(stylizer, source, tmp_path / "straight.mp4", Look(), settings)
    for first, second in zip(pictures_of(tmp_path / "straight.mp4"), pictures_of(tmp_path / "out.mp4"), strict=True):
        assert_near(first, second, mean=0.5)


def test_other_settings_begin_anew(interrupted: Interrupt, stylizer: Stylizer, tmp_path: Path) -> None:
    source = interrupted()
    report = stylise_video(stylizer, source, tmp_path / "out.mp4", Look(strength=0.5), VideoSettings(), resume=True)
    assert (report.restarted, report.resumed, report.frames) == (True, 0, 24)


def test_a_damaged_segment_and_all_after_it_are_made_again(
    interrupted: Interrupt, stylizer: Stylizer, tmp_path: Path
) -> None:
    source = interrupted()
    second = tmp_path / ".out.mp4.fststyle-partial" / "000001.packets"
    second.write_bytes(second.read_bytes()[:-3])
    report = stylise_video(stylizer, source, tmp_path / "out.mp4", Look(strength=0), VideoSettings(), resume=True)
    assert (report.restarted, report.resumed, report.frames) == (False, 5, 24)
    assert len(pictures_of(tmp_path / "out.mp4")) == 24


def test_a_run_that_only_lacked_its_end(stylizer: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise OutputError("no space left on device")

    source = Clip(frames=12).write(tmp_path / "in.mp4")
    with monkeypatch.context() as broken:
        broken.setattr(VideoWriter, "close", fail)
        with pytest.raises(OutputError, match="no space left"):
            stylise_video(stylizer, source, tmp_path / "out.mp4", Look(strength=0), VideoSettings(), resume=True)
    assert not (tmp_path / "out.mp4").exists()
    report = stylise_video(stylizer, source, tmp_path / "out.mp4", Look(strength=0), VideoSettings(), resume=True)
    assert (report.resumed, report.frames, report.seconds) == (12, 12, 1.2)
    assert times_of(tmp_path / "out.mp4") == times_of(source)


def test_what_the_file_cannot_hold_is_said_before_the_work(stylizer: Stylizer, tmp_path: Path) -> None:
    calls: list[int] = []
    source = Clip().write(tmp_path / "in.mp4")
    with pytest.raises(OptionError, match="cannot hold the sound"):
        stylise_video(
            stylizer,
            source,
            tmp_path / "out.webm",
            Look(),
            VideoSettings(),
            resume=True,
            progress=lambda done, _: calls.append(done),
        )
    assert calls == []


def test_two_runs_do_not_work_on_one_output(stylizer: Stylizer, tmp_path: Path) -> None:
    source = Clip(frames=2).write(tmp_path / "in.mp4")
    with (
        video_resume.reserved(tmp_path / "out.mp4"),
        pytest.raises(OutputError, match=r"another run is working on .*out\.mp4"),
    ):
        stylise_video(stylizer, source, tmp_path / "out.mp4", Look(), VideoSettings(), resume=True)


@pytest.fixture(scope="module")
def palette(palette_file: Path) -> Stylizer:
    return Stylizer(palette_file, device="cpu", threads=1)


@pytest.mark.parametrize("start", [None, 0.2])
def test_a_timeline_goes_by_the_times_of_the_input(palette: Stylizer, tmp_path: Path, start: float | None) -> None:
    source = Clip(frames=6, **LOSSLESS).write(tmp_path / "in.mp4")
    timeline, settings = parse_timeline("0.1 dawn; 0.5 dusk"), VideoSettings(quality=0, start=start)
    stylise_video(palette, source, tmp_path / "out.mp4", Look(), settings, timeline=timeline)
    first = 0 if start is None else 2
    before, after = pictures_of(source)[first:], pictures_of(tmp_path / "out.mp4")
    assert len(after) == 6 - first
    for number, (photo, found) in enumerate(zip(before, after, strict=True), first):
        share = min(1, max(0, (number - 1) / 4))
        assert_near(found, with_weights(palette, (0, 1 - share, share))(photo), mean=1.5)


def test_a_resumed_video_has_the_same_timeline_or_begins_anew(
    palette: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_resume, "_FRAMES", 5)
    source = Clip(frames=20, audio=None).write(tmp_path / "in.mp4")

    def run(text: str, *, stop_at: int = 0) -> VideoReport:
        def progress(done: int, total: int | None) -> None:
            if done == stop_at:
                raise KeyboardInterrupt

        return stylise_video(
            palette,
            source,
            tmp_path / "out.mp4",
            Look(),
            VideoSettings(),
            timeline=parse_timeline(text),
            resume=True,
            progress=progress,
        )

    with pytest.raises(KeyboardInterrupt):
        run("0 dawn; 1 dusk", stop_at=16)
    with pytest.raises(KeyboardInterrupt):
        run("0 dusk; 1 dawn", stop_at=16)
    report = run("0:00 dusk:2; 1 dawn")
    assert (report.restarted, report.frames) == (False, 20)
    assert report.resumed >= 5
    straight = stylise_video(
        palette, source, tmp_path / "straight.mp4", Look(), VideoSettings(), timeline=parse_timeline("0 dusk; 1 dawn")
    )
    for first, second in zip(pictures_of(straight.output), pictures_of(report.output), strict=True):
        assert_near(first, second, mean=6)


def test_a_timeline_is_for_styles_of_the_palette(palette: Stylizer, stylizer: Stylizer, tmp_path: Path) -> None:
    source = Clip(frames=2, audio=None).write(tmp_path / "in.mp4")
    for used in (palette, stylizer):
        with pytest.raises(StyleNotFoundError, match="no style named 'noon'"):
            stylise_video(
                used, source, tmp_path / "out.mp4", Look(), VideoSettings(), timeline=parse_timeline("0 noon")
            )
    with pytest.raises(OptionError, match="tiny is a network of one style"):
        stylise_video(stylizer, source, tmp_path / "out.mp4", Look(blend="network"), VideoSettings())
