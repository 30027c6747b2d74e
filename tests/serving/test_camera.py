"""Sources: a video that PyAV wrote stands in for what cannot be plugged in here."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")

from fststyle.errors import InputError, OptionError, UnsupportedFormatError  # noqa: E402
from fststyle.serving import camera  # noqa: E402
from fststyle.serving.camera import DeviceCamera, Pace, Wishes, check_every_frame, device_cameras, open_camera  # noqa: E402
from fststyle.serving.camera_clock import read  # noqa: E402

FRAMES = 6


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


def write_clip(path: Path) -> Path:
    """Six frames, 64 x 48 px, each of one grey level, twenty a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height = 64, 48
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number + 20, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 20)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def levels(shots: Iterator[Any]) -> list[int]:
    return [round(float(shot.pixels.mean()) / 20) for shot in shots]


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux with two cameras; the first one's second node carries no pictures."""
    devices, facts = tmp_path / "dev", tmp_path / "facts"
    for name, index, title in (("video0", "0", "Desk"), ("video1", "1", "Desk"), ("video4", "0", "Ceiling")):
        (facts / name).mkdir(parents=True)
        (facts / name / "index").write_text(f"{index}\n")
        (facts / name / "name").write_text(f"{title}\n")
        devices.mkdir(exist_ok=True)
        (devices / name).touch()
    monkeypatch.setattr(camera, "_VIDEO_NODES", devices)
    monkeypatch.setattr(camera, "_NODE_FACTS", facts)
    monkeypatch.setattr("sys.platform", "linux")
    return devices


def test_a_file_plays_once(clip: Path) -> None:
    source = open_camera(str(clip), Wishes(paced=False))
    assert (source.name, source.size, source.rate) == (str(clip), (64, 48), 20)
    assert levels(source.shots()) == [1, 3, 5, 7, 9, 11]
    source.close()


def test_a_file_plays_at_its_own_pace(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only sleeping moves."""
    now = [50.0]
    monkeypatch.setattr(camera.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(camera.time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    source = open_camera(str(clip), Wishes())
    times = [shot.at for shot in source.shots()]
    source.close()
    assert times == pytest.approx([50, 50.05, 50.1, 50.15, 50.2, 50.25])


def test_what_is_late_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = iter([10.0, 12.0, 12.1])
    monkeypatch.setattr(camera.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(camera.time, "sleep", slept.append)
    pace = Pace()
    for moment in (1.0, 2.0, 4.0):
        pace.wait(moment)
    assert slept == pytest.approx([0, 0, 0.9])


def test_a_stream_by_its_address(tmp_path: Path, file_server: Any) -> None:
    file_server.files["/live.mkv"] = write_clip(tmp_path / "clip.mkv").read_bytes()
    source = open_camera(file_server.url("/live.mkv"), Wishes(paced=False))
    assert source.size == (64, 48)
    assert levels(source.shots()) == [1, 3, 5, 7, 9, 11]
    source.close()


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        ("missing.mp4", InputError, "no such file"),
        ("text.mp4", UnsupportedFormatError, "is not a video"),
        ("ftp://host/film", OptionError, "begins with one of http, https, rtsp"),
        ("http://127.0.0.1:9/film", InputError, "cannot open .*: connection refused"),
    ],
)
def test_what_is_no_camera(
    wanted: str, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Path("text.mp4").write_text("no video at all\n" * 50)
    with pytest.raises(error, match=message):
        open_camera(wanted, Wishes())


def test_an_answer_that_is_no_video(file_server: Any) -> None:
    file_server.files["/page"] = b"<html>no video</html>" * 100
    with pytest.raises(InputError, match=r"cannot open .*/page"):
        open_camera(file_server.url("/page"), Wishes())


def test_a_stream_may_not_name_files_of_this_machine(clip: Path, file_server: Any) -> None:
    file_server.files["/list.m3u8"] = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.3,\nfile://{clip}\n#EXT-X-ENDLIST\n".encode()
    )
    with pytest.raises(InputError):
        open_camera(file_server.url("/list.m3u8"), Wishes())


def test_cameras_are_listed_by_name(nodes: Path) -> None:
    assert device_cameras() == {0: "Desk", 4: "Ceiling"}


def test_a_camera_that_is_not_there_is_told_with_those_that_are(nodes: Path) -> None:
    with pytest.raises(InputError, match=r"there is no camera 2; cameras: 0 \(Desk\), 4 \(Ceiling\)"):
        open_camera("2", Wishes())
    for node in nodes.iterdir():
        node.unlink()
    with pytest.raises(InputError, match="there is no camera 0; no camera was found"):
        open_camera("/dev/video0", Wishes())


def test_a_camera_that_gives_nothing_is_one_error_and_no_other_line(
    nodes: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (nodes / "video77").touch()  # a number that this machine has no camera for
    with pytest.raises(InputError, match="camera 77 gives no frame; is it used by another program"):
        open_camera("77", Wishes(size=(1280, 720), rate=15))
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_is_unplugged_ends_with_an_error(clip: Path) -> None:
    device = DeviceCamera(cv2.VideoCapture(str(clip)), "camera 3")
    assert device.size == (64, 48)
    shots = device.shots()
    assert levels(islice(shots, FRAMES - 1)) == [3, 5, 7, 9, 11]  # the first one told the size
    with pytest.raises(InputError, match="camera 3 gives no more frames; was it unplugged"):
        next(shots)
    device.close()


def test_colours_of_a_device_are_red_green_blue(tmp_path: Path) -> None:
    for number in (0, 1):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), (10, 20, 200), np.uint8))
    device = DeviceCamera(cv2.VideoCapture(str(tmp_path / "%d.png"), cv2.CAP_IMAGES), "camera")
    assert next(device.shots()).pixels[5, 5].tolist() == [200, 20, 10]
    device.close()


def test_the_generated_feed_shows_the_time_of_each_frame() -> None:
    source = open_camera("synthetic", Wishes(size=(160, 120), rate=1000, paced=False))
    shots = source.shots()
    first, second = next(shots), next(shots)
    assert first.pixels.shape == (120, 160, 3)
    assert read(first.pixels) == int(first.at * 10_000) % (1 << 24)
    assert second.at > first.at


def test_wishes_out_of_range() -> None:
    with pytest.raises(OptionError, match="16 to 16384 pixels a side, got 8 x 600"):
        Wishes(size=(8, 600))
    with pytest.raises(OptionError, match="frame rate must be above 0"):
        Wishes(rate=0)
    with pytest.raises(OptionError, match="only a file and synthetic can wait"):
        check_every_frame("0")
    check_every_frame("clip.mp4")
