"""The styles that a live picture can change to: loaded in the background, the last few kept warm."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fststyle.errors import FststyleError
from fststyle.serving.camera_slot import EndedError, Newest
from fststyle.serving.stylizer import Stylizer
from fststyle.styles import available_styles, find_style

Load = Callable[[str | Path], Stylizer]
_KEPT = 3


class StyleShelf:
    """A row of styles with a current one; used as a context manager, which ends its thread.

    ``current`` is loaded, warm and may be read by any thread at any time. :meth:`step` changes it later, when the next
    one is ready: the picture does not stop for it.
    """

    def __init__(self, first: str | Path, load: Load, names: Sequence[str | Path] | None = None) -> None:
        """``first`` is loaded at once, and the errors are those of ``load``. ``names``: the row, None for every
        available style.
        """
        self.current = load(first)
        self.told: Callable[[str], None] = _nobody
        """Gets a line for the user when a style cannot be loaded."""
        self._load = load
        self._names: list[str | Path] = [*(names if names is not None else _available())]
        if first not in self._names:
            self._names.insert(0, first)
        self._place = self._names.index(first)
        self._warm: OrderedDict[str | Path, Stylizer] = OrderedDict({first: self.current})
        self._size = (16, 16)
        self._wanted: Newest[str | Path] = Newest()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.coming: str | None = None
        """The style that is being loaded."""

    def __enter__(self) -> StyleShelf:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._wanted.end()
        self._thread.join()

    def warm_up(self, size: tuple[int, int]) -> None:
        """Run the current style once at ``size`` (width, height), as every style that is loaded from now on."""
        self._size = size
        _run_once(self.current, size)

    def step(self, by: int) -> None:
        """Ask for the style ``by`` places on in the row, which goes around; asked again, only the last one comes."""
        self._place = (self._place + by) % len(self._names)
        self._wanted.put(self._names[self._place])

    def _serve(self) -> None:
        while True:
            try:
                name = self._wanted.take()
            except EndedError:
                return
            if name is None:
                continue
            self.coming = Path(name).stem
            try:
                self.current = self._warmed(name)
            except FststyleError as error:
                self.told(f"style {Path(name).stem}: {error}")
            self.coming = None

    def _warmed(self, name: str | Path) -> Stylizer:
        stylizer = self._warm.get(name)
        if stylizer is None:
            stylizer = self._load(name)
            _run_once(stylizer, self._size)
        self._warm[name] = stylizer
        self._warm.move_to_end(name)
        while len(self._warm) > _KEPT:
            self._warm.popitem(last=False)
        return stylizer


def _available() -> list[str]:
    return [style.name for style in available_styles()]


def _nobody(text: str) -> None: ...


def _run_once(stylizer: Stylizer, size: tuple[int, int]) -> None:
    stylizer.engine(np.zeros((1, size[1], size[0], 3), np.uint8))


def style_key(wanted: str) -> str | Path:
    """What ``wanted`` is called in the row: the name of an available style, or the path of a file.

    :raises StyleNotFoundError: there is no such style.
    :raises ModelError: its file is damaged or not one of ours.
    """
    style = find_style(wanted)
    return style.path if style.origin == "file" else style.name
