"""Which frames and packets of a video are kept, and when they are shown."""

from __future__ import annotations

from fractions import Fraction

from fststyle.serving.ffmpeg import av
from fststyle.serving.video_formats import VideoSettings


def exact(seconds: float) -> Fraction:
    """0.2 as 1/5, so that the frame that is shown then is in."""
    return Fraction(seconds).limit_denominator(1_000_000)


class Timeline:
    """The way from the file's time stamps to those of the result.

    ``origin`` is the time in the file, in seconds, that becomes 0; ``time_base`` the unit of the frames' time stamps;
    ``rate`` the frames per second to go by where a frame does not say how long it is shown. ``last`` is the time stamp
    of the frame that was last kept, in the file's own count, ``skipped`` how many came no later than the one before,
    ``reached`` the time in the file in seconds.
    """

    def __init__(self, origin: Fraction, time_base: Fraction, rate: Fraction, settings: VideoSettings) -> None:
        self._origin, self._time_base = origin, time_base
        self._begin = origin if settings.start else None
        self._end = None if settings.end is None else origin + exact(settings.end) - exact(settings.start or 0)
        self._usual = max(1, round(1 / (rate * time_base)))
        self._current = 0
        self.last: int | None = None
        self.skipped = 0
        self.reached = 0.0

    def keeps(self, frame: av.VideoFrame) -> bool:
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None:  # some old formats count frames and nothing else
            pts = 0 if self.last is None else self._current + self._usual
        self._current = pts
        time = pts * self._time_base
        self.reached = float(time)
        if (self._begin is not None and time < self._begin) or (self._end is not None and time >= self._end):
            return False
        if self.last is not None and pts <= self.last:
            self.skipped += 1
            return False
        self.last = pts
        return True

    def place(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Time stamp and duration of the frame that was kept last."""
        return self._current - round(self._origin / self._time_base), frame.duration or self._usual

    def keeps_packet(self, packet: av.Packet[av.stream.Stream]) -> bool:
        """Also moves the packet's time stamps."""
        time = (packet.dts or 0) * packet.time_base
        if (self._begin is not None and time < self._begin) or (self._end is not None and time >= self._end):
            return False
        shift = round(self._origin / packet.time_base)
        packet.dts = (packet.dts or 0) - shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        return True
