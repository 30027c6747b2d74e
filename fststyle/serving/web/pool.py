"""A fixed number of threads, and a queue that is short, told apart from the live frames, and can be left."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class AbandonedError(Exception):
    """Nobody waits for the result any more."""


class Job(Generic[T]):
    """Work that was handed in. ``started`` and ``result`` belong to the event loop that handed it in; ``started``
    tells how many seconds the job waited.
    """

    def __init__(self, work: Callable[[Job[T]], T]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.started: asyncio.Future[float] = self.loop.create_future()
        self.result: asyncio.Future[T] = self.loop.create_future()
        self.result.add_done_callback(lambda done: done.cancelled() or done.exception())  # it need not be read
        self.submitted = time.perf_counter()
        self.abandoned = False

    def check(self) -> None:
        """For the work to call between its steps: :class:`AbandonedError` if the rest is not worth doing."""
        if self.abandoned:
            raise AbandonedError

    def run(self) -> None:
        self._tell(_set_result, self.started, time.perf_counter() - self.submitted)
        try:
            value = self.work(self)
        except BaseException as error:
            self._tell(_set_exception, self.result, error)
        else:
            self._tell(_set_result, self.result, value)

    def fail(self, error: Exception) -> None:
        self._tell(_set_exception, self.result, error)
        self._tell(_set_result, self.started, time.perf_counter() - self.submitted)

    def _tell(self, *message: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
            self.loop.call_soon_threadsafe(*message)  # type: ignore[arg-type]


def _set_result(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _set_exception(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


class WorkerPool:
    """``workers`` threads; at most ``capacity`` jobs wait, and besides them live frames, whose senders bound them.

    Where both wait, the workers take one of each in turn.
    """

    def __init__(self, workers: int, capacity: int) -> None:
        self.workers, self.capacity = workers, capacity
        self._waiting: deque[Job[object]] = deque()
        self._frames: deque[Job[object]] = deque()
        self._changed = threading.Condition()
        self._frame_is_next = True
        self._at_work: list[Job[object]] = []
        self._stopped = False
        self._mean_seconds = 0.5
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._at_work)

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self.capacity

    def seconds_to_wait(self) -> float:
        """How long the queue, as it is, is likely to take."""
        return (len(self._waiting) + self.running) * self._mean_seconds / self.workers

    def expect(self, seconds: float) -> None:
        """How long a job takes, as far as is known before there was one."""
        self._mean_seconds = seconds

    def submit(self, work: Callable[[Job[T]], T], *, frame: bool = False) -> Job[T]:
        """Hand in work from an event loop; whether the queue is :attr:`full` is for the caller to look at first."""
        job = Job(work)
        with self._changed:
            (self._frames if frame else self._waiting).append(job)  # type: ignore[arg-type]
            self._changed.notify()
        return job

    def abandon(self, job: Job[T]) -> bool:
        """The job leaves the queue (true), or, if it runs already, ends at its next step (false)."""
        job.abandoned = True
        with self._changed:
            for queue in (self._waiting, self._frames):
                with contextlib.suppress(ValueError):
                    queue.remove(job)  # type: ignore[arg-type]
                    return True
        return False

    def fail_all(self, error: Exception) -> None:
        """Each job's result is ``error``: those that wait are not done, those at work end at their next step."""
        with self._changed:
            jobs = [*self._waiting, *self._frames, *self._at_work]
            self._waiting.clear()
            self._frames.clear()
        for job in jobs:
            job.abandoned = True
            job.fail(error)

    def stop(self) -> None:
        """The threads end when they have done what they are at."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Until the threads have ended, but no longer than that."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (job := self._take()) is not None:
            started = time.perf_counter()
            job.run()
            with self._changed:
                self._at_work.remove(job)
                self._mean_seconds += 0.2 * (time.perf_counter() - started - self._mean_seconds)
            del job  # or its picture stays in memory until the next one comes

    def _take(self) -> Job[object] | None:
        with self._changed:
            while not self._waiting and not self._frames and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return None
            queue = self._frames if self._frames and (self._frame_is_next or not self._waiting) else self._waiting
            self._frame_is_next = queue is self._waiting
            job = queue.popleft()
            self._at_work.append(job)
            return job
