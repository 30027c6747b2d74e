import json
import re
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

from fststyle.cli.main import main  # noqa: E402


@pytest.fixture(autouse=True)
def _tiny_style(styles_folder: Path) -> None:
    """``--style tiny`` is there in every test."""


def write_clip(path: Path, frames: int = 8, size: tuple[int, int] = (64, 48)) -> Path:
    """A gradient that moves, ten frames a second."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = size
        for number in range(frames):
            picture = np.stack([(columns + number * 3) % 256, rows * 4 % 256, columns * 2 % 256], axis=-1)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


def video(*arguments: str | Path) -> int:
    return main(["video", "--style", "tiny", "--device", "cpu", "--threads", "1", *map(str, arguments)])


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_video(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert video(clip, "-o", tmp_path / "out.mp4") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{clip} -> {tmp_path / 'out.mp4'} (64 x 48, 8 frames, 0.80 s, h264; ")
    assert printed.err == ""
    assert frames_in(tmp_path / "out.mp4") == 8


def test_json_and_options(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--start", "0:00.2", "--end", "0.6", "--max-size", "32", "--codec", "vp9", "--quality", "40"]
    assert video(clip, "-o", tmp_path / "out.mkv", *options, "--stabilize", "--keep-color", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report.pop("took") > 0
    assert {"decode", "network", "colour", "stabilize", "encode"} <= report.pop("milliseconds").keys()
    assert report == {
        "input": str(clip),
        "output": str(tmp_path / "out.mkv"),
        "style": "tiny",
        "size": [32, 24],
        "frames": 4,
        "skipped": 0,
        "resumed": 0,
        "rate": 10.0,
        "seconds": 0.4,
        "codec": "vp9",
        "cuts": 0,
        "copied": [],
        "left_out": [],
        "provider": "CPUExecutionProvider",
    }
    assert frames_in(tmp_path / "out.mkv") == 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["out.avi"], 2, "got '.avi', accepted are .mp4, .m4v, .mov, .mkv, .webm"),
        (["out"], 2, "got no suffix"),
        (["out.webm", "--codec", "h264"], 2, "takes vp9, av1, not h264; h264 goes into .mp4, .m4v, .mov, .mkv"),
        (["out.mp4", "--codec", "h265"], 2, "'h264', 'hevc', 'vp9', 'av1'"),
        (["out.mp4", "--quality", "52"], 2, "must be 0 (best) to 51, got 52"),
        (["out.mp4", "--start", "1:2:3:4"], 2, "accepted are seconds, MM:SS and HH:MM:SS"),
        (["out.mp4", "--start", "noon"], 2, "'noon' is no time"),
        (["out.mp4", "--start", "5", "--end", "4"], 2, "end must lie behind start, got 5 to 4 s"),
        (["out.mp4", "--strength", "2"], 2, "strength must be 0 to 1"),
        (["missing/out.mp4"], 4, "No such file or directory"),
        (["clip.mp4", "--force"], 2, "inputs are never touched"),
        (["clip.mp4"], 2, "inputs are never touched"),
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
    monkeypatch.chdir(clip.parent)
    content = clip.read_bytes()
    assert video("clip.mp4", "-o", *arguments) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["clip.mp4"]
    assert clip.read_bytes() == content


def test_without_pyav_the_error_names_the_extra(clip: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['av'] = None; from fststyle.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "video", str(clip), "-o", str(tmp_path / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 8
    assert done.stderr == 'fststyle: error: videos need PyAV, which is not installed: pip install "fststyle[video]"\n'


def start(*arguments: str | Path, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fststyle", "video", "--style", "tiny", "--device", "cpu", "--threads", "1"]
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_stops_cleanly(tmp_path: Path, number: signal.Signals, code: int, message: str) -> None:
    clip = write_clip(tmp_path / "long.mp4", 250, (160, 120))
    (tmp_path / "out").mkdir()
    process = start(clip, "-o", tmp_path / "out" / "out.mp4")
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 0 for path in (tmp_path / "out").iterdir()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, printed = process.communicate(timeout=30)
    assert process.returncode == code, printed
    assert printed.strip() == f"fststyle: error: {message}"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, output = write_clip(tmp_path / "long.mp4", 600), tmp_path / "out" / "out.mp4"
    output.parent.mkdir()
    process = start(clip, "-o", output, "--resume")
    deadline = time.monotonic() + 60
    while len(list(output.parent.glob(".*/*.packets"))) < 2:  # once the second has begun, the first is whole
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not output.exists()
    assert video(clip, "-o", output, "--resume") == 0
    printed = capsys.readouterr()
    taken = re.search(r"(\d+) frames were taken over", printed.err)
    assert taken is not None
    assert 0 < int(taken[1]) < 600
    assert frames_in(output) == 600
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4"]


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # which Windows has not
    clip = write_clip(tmp_path / "clip.mp4", 30, (320, 240))

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    process = start(clip, "-o", tmp_path / "out.mp4", "--quality", "0", preexec_fn=small_files)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 4, printed
    assert printed == f"fststyle: error: cannot write {tmp_path / 'out.mp4'}: file too large\n"
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "styles"}


@pytest.fixture
def palette(styles_folder: Path, palette_file: Path) -> Path:
    """The styles ``dawn`` and ``dusk`` beside ``tiny``."""
    return Path(shutil.copyfile(palette_file, styles_folder / "pair.onnx"))


@pytest.mark.parametrize("more", [[], ["--stabilize", "--strength", "0.5", "--blend", "network"]])
def test_a_timeline(
    palette: Path, clip: Path, tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--timeline", "0 dawn; 0:00.5 dawn:1,dusk:1", "--device", "cpu", "--threads", "1", "--json"]
    assert main(["video", str(clip), "-o", str(tmp_path / "out.mp4"), *options, *more]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["timeline"] == "0 dawn:1; 0.5 dawn:1,dusk:1"
    assert "style" not in told
    assert frames_in(tmp_path / "out.mp4") == 8


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--timeline", "0 dawn", "--style", "dusk"], 2, "--timeline takes the place of --style"),
        (["--timeline", "0 dawn; 9 dusk; 3 dawn"], 2, "the times of a timeline must rise, got 3 s after 9 s"),
        (["--timeline", "noon dawn"], 2, "'noon' is no time"),
        (["--timeline", "0 dawn, 3 dusk"], 2, "separated by semicolons"),
        (["--timeline", "0 dawn; 3 dusq"], 5, "did you mean 'dusk'?"),
        (["--timeline", "0 dawn; 3 tiny"], 5, "no palette holds a style named 'tiny'"),
        (["--style", "tiny", "--blend", "network"], 2, "tiny is a network of one style"),
        (["--style", "dawn:1,tiny:1"], 5, "no palette holds a style named 'tiny'"),
    ],
)
def test_what_no_palette_can_do_is_one_line(
    palette: Path,
    clip: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert main(["video", str(clip), "-o", str(tmp_path / "out.mp4"), "--device", "cpu", *arguments]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists()


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``left.png`` has the clip's shape, ``tall.png`` has not; they lie where the command runs."""
    monkeypatch.chdir(tmp_path)
    left = np.zeros((24, 32), np.uint8)
    left[:, :16] = 255
    Image.fromarray(left).save("left.png")
    Image.fromarray(left.T.copy()).save("tall.png")


@pytest.mark.parametrize(
    ("arguments", "style", "mask", "regions"),
    [
        (["--style", "tiny", "--mask", "left.png", "--feather", "2"], "tiny", "left.png", []),
        (["--style", "tiny", "--region", "left.png=dawn"], "tiny", None, [("left.png", "dawn")]),
        (
            ["--region", "left.png=dawn:1,dusk:3", "--region", "left.png=tiny", "--stabilize"],
            "dawn:1,dusk:3+tiny",
            None,
            [("left.png", "dawn:1,dusk:3"), ("left.png", "tiny")],
        ),
    ],
)
def test_masks(
    palette: Path,
    masks: None,
    clip: Path,
    arguments: list[str],
    style: str,
    mask: str | None,
    regions: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["video", "clip.mp4", "-o", "out.mp4", "--device", "cpu", "--threads", "1", "--json", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["style"], told["mask"]) == (style, mask)
    assert [tuple(region.values()) for region in told["regions"]] == regions
    assert {"mask", "compose"} <= told["milliseconds"].keys()
    assert frames_in(Path("out.mp4")) == 8


def test_a_timeline_over_a_region(palette: Path, masks: None, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--timeline", "0 dawn; 0.5 dusk", "--region", "left.png=photo", "--device", "cpu", "--json"]
    assert main(["video", "clip.mp4", "-o", "out.mp4", *options]) == 0
    assert json.loads(capsys.readouterr().out)["timeline"] == "0 dawn:1; 0.5 dusk:1"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mask", "tall.png"], 3, "tall.png has 24 x 32 pixels and the video's frames, upright, 64 x 48"),
        (["--region", "tall.png=tiny"], 3, "a mask may have another size, but not another shape"),
        (["--mask", "none.png"], 3, "cannot read none.png"),
        (["--region", "left.png=photo"], 2, "all regions are the photo as it is"),
        (["--region", "left.png=tinny"], 5, "did you mean 'tiny'?"),
        (["--region", "person=tiny"], 2, "person is what a --mask-model finds"),
        (["--mask-model", "m.onnx"], 6, "cannot read the mask model m.onnx"),
        (["--style", "dawn", "--region", "left.png=tiny", "--blend", "network"], 2, "tiny is a network of one style"),
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
    assert main(["video", "clip.mp4", "-o", "out.mp4", "--device", "cpu", "--resume", "--json", *arguments]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not list(Path().glob("*out*"))


def test_a_mask_is_refused_before_a_style_is_loaded(
    masks: None, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fststyle.cli.video.Stylizer", None)  # whoever makes one fails
    assert video("clip.mp4", "-o", "out.mp4", "--mask", "tall.png") == 3
    assert "another shape" in capsys.readouterr().err
