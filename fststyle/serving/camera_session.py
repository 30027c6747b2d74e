"""What a user can do while the live picture runs, whether by a key or from the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fststyle.errors import FststyleError, OptionError
from fststyle.serving.camera import Wishes, open_camera
from fststyle.serving.camera_loop import Controls, Live, LiveSettings, View
from fststyle.serving.camera_record import RECORDING_SUFFIX, Recorder, Recording, free_name, snapshot
from fststyle.serving.camera_styles import StyleShelf
from fststyle.serving.camera_virtual import VirtualCamera
from fststyle.serving.regions import MaskedStylizer

STRENGTH_STEP = 0.1
FADE_STEP = 0.1
"""Of the way from one style to the next."""
_NOTICE_SECONDS = 4.0
_POLL = 0.1  # seconds


@dataclass(frozen=True, kw_only=True)
class Keep:
    """What becomes of the pictures besides being shown. ``folder``: where snapshots go, and recordings that have no
    name; ``record``: the file to record into from the start, replaced if ``force``.
    """

    folder: Path = Path()
    record: Path | None = None
    force: bool = False
    virtual_camera: bool = False


@contextmanager
def open_session(
    source: str,
    wishes: Wishes,
    shelf: StyleShelf,
    controls: Controls,
    settings: LiveSettings,
    keep: Keep,
    masked: MaskedStylizer | None = None,
) -> Iterator[Session]:
    """A session that runs while the block does; ``masked`` as in :class:`~fststyle.serving.camera_loop.Live`.

    :raises InputError: the camera ``source`` cannot be used, or a mask has not its picture's shape.
    :raises OutputError: the recording cannot be written; what was recorded before another error is kept.
    :raises DependencyError: pyvirtualcam is missing.
    :raises DeviceError: there is no virtual camera, or no memory for the network.
    """
    camera = open_camera(source, wishes)
    live = Live(camera, shelf, controls, settings, masked)
    try:
        if masked is not None:
            masked.check_shape(camera.size, f"the picture of {camera.name}")
        virtual = VirtualCamera(camera.size, camera.rate) if keep.virtual_camera else None
        with Session(live, folder=keep.folder, every_frame=settings.every_frame, virtual=virtual) as session:
            if keep.record is not None:
                session.start_recording(keep.record, force=keep.force)
            with live:
                yield session
    finally:
        live.release()


def run_headless(session: Session) -> None:
    """Until the camera ends or the session is asked to; errors as :meth:`~fststyle.serving.camera_loop.Live.views`."""
    for view in session.live.views(_POLL):
        session.last = view or session.last
        if session.leaving:
            return


class Session:
    """A running camera and what is kept of it; a context manager, at whose end a recording is finished.

    ``overlay``, ``help`` and ``fullscreen`` are for a window, ``leaving`` asks whoever shows the picture to end.
    """

    def __init__(
        self, live: Live, *, folder: Path, every_frame: bool = False, virtual: VirtualCamera | None = None
    ) -> None:
        self.live, self.folder = live, folder
        self._every_frame, self._virtual = every_frame, virtual
        self._recorder: Recorder | None = None
        self._notice, self._noticed = "", 0.0
        self.recordings: list[Recording] = []
        self.snapshots: list[Path] = []
        self.last: View | None = None
        self.overlay, self.help, self.fullscreen, self.leaving = True, False, False, False
        live.shelf.told = self.tell
        self._connect()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        try:
            self.stop_recording()
        except FststyleError:
            if kind is None:  # else the reason why the picture ended is on its way
                raise
        finally:
            self.live.sinks = ()
            if self._virtual is not None:
                self._virtual.close()

    @property
    def recording(self) -> bool:
        return self._recorder is not None

    @property
    def notice(self) -> str:
        """What happened last, for some seconds."""
        return self._notice if time.monotonic() - self._noticed < _NOTICE_SECONDS else ""

    def tell(self, text: str) -> None:
        self._notice, self._noticed = text, time.monotonic()

    def leave(self) -> None:
        """Safe to call from a signal's handler."""
        self.leaving = True

    def step_style(self, by: int) -> None:
        """Ends the timeline, as :meth:`fade_style`: the style is now the user's.

        :raises OptionError: there is no style but the regions'.
        """
        self._check_main()
        self.live.shelf.step(by)
        self.live.controls.timeline = False

    def fade_style(self, by: float) -> None:
        """Go ``by`` of the way to the next style in the row, or back where that is negative.

        :raises OptionError: the two are not of one palette, or there is no style but the regions'.
        """
        self._check_main()
        self.live.shelf.fade(by)
        self.live.controls.timeline = False

    def toggle_timeline(self) -> None:
        """:raises OptionError: there is none."""
        if self.live.timeline is None:
            raise OptionError("there is no timeline; --timeline gives one")
        self.live.controls.timeline = not self.live.controls.timeline

    def change_strength(self, by: float) -> None:
        look = self.live.controls.look
        strength = round(min(1.0, max(0.0, look.strength + by)), 3)
        self.live.controls.look = replace(look, strength=strength)

    def toggle_colours(self) -> None:
        look = self.live.controls.look
        self.live.controls.look = replace(look, keep_color=not look.keep_color)

    def toggle_mirror(self) -> None:
        self.live.controls.mirror = not self.live.controls.mirror

    def toggle_masks(self) -> None:
        """:raises OptionError: there are none."""
        if self.live.masked is None:
            raise OptionError("there are no masks; --mask, --region and --mask-model give them")
        self.live.controls.masks = not self.live.controls.masks

    def take_snapshot(self) -> None:
        """Of the picture shown last; :class:`~fststyle.errors.OutputError` if it cannot be written."""
        if self.last is not None:
            self.snapshots.append(snapshot(self.last.pixels, self.folder))
            self.tell(f"saved {self.snapshots[-1]}")

    def toggle_recording(self) -> None:
        """Errors are those of :class:`~fststyle.serving.camera_record.Recorder`."""
        if self.recording:
            self.stop_recording()
        else:
            self.start_recording(free_name(self.folder, RECORDING_SUFFIX))

    def start_recording(self, path: Path, *, force: bool = False) -> None:
        camera = self.live.camera
        threads = self.live.shelf.current.engine.threads
        self._recorder = Recorder(
            path, camera.size, camera.rate, threads=threads, force=force, lossless=self._every_frame
        )
        self._connect()

    def stop_recording(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        self._connect()
        made = recorder.finish()
        if made is not None:
            self.recordings.append(made)
            self.tell(f"saved {made.path}")

    def _check_main(self) -> None:
        masked = self.live.masked
        if masked is not None and masked.main is None and self.live.controls.masks:
            raise OptionError("no --style is given for what no region covers, so that there is none to change")

    def _connect(self) -> None:
        recorder, virtual = self._recorder, self._virtual
        sinks: list[Callable[[View], None]] = []
        if recorder is not None:
            sinks.append(lambda view: recorder.put(view.pixels, view.at))
        if virtual is not None:
            sinks.append(lambda view: virtual.put(view.pixels))
        self.live.sinks = tuple(sinks)
