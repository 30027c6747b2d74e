"""The frames of a video on their way from the reader to the writer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TypeAlias

from fststyle.serving.channel import Channel, beside
from fststyle.serving.ffmpeg import av
from fststyle.serving.video_network import FrameNetwork
from fststyle.serving.video_reader import Frame, VideoInfo

Item: TypeAlias = "Frame | av.Packet[av.stream.Stream]"
Progress = Callable[[int, int | None], None]
"""Called after each frame with how many are done and how many there will be, as far as the file says."""
# Between two threads wait up to 4 frames, enough to even out their pace; packets of sound are many and small.
_CAPACITY, _FRAME, _PACKET = 256, 64, 1


def _weight(item: Item) -> int:
    return _FRAME if isinstance(item, Frame) else _PACKET


class Run:
    """The middle of the road and its two neighbours. The thread that calls waits for the network, and is where a
    signal's exception arrives; it stops the others.
    """

    def __init__(self, network: FrameNetwork, info: VideoInfo) -> None:
        self.network, self._expected = network, info.frames
        self.frames, self.end = 0, 0
        self._known = 0

    def go_on(self, first: int, known: int, end: int) -> None:
        """The frames come from number ``first`` on, and only from ``known`` on they are written: those between are what
        smoothing over time has to see again. ``end`` is the time at which the known ones end.
        """
        self.frames, self._known, self.end = first, known, end

    def all(self, source: Iterable[Item], write: Callable[[Item], None], progress: Progress | None) -> None:
        """Read, stylise and write everything; the first error of any part is raised once all have stopped."""
        decoded, stylised = Channel(_CAPACITY, _weight), Channel(_CAPACITY, _weight)
        with (
            beside(lambda: self._decode(source, decoded), decoded),
            beside(lambda: self._encode(stylised, write), stylised),
            closing(self.network.run(decoded)) as made,
        ):
            for item in made:
                if not isinstance(item, Frame):
                    stylised.put(item)
                    continue
                self.frames += 1
                self.end = max(self.end, item.pts + item.duration)
                if self.frames > self._known:
                    stylised.put(item)
                if progress is not None:
                    progress(self.frames, self._expected)
            stylised.finish()

    def _decode(self, source: Iterable[Item], decoded: Channel[Item]) -> None:
        items = iter(source)
        while True:
            with self.network.stages.measure("decode"):
                item = next(items, None)
            if item is None:
                decoded.finish()
                return
            decoded.put(item)

    def _encode(self, stylised: Channel[Item], write: Callable[[Item], None]) -> None:
        for item in stylised:
            with self.network.stages.measure("encode"):
                write(item)
