"""How a live picture keeps up: when a fresher frame is worth waiting for, and at which size the network works."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from fststyle.errors import OptionError

_STALE = 1 / 3
"""Of the time that a picture takes: a frame that is younger is never left for a fresher one."""
_TOO_SLOW, _TOO_FAST = 1.05, 0.75
"""Of the time that a picture may take: between them the size stays as it is."""
_AIM = 0.92
_STEP = 16  # pixels; a network's memory plan and the eye both mind every change
_LOWEST = 96
_WINDOW = 6
_SETTLE = 2  # pictures after a change, the first of which pay for it


def patience(age: float, interval: float | None, busy: float) -> float:
    """For how long to wait for the next frame instead of taking one that is ``age`` seconds old; 0 to take it.

    ``interval``: seconds between the camera's frames, None if not known yet. ``busy``: seconds that the picture made
    from it will take. A frame is left for the next when that one is due sooner than the frame is old. Where frames
    come faster than pictures are made, none is then older than half of ``busy`` when its turn comes; that is where the
    latency of one and a half pictures at the most comes from. The pictures that this costs are few: the wait sets the
    age back to 0.
    """
    if interval is None or age <= _STALE * busy or age < interval / 2:
        return 0.0
    return max(interval - age, interval / 4)


def next_side(side: int, seconds: float, *, target: float, highest: int) -> int:
    """The longer side in pixels at which to work from now on, if pictures at ``side`` take ``seconds`` each.

    ``target``: pictures per second that are wanted; ``highest``: the side of the full size. Time goes with the number
    of pixels. The result is ``side`` itself while the time is between 75 % and 105 % of what it may be.
    """
    share = seconds * target
    if share <= 0 or _TOO_FAST <= share <= _TOO_SLOW or (share < 1 and side >= highest):
        return side
    wanted = side * math.sqrt(_AIM / share)
    stepped = max(_LOWEST, int(wanted // _STEP) * _STEP)
    if share > 1:  # a step at least, or as far down as it goes
        stepped = min(stepped, max(_LOWEST, side - _STEP))
    return min(highest, max(stepped, side) if share < 1 else stepped)


class SizeController:
    """:func:`next_side`, fed with the time of each picture: decides on the median of six, and not on the first two
    after a change.
    """

    def __init__(self, highest: int, target: float | None) -> None:
        """``highest``: the longer side in pixels of the full size; ``target``: pictures per second, None to leave the
        size as it is.

        :raises OptionError: a target that is not above 0.
        """
        if target is not None and not 0 < target < math.inf:
            raise OptionError(f"the target must be above 0 frames per second, got {target}")
        self.side = self._highest = highest
        self._target = target
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._settling = _SETTLE

    def note(self, seconds: float) -> None:
        """One picture at :attr:`side` took so long."""
        if self._target is None:
            return
        if self._settling > 0:
            self._settling -= 1
            return
        self._times.append(seconds)
        if len(self._times) < _WINDOW:
            return
        side = next_side(self.side, median(self._times), target=self._target, highest=self._highest)
        if side != self.side:
            self.side, self._settling = side, _SETTLE
            self._times.clear()
