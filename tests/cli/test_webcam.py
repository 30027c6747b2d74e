import json
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")
pytest.importorskip("cv2")

from fststyle.cli.main import main  # noqa: E402

OPTIONS = ["--style", "tiny", "--device", "cpu", "--threads", "1", "--headless"]


@pytest.fixture(autouse=True)
def _tiny_style(styles_folder: Path) -> None:
    """``--style tiny`` is there in every test."""


def write_clip(path: Path, frames: int = 8) -> Path:
    """Noise of 64 x 48 px, twenty frames a second."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height = 64, 48
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 20)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


def webcam(*arguments: str | Path) -> int:
    return main(["webcam", *OPTIONS, *map(str, arguments)])


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_video_as_camera_recorded(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = tmp_path / "live.mp4"
    assert webcam("--camera", clip, "--every-frame", "--record", live, "--mirror", "--stabilize") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    first, second = printed.out.splitlines()
    assert first.startswith(f"{clip}, 64 x 48: 8 pictures in ")
    assert ", 0 of 8 frames dropped; latency " in first
    assert second.startswith(f"{live}: 8 frames, ")
    assert frames_in(live) == 8


def test_figures_as_json(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert webcam("--camera", clip, "--every-frame", "--frames", "5", "--max-size", "32", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("seconds") > 0
    assert told.pop("fps") > 0
    assert told.pop("network") > 0
    latency = told.pop("latency")
    assert latency["mean"] > 0
    assert latency["p95"] > 0
    captured = told.pop("captured")
    assert 5 <= captured <= 8
    assert told == {
        "camera": str(clip),
        "size": [64, 48],
        "style": "tiny",
        "dropped": 0,
        "stylised": 5,
        "shown": 5,
        "working_size": [32, 24],
        "recordings": [],
        "snapshots": [],
        "provider": "CPUExecutionProvider",
    }


def test_the_generated_feed_for_some_time(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--camera", "synthetic", "--size", "64x48", "--camera-fps", "50", "--target-fps", "30"]
    assert webcam(*options, "--seconds", "0.5", "--keep-color", "--strength", "0.5") == 0
    assert capsys.readouterr().out.startswith("synthetic, 64 x 48: ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--camera", "9973"], 3, "there is no camera 9973"),
        (["--camera", "missing.mp4"], 3, "no such file"),
        (["--camera", "gopher://x"], 2, "a stream's address begins with"),
        (["--camera", "0", "--every-frame"], 2, "only a file and synthetic can wait"),
        (
            ["--camera", "synthetic", "--size", "large"],
            2,
            "'large' is no width x height in pixels",
        ),
        (["--camera", "synthetic", "--size", "8x8"], 2, "must be 16 to 16384 pixels a side"),
        (["--camera", "synthetic", "--target-fps", "0"], 2, "target_fps must be above 0"),
        (["--camera", "synthetic", "--strength", "2"], 2, "strength must be 0 to 1"),
        (["--camera", "synthetic", "--record", "live.gif"], 2, "accepted are .mp4"),
        (["--camera", "synthetic", "--record", "clip.mp4"], 4, "exists already"),
        (["--camera", "synthetic", "--record", "no/live.mp4", "--frames", "1"], 4, "No such file or directory"),
        (["--camera", "synthetic", "--style", "tinny"], 5, "did you mean 'tiny'?"),
    ],
)
def test_what_cannot_be_is_one_line(
    clip: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "9973" in arguments and not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells which cameras there are")
    monkeypatch.chdir(clip.parent)
    assert webcam(*arguments) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert {path.name for path in Path().iterdir()} == {"clip.mp4", "styles"}


@pytest.mark.parametrize(("package", "extra"), [("cv2", "camera"), ("av", "video")])
def test_without_a_package_the_error_names_the_extra(package: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules['{package}'] = None; from fststyle.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, "webcam", *OPTIONS], capture_output=True, text=True)
    assert done.returncode == 8
    assert f'which is not installed: pip install "fststyle[{extra}]"' in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_finishes_the_recording(tmp_path: Path, number: signal.Signals, code: int, message: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    options = ["--camera", "synthetic", "--camera-fps", "200", "--record", folder / "live.mkv", "--strength", "0"]
    command = [sys.executable, "-m", "fststyle", "webcam", *OPTIONS, *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not any(path.stat().st_size > 0 for path in folder.iterdir()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        printed, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert errors.strip() == f"fststyle: error: {message}"
    assert [path.name for path in folder.iterdir()] == ["live.mkv"]
    assert f"live.mkv: {frames_in(folder / 'live.mkv')} frames, " in printed


def test_a_camera_that_fails_leaves_a_whole_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken, live = write_clip(tmp_path / "broken.mkv", 80), tmp_path / "live.mp4"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    assert webcam("--camera", broken, "--every-frame", "--strength", "0", "--record", live) == 3
    printed = capsys.readouterr()
    assert "is cut short" in printed.err
    assert f"{live}: {frames_in(live)} frames, " in printed.out
    assert 10 < frames_in(live) < 80


@pytest.fixture
def palette(styles_folder: Path, palette_file: Path) -> Path:
    """The styles ``dawn`` and ``dusk`` beside ``tiny``."""
    return Path(shutil.copyfile(palette_file, styles_folder / "pair.onnx"))


def test_a_timeline_and_a_mix(palette: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--camera", str(clip), "--every-frame", "--device", "cpu", "--threads", "1", "--headless", "--json"]
    weak = ["--strength", "0.5", "--blend", "network"]
    assert main(["webcam", *options, *weak, "--timeline", "0 dusk; 0.2 dawn; 0.3 dusk"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["timeline"], told["stylised"]) == ("0 dusk:1; 0.2 dawn:1; 0.3 dusk:1", 8)
    assert main(["webcam", *options, *weak, "--style", "dawn:3,dusk:1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["style"], told["stylised"]) == ("dawn:3,dusk:1", 8)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--timeline", "0 dawn; 3 tiny"], 5, "no palette holds a style named 'tiny'"),
        (["--timeline", "3 dawn; 2 dusk"], 2, "the times of a timeline must rise"),
        (["--timeline", "3 dawn", "--style", "tiny"], 2, "--timeline takes the place of --style"),
        (["--style", "tiny", "--blend", "network"], 2, "tiny is a network of one style"),
    ],
)
def test_what_no_palette_can_do_is_one_line(
    palette: Path, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["webcam", "--camera", "synthetic", "--headless", "--device", "cpu", *arguments]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``left.png`` has the clip's shape, ``tall.png`` has not; they lie where the command runs."""
    monkeypatch.chdir(tmp_path)
    left = np.zeros((24, 32), np.uint8)
    left[:, :16] = 255
    Image.fromarray(left).save("left.png")
    Image.fromarray(left.T.copy()).save("tall.png")


LIVE = ["webcam", "--camera", "clip.mp4", "--every-frame", "--headless", "--device", "cpu", "--threads", "1", "--json"]


@pytest.mark.parametrize(
    ("arguments", "style", "mask"),
    [
        (["--style", "tiny", "--mask", "left.png", "--feather", "2", "--max-size", "32"], "tiny", "left.png"),
        (["--style", "tiny", "--region", "left.png=dawn", "--stabilize", "--mirror"], "tiny", None),
        (["--region", "left.png=dawn", "--region", "left.png=tiny"], "dawn+tiny", None),
        (["--timeline", "0 dusk; 1 dawn", "--region", "left.png=photo"], "dusk", None),
    ],
)
def test_masks(
    palette: Path,
    masks: None,
    clip: Path,
    arguments: list[str],
    style: str,
    mask: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*LIVE, *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["style"], told["mask"], told["stylised"]) == (style, mask, 8)
    assert len(told["regions"]) == arguments.count("--region")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mask", "tall.png"], 3, "tall.png has 24 x 32 pixels and the picture of clip.mp4 64 x 48"),
        (["--mask", "none.png"], 3, "cannot read none.png"),
        (["--region", "left.png=photo"], 2, "all regions are the photo as it is"),
        (["--style", "dawn", "--region", "left.png=tiny", "--blend", "network"], 2, "tiny is a network of one style"),
        (["--mask-model", "styles/tiny.onnx"], 6, "accepted are networks that take one picture"),
    ],
)
def test_masks_that_cannot_be_are_one_line(
    palette: Path,
    masks: None,
    clip: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*LIVE, *arguments]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
