"""The window with the live picture, and what is written over it. For the main thread alone, as window systems ask."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import DeviceError
from fststyle.serving.camera_keys import KEYS, press
from fststyle.serving.camera_opencv import check_windows, cv2
from fststyle.serving.camera_session import Session

Pixels = NDArray[np.uint8]
TITLE = "fststyle"
_POLL = 0.02  # seconds; how long a key may wait for its turn
_LARGEST = (1280, 720)
_X11_PORT = 6000
_WHITE, _LINE = (255, 255, 255), 22


def check_display() -> None:
    """To be called first: where the display cannot be reached, opening a window would abort the process.

    :raises DependencyError: this build of OpenCV has no windows.
    :raises DeviceError: there is no display.
    """
    check_windows()
    if not sys.platform.startswith("linux"):
        return
    display = os.environ.get("DISPLAY", "")
    if not display:
        raise DeviceError("there is no display for a window (DISPLAY is not set); --headless runs without one")
    if not _reachable(display):
        raise DeviceError(f"the display {display} cannot be reached; --headless runs without a window")


def run_window(session: Session) -> None:
    """Shows the pictures until the camera ends, the window is closed or a key says so; errors as ``Live.views``."""
    window = Window(session.live.camera.size)
    try:
        for view in session.live.views(_POLL):
            if view is not None:
                session.last = view
                window.show(
                    view.pixels, status(session) if session.overlay else [], help_lines() if session.help else []
                )
            press(window.key(), session)
            if session.leaving or window.closed:
                return
            window.fullscreen(session.fullscreen)
    finally:
        window.close()


class Window:
    """A window of OpenCV's."""

    def __init__(self, size: tuple[int, int]) -> None:
        """``size``: (width, height) of the pictures; the window begins with it, or smaller."""
        self._fullscreen = False
        self._shown = False
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        scale = min(1.0, _LARGEST[0] / size[0], _LARGEST[1] / size[1])
        cv2.resizeWindow(TITLE, round(size[0] * scale), round(size[1] * scale))

    def show(self, pixels: Pixels, lower: Sequence[str], upper: Sequence[str]) -> None:
        """uint8 [H, W, 3] RGB with lines of text at its lower and upper edge, on the screen after :meth:`key`."""
        picture = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)
        write_lines(picture, lower, upper)
        cv2.imshow(TITLE, picture)
        self._shown = True

    def key(self) -> int:
        """Lets the window system work; the key that was pressed, below 0 if there is none."""
        return cv2.pollKey()

    @property
    def closed(self) -> bool:
        try:
            return self._shown and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # with Qt, where the last window is gone
            return True

    def fullscreen(self, wanted: bool) -> None:
        if wanted != self._fullscreen:
            state = cv2.WINDOW_FULLSCREEN if wanted else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(TITLE, cv2.WND_PROP_FULLSCREEN, state)
            self._fullscreen = wanted

    def close(self) -> None:
        with contextlib.suppress(cv2.error):  # the user has closed it
            cv2.destroyAllWindows()
            cv2.pollKey()


def status(session: Session) -> list[str]:
    """What the window tells of a running session, a line for each part."""
    live, view = session.live, session.last
    look, figures = live.controls.look, live.figures
    parts = [_style_line(session)]
    parts.append(f"strength {look.strength:.1f}")
    parts += ["original colours"] if look.keep_color else []
    parts += ["mirrored"] if live.controls.mirror else []
    parts += ["without masks"] if live.masked is not None and not live.controls.masks else []
    parts += ["REC"] if session.recording else []
    lines = [", ".join(parts)]
    if view is not None:
        width, height = view.worked_at
        lines.append(
            f"{figures.rate:.1f} fps, latency {figures.latency * 1000:.0f} ms, "
            f"network {view.network * 1000:.0f} ms at {width} x {height}; h: help"
        )
    return [session.notice, *lines] if session.notice else lines


def _style_line(session: Session) -> str:
    live, view = session.live, session.last
    if live.follows_timeline:
        return f"{view.style} (timeline)" if view is not None else "timeline"
    style, coming = live.shown(live.shelf.current).style.name, live.shelf.coming
    return style if coming in (None, style) else f"{style} (loading {coming})"


def help_lines() -> list[str]:
    return [f"{', '.join(key.names)}: {key.does}" for key in KEYS]


def write_lines(picture: Pixels, lower: Sequence[str], upper: Sequence[str]) -> None:
    """Into uint8 [H, W, 3], in place: light letters on a darkened ground, in proportion to the height."""
    height = picture.shape[0]
    scale = max(0.4, height / 480)
    step = round(_LINE * scale)
    _write_block(picture, upper, 0, step, scale)
    _write_block(picture, lower, height - step * len(lower) - step // 2, step, scale)


def _write_block(picture: Pixels, lines: Sequence[str], top: int, step: int, scale: float) -> None:
    if not lines:
        return
    font, size, thickness, margin = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, max(1, round(scale)), round(8 * scale)
    width = 2 * margin + max(cv2.getTextSize(text, font, size, thickness)[0][0] for text in lines)
    ground = picture[max(0, top) : top + step * len(lines) + step // 2, :width]
    ground //= 3
    for number, text in enumerate(lines, start=1):
        cv2.putText(picture, text, (margin, top + step * number), font, size, _WHITE, thickness, cv2.LINE_AA)


def _reachable(display: str) -> bool:
    """Whether an X server listens at ``host:number.screen``."""
    match = re.fullmatch(r"(.*):(\d+)(?:\.\d+)?", display)
    if match is None:
        return True  # a form that is not known here: the window system shall judge
    host, number = match[1], int(match[2])
    if host and host != "unix" and not host.startswith("/"):
        return _connects(socket.AF_INET, (host, _X11_PORT + number))
    path = f"/tmp/.X11-unix/X{number}" if not host.startswith("/") else f"{host}:{number}"
    return _connects(socket.AF_UNIX, path) or _connects(socket.AF_UNIX, f"\0{path}")


def _connects(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as server:
            server.settimeout(2)
            server.connect(address)
    except OSError:
        return False
    return True
