from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from fststyle.errors import OptionError, OutputError  # noqa: E402
from fststyle.images import load_rgb  # noqa: E402
from fststyle.serving import camera_record  # noqa: E402
from fststyle.serving.camera_record import Recorder, check_recording, free_name, snapshot  # noqa: E402

SIZE = (64, 48)


def grey(level: int) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


def recorder(path: Path, **options: bool) -> Recorder:
    return Recorder(path, SIZE, 20.0, threads=1, lossless=True, **options)


def put_many(recording: Recorder, count: int) -> None:
    for number in range(count):
        recording.put(grey(100), number / 20)


def test_a_recording_has_the_times_of_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "live.mp4"
    recording = recorder(path)
    moments = [100.0, 100.05, 100.4, 100.5]
    for number, moment in enumerate(moments):
        recording.put(grey(50 * number + 20), moment)
    assert not path.exists()
    made = recording.finish()
    assert made is not None
    assert (made.path, made.frames, made.seconds, made.dropped) == (path, 4, pytest.approx(0.55), 0)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        assert container.duration == pytest.approx(550_000, abs=1000)
    assert [frame.pts * frame.time_base for frame in frames] == [
        Fraction(round((moment - 100) * 90_000), 90_000) for moment in moments
    ]
    shown = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    assert shown == pytest.approx([20, 70, 120, 170], abs=3)
    assert [entry.name for entry in tmp_path.iterdir()] == ["live.mp4"]


def test_two_frames_of_one_moment_are_both_kept(tmp_path: Path) -> None:
    recording = recorder(tmp_path / "live.mkv")
    for moment in (5.0, 5.0, 4.9):
        recording.put(grey(90), moment)
    made = recording.finish()
    assert made is not None
    assert made.frames == 3


def test_no_frames_are_no_file(tmp_path: Path) -> None:
    assert recorder(tmp_path / "live.mp4").finish() is None
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_breaks_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, item: object) -> None:
        raise OutputError("no space left on device")

    monkeypatch.setattr(camera_record.VideoWriter, "write", full)
    recording = recorder(tmp_path / "live.mp4")
    with pytest.raises(OutputError, match="no space left"):
        put_many(recording, 100)
    with pytest.raises(OutputError, match="no space left"):
        recording.finish()
    assert list(tmp_path.iterdir()) == []


def test_frames_are_dropped_while_the_encoder_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    gate, write = threading.Event(), camera_record.VideoWriter.write

    def slow(self: camera_record.VideoWriter, item: object) -> None:
        gate.wait(60)
        write(self, item)  # type: ignore[arg-type]

    monkeypatch.setattr(camera_record.VideoWriter, "write", slow)
    recording = Recorder(tmp_path / "live.mp4", SIZE, 20.0, threads=1)
    put_many(recording, 40)
    gate.set()
    made = recording.finish()
    assert made is not None
    assert made.frames + made.dropped == 40
    assert made.dropped >= 40 - camera_record._WAITING - 2
    recording.put(grey(1), 9.0)  # too late, and no harm


def test_what_exists_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "live.mp4").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        recorder(tmp_path / "live.mp4")
    with pytest.raises(OptionError, match=r"accepted are \.mp4"):
        check_recording(tmp_path / "live.gif", force=False)
    recording = recorder(tmp_path / "live.mp4", force=True)
    recording.put(grey(3), 0.0)
    assert recording.finish() is not None
    assert (tmp_path / "live.mp4").read_bytes() != b"mine"


def test_snapshots_take_new_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_record.time, "strftime", lambda form: "fststyle-now")
    folder = tmp_path / "new"
    paths = [snapshot(grey(level), folder) for level in (10, 20, 30)]
    assert [path.name for path in paths] == ["fststyle-now.png", "fststyle-now-2.png", "fststyle-now-3.png"]
    assert [int(load_rgb(path)[0, 0, 0]) for path in paths] == [10, 20, 30]
    assert free_name(folder, ".mp4").name == "fststyle-now.mp4"


def test_a_snapshot_that_somebody_was_quicker_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter([tmp_path / "taken.png", tmp_path / "free.png"])
    (tmp_path / "taken.png").write_bytes(b"mine")
    monkeypatch.setattr(camera_record, "free_name", lambda folder, suffix: next(names))
    assert snapshot(grey(1), tmp_path) == tmp_path / "free.png"
    assert (tmp_path / "taken.png").read_bytes() == b"mine"


def test_a_snapshot_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make the folder"):
        snapshot(grey(1), tmp_path / "file")
