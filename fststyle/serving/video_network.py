"""The frames of one video through a network, in order: several at a time where that is faster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from fststyle.images import Picture
from fststyle.serving.engine import Weights
from fststyle.serving.look import Look
from fststyle.serving.memory import fits
from fststyle.serving.providers import CPU
from fststyle.serving.shared_network import with_weights
from fststyle.serving.stabilize import Stabilizer
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.video_reader import Frame

Other = TypeVar("Other")
_MOST = 4
"""Frames at a time. More cost memory, and the threads of a machine that has more work together on each."""
_PATIENCE = 0.5  # seconds; on Windows a wait without a limit cannot be interrupted


class FrameNetwork:
    """A style with a look for the frames of one video. ``stages`` sums up the time that each part of a frame's road
    took; ``stabilizer`` is None without ``stabilize``.

    Threads that share a picture wait for each other after every layer, and longer where decoding and encoding want the
    processor, too. So the processor's threads get a frame each (:func:`frames_at_once`); smoothing over time has to see
    the frames one after the other.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        look: Look,
        size: tuple[int, int],
        *,
        stabilize: bool,
        weights: Callable[[Frame], Weights] | None = None,
    ) -> None:
        """``size``: width and height of the frames; ``weights``: those of a palette's styles for each frame, None for
        those that ``stylizer`` has. Errors are those of :class:`~fststyle.serving.engine.Engine`.
        """
        self._look, self._weights = look, weights
        self.stages = Stages()
        self.stabilizer = Stabilizer() if stabilize else None
        self.at_once = 1 if stabilize else frames_at_once(stylizer, size)
        if stabilize:
            stylizer = stylizer.steady()
        elif self.at_once > 1:
            stylizer = stylizer.side_by_side(self.at_once)
        self._stylizer = stylizer

    def run(self, items: Iterable[Frame | Other]) -> Generator[Frame | Other, None, None]:
        """The items in their order, the frames among them stylised; to be closed if it is not used to its end."""
        if self.at_once == 1:
            for item in items:
                yield self._noted(self._stylised(item)) if isinstance(item, Frame) else item
            return
        under_way: deque[Future[tuple[Frame, Stages]] | Other] = deque()
        with _workers(self.at_once) as pool:
            for item in items:
                under_way.append(pool.submit(self._stylised, item) if isinstance(item, Frame) else item)
                yield from self._finished(under_way, self.at_once)  # and one more waits for the first thread to be free
            yield from self._finished(under_way, 0)

    def _finished(self, under_way: deque[Future[tuple[Frame, Stages]] | Other], most: int) -> Iterator[Frame | Other]:
        """What is at the front and done; waits for frames until at most so many are left."""
        frames = sum(isinstance(item, Future) for item in under_way)
        while under_way:
            first = under_way[0]
            if not isinstance(first, Future):
                under_way.popleft()
                yield first
                continue
            if frames <= most and not first.done():
                return
            while not wait([first], _PATIENCE).done:
                pass
            under_way.popleft()
            frames -= 1
            yield self._noted(first.result())

    def _stylised(self, frame: Frame) -> tuple[Frame, Stages]:
        stages = Stages()
        stylizer = self._stylizer
        if self._weights is not None:
            stylizer = with_weights(stylizer, self._weights(frame))
        pixels = stylizer.stylise(Picture(frame.pixels), self._look, stages).pixels
        if self.stabilizer is not None:
            with stages.measure("stabilize"):
                pixels = self.stabilizer(frame.pixels, pixels)
        return Frame(pixels, frame.pts, frame.duration), stages

    def _noted(self, made: tuple[Frame, Stages]) -> Frame:
        frame, stages = made
        self.stages.add(stages)
        return frame


def frames_at_once(stylizer: Stylizer, size: tuple[int, int]) -> int:
    """How many frames of ``size`` (width, height) are best in work: on the processor one for each thread, up to four,
    as far as there is memory; on a GPU one.
    """
    if any(part.engine.provider != CPU for part in stylizer.parts):
        return 1
    networks = {part.style.path for part in stylizer.parts}
    count, pixels = min(_MOST, stylizer.engine.threads), len(networks) * size[0] * size[1]
    # One frame more, for all that is not the network. Networks that run one after the other all hold their memory.
    while count > 1 and not all(fits(network, (count + 1) * pixels) for network in networks):
        count -= 1
    return count


@contextmanager
def _workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are gone when the block ends; if by an error, without beginning what waits."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
