"""Many pictures through one network, or several: while one is stylised, the next are decoded and the last are encoded.

Decoding and encoding run in threads (Pillow computes without Python's global lock), the network in the thread that
takes the results. Results come in the order of the jobs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from fststyle.errors import FststyleError, InputError
from fststyle.images import Picture, picture_size, read_picture
from fststyle.serving.journal import Version
from fststyle.serving.look import Look
from fststyle.serving.names import Job
from fststyle.serving.providers import default_threads
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer

PIXELS_IN_MEMORY = 64_000_000
"""How many pixels of decoded photos may wait, be stylised or be encoded at once; the photo whose turn it is comes on
top, however large.
"""
MOST_WORKERS = 8

Writer = Callable[[Picture, Job, Version, Stages], None]


@dataclass(frozen=True)
class Finished:
    """What became of a job: ``error``, or the result's ``size`` (width, height) and how long each stage took."""

    job: Job
    size: tuple[int, int] | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    error: FststyleError | None = None


def run_jobs(
    stylizers: Mapping[str, Stylizer],
    jobs: Iterable[Job],
    look: Look,
    *,
    write: Writer,
    workers: int | None = None,
    pixels_in_memory: int = PIXELS_IN_MEMORY,
) -> Iterator[Finished]:
    """Runs the jobs, in order; one that fails is reported like the others and does not stop them.

    ``stylizers`` by the styles' names; jobs of one photo that follow each other decode it once. ``jobs`` is read a few
    ahead, ``write`` is called from several threads. ``workers`` threads decode and as many encode, one or more; None
    means as many as the process may use processors, from two to eight. When the iterator is closed, what has been
    stylised is still written.
    """
    line = _Pipeline(stylizers, look, write, workers or min(MOST_WORKERS, max(2, default_threads())), pixels_in_memory)
    try:
        yield from line.run(jobs)
    finally:
        line.close()


@dataclass(frozen=True, eq=False)
class _Photo:
    """A decoded photo; ``pixels`` is what it holds of the budget."""

    picture: Picture
    version: Version
    pixels: int
    milliseconds: dict[str, float]


class _Pipeline:
    def __init__(self, stylizers: Mapping[str, Stylizer], look: Look, write: Writer, workers: int, pixels: int) -> None:
        self._stylizers, self._look, self._write, self._workers = stylizers, look, write, workers
        self._max_pixels = min((stylizer.max_pixels for stylizer in stylizers.values()), default=0)
        self._budget = _PixelBudget(pixels)
        self._decoders = ThreadPoolExecutor(workers, "decode")
        self._encoders = ThreadPoolExecutor(workers, "encode")

    def run(self, jobs: Iterable[Job]) -> Iterator[Finished]:
        groups = ((source, list(group)) for source, group in groupby(jobs, key=lambda job: job.source))
        numbered = enumerate(groups)
        decoding: deque[tuple[int, list[Job], Future[_Photo]]] = deque()
        encoding: deque[Future[Finished]] = deque()
        while True:
            # One more than there are decoders: each has work while the oldest is being stylised.
            while len(decoding) <= self._workers and (following := next(numbered, None)):
                number, (source, group) = following
                decoding.append((number, group, self._decoders.submit(self._decode, number, source)))
            if not decoding:
                break
            number, group, future = decoding.popleft()
            while encoding and self._budget.full and not future.done():
                yield encoding.popleft().result()
            self._budget.admit_next(number)
            for finished in self._stylise(group, future):
                encoding.append(finished)
                while len(encoding) > self._workers or (encoding and encoding[0].done()):
                    yield encoding.popleft().result()
        while encoding:
            yield encoding.popleft().result()

    def close(self) -> None:
        self._budget.close()
        self._decoders.shutdown(cancel_futures=True)
        self._encoders.shutdown()

    def _decode(self, number: int, source: Path) -> _Photo:
        try:
            version = Version.of(source)
        except OSError as error:
            raise InputError(f"cannot read {source}: {error.strerror or error}") from error
        if not source.is_file():  # opening a pipe waits for somebody to write to it
            raise InputError(f"cannot read {source}: not a regular file")
        stages = Stages()
        width, height = picture_size(source, max_pixels=self._max_pixels)
        pixels = width * height
        self._budget.take(number, pixels)
        try:
            with stages.measure("decode"):
                picture = read_picture(source, max_pixels=self._max_pixels, max_size=self._look.max_size)
        except BaseException:
            self._budget.give_back(pixels)
            raise
        kept = min(pixels, picture.size[0] * picture.size[1])
        self._budget.give_back(pixels - kept)
        return _Photo(picture, version, kept, stages.milliseconds)

    def _stylise(self, group: list[Job], decoding: Future[_Photo]) -> Iterator[Future[Finished]]:
        """Each job's result, on its way to the disk; the last one gives the photo's share of the memory back."""
        try:
            photo = decoding.result()
        except FststyleError as error:
            yield from (_resolved(Finished(job, error=error)) for job in group)
            return
        for job in group:
            last = photo.pixels if job is group[-1] else 0
            stages = Stages(dict(photo.milliseconds))
            try:
                picture = self._stylizers[job.style].stylise(photo.picture, self._look, stages)
            except FststyleError as error:
                self._budget.give_back(last)
                yield _resolved(Finished(job, milliseconds=stages.milliseconds, error=error))
            else:
                yield self._encoders.submit(self._encode, picture, job, photo.version, stages, last)

    def _encode(self, picture: Picture, job: Job, version: Version, stages: Stages, share: int) -> Finished:
        try:
            self._write(picture, job, version, stages)
        except FststyleError as error:
            return Finished(job, milliseconds=stages.milliseconds, error=error)
        finally:
            self._budget.give_back(share)
        return Finished(job, picture.size, stages.milliseconds)


class _PixelBudget:
    """Lets photos be decoded while there is room. The one that is wanted next is always let in: it must not wait for
    photos that wait for it.
    """

    def __init__(self, pixels: int) -> None:
        self._limit, self._held, self._next, self._closed = pixels, 0, 0, False
        self._changed = threading.Condition()

    @property
    def full(self) -> bool:
        return self._held >= self._limit

    def take(self, number: int, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or number <= self._next or self._held + pixels <= self._limit)
            if self._closed:
                raise InputError("stopped before it was decoded")
            self._held += pixels

    def give_back(self, pixels: int) -> None:
        with self._changed:
            self._held -= pixels
            self._changed.notify_all()

    def admit_next(self, number: int) -> None:
        with self._changed:
            self._next = number
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _resolved(finished: Finished) -> Future[Finished]:
    future: Future[Finished] = Future()
    future.set_result(finished)
    return future
