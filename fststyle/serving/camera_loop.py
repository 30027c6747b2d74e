"""Camera -> network -> picture, each in a thread of its own, and only ever the newest frame."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import OptionError
from fststyle.images import Picture
from fststyle.serving.camera import Camera, Shot
from fststyle.serving.camera_figures import Figures
from fststyle.serving.camera_opencv import cv2
from fststyle.serving.camera_pace import SizeController, patience
from fststyle.serving.camera_size import fitted, scaled, sharpened
from fststyle.serving.camera_slot import EndedError, Newest
from fststyle.serving.camera_styles import StyleShelf, run_once
from fststyle.serving.look import Look
from fststyle.serving.mix_timeline import MixTimeline
from fststyle.serving.regions import MaskedStylizer
from fststyle.serving.shared_network import can_blend, with_weights
from fststyle.serving.stabilize import Stabilizer
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer

Pixels = NDArray[np.uint8]
_LEAVE = 3.0  # seconds that a camera which gives no frame gets to end
_RECENT = 9


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """``max_size``: limit of the longer side in pixels at which the network works. ``target_fps``: lower that side as
    far as needed for so many pictures per second. ``frames`` and ``seconds``: end after so many pictures, or so long.
    ``every_frame``: the camera waits for the network, so that no frame is dropped; for files. ``timeline``: how the
    styles of the palette that the shelf begins with are mixed, by seconds since the first frame; it begins again at its
    last time.

    :raises OptionError: a value out of range.
    """

    max_size: int | None = None
    target_fps: float | None = None
    stabilize: bool = False
    frames: int | None = None
    seconds: float | None = None
    every_frame: bool = False
    timeline: MixTimeline | None = None

    def __post_init__(self) -> None:
        for name in ("max_size", "frames", "seconds", "target_fps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OptionError(f"{name} must be above 0, got {value:g}")


@dataclass
class Controls:
    """What may change while the picture runs; each is read once a frame. ``timeline``: whether the one of the settings
    is followed; ``masks``: whether those that there are are used.
    """

    look: Look
    mirror: bool = False
    timeline: bool = True
    masks: bool = True


@dataclass(frozen=True, eq=False)
class View:
    """A picture to show: uint8 [H, W, 3] RGB at the camera's size, made from the frame taken ``at`` by ``style`` at the
    size ``worked_at`` (width, height); ``network`` is how many seconds the network alone took.
    """

    pixels: Pixels
    at: float
    style: str
    worked_at: tuple[int, int]
    network: float


class Live:
    """A running camera; a context manager. :attr:`figures` counts what happens.

    The thread that uses it takes the pictures from :meth:`views`. ``sinks`` get every picture in the network's thread
    and must return at once; the tuple may be replaced at any time.
    """

    def __init__(
        self,
        camera: Camera,
        shelf: StyleShelf,
        controls: Controls,
        settings: LiveSettings,
        masked: MaskedStylizer | None = None,
    ) -> None:
        """``masked``: regions, and a mask of the main style, which is then always the shelf's, unless it has none. They
        are laid over the picture as it is shown, in the mirror too; feathers are in pixels of the camera's size.
        """
        self.masked = masked.steady_masks() if masked is not None and settings.stabilize else masked
        self.camera, self.shelf, self.controls = camera, shelf, controls
        self.figures = Figures()
        self.sinks: tuple[Callable[[View], None], ...] = ()
        self._settings = settings
        self.timeline, self._palette = settings.timeline, shelf.current
        self._fade = self.timeline.over(self._palette.style.styles) if self.timeline is not None else None
        self._first_at: float | None = None
        self._shots: Newest[Shot] = Newest(lossless=settings.every_frame)
        self._views: Newest[View] = Newest(lossless=settings.every_frame)
        self._stopped = threading.Event()
        highest = min(max(camera.size), settings.max_size or max(camera.size))
        self._controller = SizeController(highest, settings.target_fps)
        self._busy: deque[float] = deque(maxlen=_RECENT)
        self._intervals: deque[float] = deque(maxlen=_RECENT)
        self._stabilizer, self._steady = Stabilizer(), (shelf.current, replace(controls))
        self._capture = threading.Thread(target=self._read, daemon=True)
        self._worker = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Live:
        size = fitted(self.camera.size, self._controller.side)
        self.shelf.warm_up(size)
        for part in self.masked.parts if self.masked is not None else ():
            run_once(part, size)
        self.figures.begin()
        self._capture.start()
        self._worker.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._worker.join()
        self._capture.join(_LEAVE)
        self.figures.end(dropped=self._shots.dropped)

    @property
    def follows_timeline(self) -> bool:
        return self.timeline is not None and self.controls.timeline

    def shown(self, stylizer: Stylizer) -> Stylizer:
        """What is seen of a style on the shelf: that under the masks, if there are any."""
        return self._shown(stylizer, self.controls)

    def _shown(self, stylizer: Stylizer, controls: Controls) -> Stylizer:
        if self.masked is None or not controls.masks:
            return stylizer
        return self.masked.over(stylizer, self._controller.side / max(self.camera.size))

    def release(self) -> None:
        """Close a camera that was never used; one that was is closed by the thread that used it."""
        if self._capture.ident is None:
            self.camera.close()

    def stop(self) -> None:
        self._stopped.set()
        self._shots.end()
        self._views.end()

    def views(self, poll: float) -> Iterator[View | None]:
        """The newest picture each time, or None where none came for ``poll`` seconds; ends with the camera.

        :raises FststyleError: the camera or the network failed.
        """
        limit = self._settings.seconds
        started = time.perf_counter()
        while limit is None or time.perf_counter() - started < limit:
            try:
                view = self._views.take(poll)
            except EndedError:
                return
            yield view
            if view is not None:
                self.figures.show(time.perf_counter() - view.at)
            self.figures.dropped = self._shots.dropped

    def _read(self) -> None:
        shots = self.camera.shots()
        reason: BaseException | None = None
        before: float | None = None
        try:
            for shot in shots:
                if before is not None:
                    self._intervals.append(shot.at - before)
                before = shot.at
                self.figures.captured += 1
                self._shots.put(shot)
        except EndedError:
            pass
        except BaseException as error:
            reason = error
        finally:
            self._shots.end(reason)
            if isinstance(shots, Generator):
                shots.close()
            self.camera.close()

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                shot = self._shots.take(patience=self._patience)
                if shot is None:
                    continue
                view = self._stylise(shot)
                self.figures.stylise(view.network)
                self._views.put(view)
                for sink in self.sinks:
                    sink(view)
                if self.figures.stylised == self._settings.frames:
                    break
            self._views.end()
        except BaseException as error:
            self._views.end(error)

    def _patience(self, shot: Shot) -> float:
        if self._settings.every_frame or not self._busy:
            return 0.0
        interval = median(list(self._intervals)) if self._intervals else None
        return patience(time.perf_counter() - shot.at, interval, median(self._busy))

    def _stylise(self, shot: Shot) -> View:
        started = time.perf_counter()
        stylizer, controls = self.shelf.current, replace(self.controls)
        look = controls.look
        shown = self._shown(self._on_timeline(shot) or stylizer, controls)
        # Of a style that came by a key: the picture goes on.
        if look.blend == "network" and not all(can_blend(part.style) for part in shown.parts):
            look = replace(look, blend="pixels")
        photo = np.asarray(cv2.flip(shot.pixels, 1), np.uint8) if controls.mirror else shot.pixels
        small = scaled(photo, fitted(self.camera.size, self._controller.side))
        stages = Stages()
        pixels, own = _made(shown, small, replace(look, max_size=None), stages)
        if self._settings.stabilize:
            pixels = self._steadied((stylizer, controls), small, pixels)
        pixels = sharpened(pixels, small, scaled(photo, self.camera.size), own)
        took = time.perf_counter() - started
        if look.strength > 0:
            self._busy.append(took)
            self._controller.note(took)
        size = small.shape[1], small.shape[0]
        return View(pixels, shot.at, shown.style.name, size, stages.milliseconds.get("network", 0.0) / 1000)

    def _on_timeline(self, shot: Shot) -> Stylizer | None:
        """The mix that is due, unless the user has taken over."""
        if self._first_at is None:
            self._first_at = shot.at
        if self._fade is None or not self.controls.timeline:
            return None
        return with_weights(self._palette, self._fade.around(shot.at - self._first_at))

    def _steadied(self, state: tuple[Stylizer, Controls], photo: Pixels, pixels: Pixels) -> Pixels:
        if state != self._steady:  # the past is of another look
            self._stabilizer, self._steady = Stabilizer(), state
        return self._stabilizer(photo, pixels)


def _made(shown: Stylizer, small: Pixels, look: Look, stages: Stages) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """The picture, and how much of each pixel is the camera's own; None for nothing."""
    if not isinstance(shown, MaskedStylizer):
        return shown.stylise(Picture(small), look, stages).pixels, None
    picture, own = shown.stylise_apart(Picture(small), look, stages)
    return picture.pixels, own
