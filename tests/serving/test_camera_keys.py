"""The table of keys against a session whose camera stands still."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
av = pytest.importorskip("av")

from fststyle.images import load_rgb  # noqa: E402
from fststyle.serving.camera import Wishes, open_camera  # noqa: E402
from fststyle.serving.camera_keys import CODES, KEYS, key_for, press  # noqa: E402
from fststyle.serving.camera_loop import Controls, Live, LiveSettings, View  # noqa: E402
from fststyle.serving.camera_session import Session  # noqa: E402
from fststyle.serving.camera_styles import StyleShelf  # noqa: E402
from fststyle.serving.camera_window import help_lines, status, write_lines  # noqa: E402
from fststyle.serving.look import Look  # noqa: E402
from fststyle.serving.mix_timeline import parse_timeline  # noqa: E402
from fststyle.serving.regions import MaskedStylizer  # noqa: E402
from fststyle.serving.stylizer import Stylizer  # noqa: E402


@pytest.fixture
def session(tiny_style_file: Path, tmp_path: Path) -> Session:
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    shelf = StyleShelf("tiny", lambda name: stylizer, names=("tiny",))
    camera = open_camera("synthetic", Wishes(size=(64, 48)))
    session = Session(Live(camera, shelf, Controls(Look()), LiveSettings()), folder=tmp_path, every_frame=True)
    session.last = View(np.full((48, 64, 3), 99, np.uint8), 0.0, "tiny", (64, 48), 0.01)
    return session


def test_no_key_stands_for_two_things() -> None:
    names = [name for key in KEYS for name in key.names]
    assert len(names) == len(set(names))
    assert all(len(name) == 1 or name in CODES for name in names)


@pytest.mark.parametrize(
    ("code", "does"),
    [
        (ord("n"), "next style"),
        (ord("N"), "next style"),
        (0xFF53, "next style"),  # the arrow on X11
        (0x250000, "previous style"),  # on Windows
        (0x100000 + ord("p"), "previous style"),  # with Num Lock
        (32, "snapshot"),
        (27, "quit"),
        (ord("?"), "this help"),
    ],
)
def test_codes_find_their_line(code: int, does: str) -> None:
    key = key_for(code)
    assert key is not None
    assert key.does == does


@pytest.mark.parametrize("code", [-1, 0, ord("z"), 0xFFE1])
def test_other_codes_do_nothing(code: int) -> None:
    assert key_for(code) is None


def test_style_keys_ask_the_shelf(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(session.live.shelf, "step", steps.append)
    press(ord("n"), session)
    press(ord("p"), session)
    assert steps == [1, -1]


def test_strength_stays_between_none_and_full(session: Session) -> None:
    press(ord("+"), session)
    assert session.live.controls.look.strength == 1
    for _ in range(3):
        press(ord("-"), session)
    assert session.live.controls.look.strength == 0.7
    for _ in range(9):
        press(0xFF54, session)
    assert session.live.controls.look.strength == 0


def test_switches(session: Session) -> None:
    controls = session.live.controls
    for code in map(ord, "cmfoh"):
        press(code, session)
    assert (controls.look.keep_color, controls.mirror) == (True, True)
    assert (session.fullscreen, session.overlay, session.help) == (True, False, True)
    for code in map(ord, "cmfoh"):
        press(code, session)
    assert (controls.look.keep_color, controls.mirror) == (False, False)
    assert (session.fullscreen, session.overlay, session.help) == (False, True, False)
    press(ord("q"), session)
    assert session.leaving


def test_a_snapshot_is_the_picture_shown_last(session: Session) -> None:
    press(ord("s"), session)
    assert (load_rgb(session.snapshots[0]) == 99).all()
    assert session.notice == f"saved {session.snapshots[0]}"


def test_recordings_begin_and_end(session: Session) -> None:
    with session:
        for _ in range(2):
            press(ord("r"), session)
            assert session.recording
            for number in range(3):
                for sink in session.live.sinks:
                    sink(View(np.zeros((48, 64, 3), np.uint8), number / 10, "tiny", (64, 48), 0.0))
            press(ord("r"), session)
            assert not session.recording
            assert session.live.sinks == ()
    assert [made.frames for made in session.recordings] == [3, 3]
    assert len({made.path for made in session.recordings}) == 2
    for made in session.recordings:
        with av.open(str(made.path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 3


def test_a_recording_that_runs_is_finished_at_the_end(session: Session, tmp_path: Path) -> None:
    session.start_recording(tmp_path / "live.mp4")
    session.live.sinks[0](View(np.zeros((48, 64, 3), np.uint8), 0.0, "tiny", (64, 48), 0.0))
    with pytest.raises(ZeroDivisionError), session:
        raise ZeroDivisionError
    assert [made.frames for made in session.recordings] == [1]
    assert (tmp_path / "live.mp4").exists()


def test_what_goes_wrong_is_told_in_the_picture(session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    session.folder = tmp_path / "file"
    press(ord("s"), session)
    assert "cannot make the folder" in session.notice
    assert status(session)[0] == session.notice


def test_the_lines_of_the_window(session: Session) -> None:
    session.live.controls.look = Look(strength=0.5, keep_color=True)
    session.live.controls.mirror = True
    first, second = status(session)
    assert first == "tiny, strength 0.5, original colours, mirrored"
    assert "0.0 fps, latency 0 ms, network 10 ms at 64 x 48; h: help" in second
    session.live.shelf.coming = "wave"
    assert status(session)[0].startswith("tiny (loading wave), ")
    assert help_lines()[0] == "n, right: next style"
    assert len(help_lines()) == len(KEYS)


def test_lines_are_written_at_both_edges() -> None:
    picture = np.full((480, 640, 3), 128, np.uint8)
    write_lines(picture, ["below"], ["above"])
    rows = (picture != 128).any(axis=(1, 2))
    assert rows[:40].any()
    assert rows[440:].any()
    assert not rows[60:420].any()


def test_keys_that_mix_ask_the_shelf_and_end_the_timeline(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    monkeypatch.setattr(session.live.shelf, "fade", steps.append)
    for code in map(ord, ".>,<"):
        press(code, session)
    assert steps == [0.1, 0.1, -0.1, -0.1]
    assert not session.live.controls.timeline


def test_what_cannot_be_mixed_is_told(session: Session) -> None:
    press(ord("."), session)
    assert session.notice == "tiny and tiny cannot be mixed: they are not of one palette"


def test_without_a_timeline_its_key_says_so(session: Session) -> None:
    press(ord("t"), session)
    assert session.notice == "there is no timeline; --timeline gives one"


def test_a_timeline_runs_until_a_key_takes_over(palette_file: Path, tmp_path: Path) -> None:
    stylizer = Stylizer(palette_file, device="cpu", threads=1)
    shelf = StyleShelf("pair", lambda name: stylizer, names=("pair",))
    settings = LiveSettings(timeline=parse_timeline("0 dawn; 9 dusk"))
    live = Live(open_camera("synthetic", Wishes(size=(64, 48))), shelf, Controls(Look()), settings)
    session = Session(live, folder=tmp_path)
    assert status(session)[0] == "timeline, strength 1.0"
    session.last = View(np.full((48, 64, 3), 99, np.uint8), 0.0, "dawn:0.5,dusk:0.5", (64, 48), 0.01)
    assert status(session)[0] == "dawn:0.5,dusk:0.5 (timeline), strength 1.0"
    press(ord("t"), session)
    assert status(session)[0] == "pair, strength 1.0"
    press(ord("t"), session)
    assert live.follows_timeline
    press(ord("n"), session)
    assert not live.follows_timeline


def test_without_masks_their_key_says_so(session: Session) -> None:
    press(ord("k"), session)
    assert session.notice == "there are no masks; --mask, --region and --mask-model give them"
    assert session.live.controls.masks


def test_masks_are_taken_away_and_laid_on_again(session: Session) -> None:
    current = session.live.shelf.current
    session.live.masked = MaskedStylizer(current, np.zeros((48, 64), np.uint8))
    press(ord("k"), session)
    assert status(session)[0] == "tiny, strength 1.0, without masks"
    assert session.live.shown(current) is current
    press(ord("k"), session)
    assert status(session)[0] == "tiny, strength 1.0"
    assert isinstance(session.live.shown(current), MaskedStylizer)


def test_without_a_main_style_there_is_none_to_change_while_masks_are_on(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[float] = []
    monkeypatch.setattr(session.live.shelf, "step", steps.append)
    monkeypatch.setattr(session.live.shelf, "fade", steps.append)
    session.live.masked = MaskedStylizer(None, regions=[(np.zeros((48, 64), np.uint8), session.live.shelf.current)])
    for code in map(ord, "np.,"):
        press(code, session)
        assert session.notice == "no --style is given for what no region covers, so that there is none to change"
    assert steps == []
    press(ord("k"), session)
    press(ord("n"), session)
    assert steps == [1]
