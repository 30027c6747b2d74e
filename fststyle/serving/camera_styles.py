"""The styles that a live picture can change to: loaded in the background, the last few kept warm."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fststyle.errors import FststyleError, OptionError, StyleNotFoundError
from fststyle.mixes import Mix
from fststyle.serving.camera_slot import EndedError, Newest
from fststyle.serving.mix_timeline import MixTimeline
from fststyle.serving.stylizer import Stylizer
from fststyle.styles import PHOTO, StyleInfo, find_style, style_names

Load = Callable[[str | Path], Stylizer]
_KEPT = 3


class StyleShelf:
    """A row of styles with a current one; used as a context manager, which ends its thread.

    ``current`` is loaded, warm and may be read by any thread at any time. :meth:`step` and :meth:`fade` change it
    later, when the next one is ready: the picture does not stop for it. The styles of one palette share its network,
    which is loaded once.
    """

    def __init__(self, first: str | Path, load: Load, names: Sequence[str | Path] | None = None) -> None:
        """``first`` is loaded at once, and the errors are those of ``load``. ``names``: the row, None for every
        available style, those in palettes too.
        """
        self.current = load(first)
        self.told: Callable[[str], None] = _nobody
        """Gets a line for the user when a style cannot be loaded."""
        self._load = load
        self._names: list[str | Path] = [*(names if names is not None else _available(self.current.style))]
        if first not in self._names:
            self._names.insert(0, first)
        self._place: float = self._names.index(first)
        self._found: dict[str | Path, StyleInfo] = {first: self.current.style}
        self._warm: OrderedDict[Path, Stylizer] = OrderedDict({self.current.style.path: self.current})
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
        run_once(self.current, size)

    def step(self, by: int) -> None:
        """Ask for the style ``by`` places on in the row, which goes around; asked again, only the last one comes. From
        a mix of two the first step leads to one of them.
        """
        self._go(math.floor(self._place) + by if by > 0 else math.ceil(self._place) + by)

    def fade(self, by: float) -> None:
        """Ask for a mix that is ``by`` of the way from one style in the row to the next one on from what was asked for
        last; ``by`` may be negative.

        :raises OptionError: the two between which it lies are not of one palette.
        """
        self._go(round(self._place + by, 3))

    def _go(self, place: float) -> None:
        place %= len(self._names)
        before, share = int(place), place % 1
        wanted = self._names[before]
        if share:
            wanted = self._between(wanted, self._names[(before + 1) % len(self._names)], share)
        self._place = place
        self._wanted.put(wanted)

    def _between(self, first: str | Path, second: str | Path, share: float) -> str:
        """The mix of two of the row, with so much of the second, as it is asked for."""
        one, other = self._style(first), self._style(second)
        if one.path != other.path or not one.styles:
            raise OptionError(f"{one.name} and {other.name} cannot be mixed: they are not of one palette")
        pairs = zip(one.styles, one.weights, other.weights, strict=True)
        mixed = {name: (1 - share) * before + share * after for name, before, after in pairs}
        return str(Mix({name: weight for name, weight in mixed.items() if weight}, str(one.path)))

    def _style(self, name: str | Path) -> StyleInfo:
        if name not in self._found:
            self._found[name] = find_style(name)
        return self._found[name]

    def _serve(self) -> None:
        while True:
            try:
                name = self._wanted.take()
            except EndedError:
                return
            if name is None:
                continue
            self.coming = _called(name)
            try:
                self.current = self._warmed(name)
            except FststyleError as error:
                self.told(f"style {_called(name)}: {error}")
            self.coming = None

    def _warmed(self, name: str | Path) -> Stylizer:
        style = find_style(name)
        stylizer = self._warm.get(style.path)
        if stylizer is None:
            stylizer = self._load(name)
            run_once(stylizer, self._size)
            self._warm[style.path] = stylizer
        self._warm.move_to_end(style.path)
        while len(self._warm) > _KEPT:
            self._warm.popitem(last=False)
        return stylizer.with_style(style)


def _available(first: StyleInfo) -> list[str]:
    """What can be asked for by name, and before it the styles of a palette that is named by its path."""
    palette = first.styles if first.origin == "file" else ()
    return [*(f"{name}@{first.path}" for name in palette if name != PHOTO), *style_names()]


def _called(name: str | Path) -> str:
    mixed, at, _ = str(name).partition("@")
    return mixed if at else Path(name).stem


def _nobody(text: str) -> None: ...


def run_once(stylizer: Stylizer, size: tuple[int, int]) -> None:
    """What comes first takes longest; ``size``: width and height of the pictures to come."""
    stylizer.engine(np.zeros((1, size[1], size[0], 3), np.uint8))


def style_key(wanted: str) -> str | Path:
    """What ``wanted`` is called in the row: the name of an available style, a mix, or the path of a file.

    :raises StyleNotFoundError: there is no such style.
    :raises OptionError: a mix whose weights make no sense.
    :raises ModelError: its file is damaged or not one of ours.
    """
    style = find_style(wanted)
    if style.origin == "file" and style.name == style.path.stem:
        return style.path
    if style.origin == "file":
        return f"{style.name}@{style.path}"
    try:
        same = find_style(style.name).path == style.path
    except StyleNotFoundError:
        same = False
    return style.name if same else wanted


def opening_key(timeline: MixTimeline) -> str | Path:
    """What the palette of a timeline begins with is called in the row; errors as :func:`style_key`."""
    palette = find_style(str(timeline.everything))
    opening = palette.mixed(timeline.mixes[0])
    if palette.origin != "file" and find_style(opening.name).path == palette.path:
        return opening.name
    return f"{opening.name}@{palette.path}"
