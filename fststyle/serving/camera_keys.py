"""The keys of the camera's window: one table, and one function for each line of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fststyle.errors import FststyleError
from fststyle.serving.camera_session import FADE_STEP, STRENGTH_STEP, Session


@dataclass(frozen=True)
class Key:
    """``names``: characters, or names in :data:`CODES`; ``does``: for the help."""

    names: tuple[str, ...]
    does: str
    act: Callable[[Session], None]


def next_style(session: Session) -> None:
    session.step_style(1)


def previous_style(session: Session) -> None:
    session.step_style(-1)


def towards_next(session: Session) -> None:
    session.fade_style(FADE_STEP)


def towards_previous(session: Session) -> None:
    session.fade_style(-FADE_STEP)


def timeline(session: Session) -> None:
    session.toggle_timeline()


def stronger(session: Session) -> None:
    session.change_strength(STRENGTH_STEP)


def weaker(session: Session) -> None:
    session.change_strength(-STRENGTH_STEP)


def original_colours(session: Session) -> None:
    session.toggle_colours()


def mirror(session: Session) -> None:
    session.toggle_mirror()


def masks(session: Session) -> None:
    session.toggle_masks()


def take_snapshot(session: Session) -> None:
    session.take_snapshot()


def record(session: Session) -> None:
    session.toggle_recording()


def fullscreen(session: Session) -> None:
    session.fullscreen = not session.fullscreen


def figures(session: Session) -> None:
    session.overlay = not session.overlay


def show_help(session: Session) -> None:
    session.help = not session.help


def leave(session: Session) -> None:
    session.leave()


KEYS: tuple[Key, ...] = (
    Key(("n", "right"), "next style", next_style),
    Key(("p", "left"), "previous style", previous_style),
    Key((".", ">"), "mix in the next style", towards_next),
    Key((",", "<"), "mix in the previous style", towards_previous),
    Key(("t",), "timeline on/off", timeline),
    Key(("+", "=", "up"), "more style", stronger),
    Key(("-", "down"), "less style", weaker),
    Key(("c",), "original colours", original_colours),
    Key(("m",), "mirror", mirror),
    Key(("k",), "masks on/off", masks),
    Key(("s", "space"), "snapshot", take_snapshot),
    Key(("r",), "record on/off", record),
    Key(("f", "F11"), "fullscreen", fullscreen),
    Key(("o",), "figures on/off", figures),
    Key(("h", "?"), "this help", show_help),
    Key(("q", "esc"), "quit", leave),
)

CODES: dict[str, tuple[int, ...]] = {
    "space": (32,),
    "esc": (27,),
    # X11's keysym, the code of Windows, that of macOS.
    "left": (0xFF51, 0x250000, 0xF702),
    "up": (0xFF52, 0x260000, 0xF700),
    "right": (0xFF53, 0x270000, 0xF703),
    "down": (0xFF54, 0x280000, 0xF701),
    "F11": (0xFFC8, 0x7A0000, 0xF70E),
}
"""What OpenCV reports for keys that are no character."""
_CHARACTERS = 0xFFFF  # above it, some systems report the state of Num Lock and the like


def key_for(code: int) -> Key | None:
    """The line of the table for what ``cv2.pollKey`` returned, a negative number where no key was pressed."""
    if code < 0:
        return None
    named = next((name for name, codes in CODES.items() if code in codes or code & _CHARACTERS in codes), None)
    name = named or chr(code & _CHARACTERS).lower()
    return next((key for key in KEYS if name in key.names), None)


def press(code: int, session: Session) -> None:
    """Does what the key is for; what goes wrong is told in the picture, which goes on."""
    key = key_for(code)
    if key is None:
        return
    try:
        key.act(session)
    except FststyleError as error:
        session.tell(str(error))
