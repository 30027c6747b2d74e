"""The state of one server, and the one way into its queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fststyle.serving.web.budgets import ByteBudget, PixelBudget
from fststyle.serving.web.gallery import Gallery
from fststyle.serving.web.metrics import Metrics
from fststyle.serving.web.pool import Job, WorkerPool
from fststyle.serving.web.problems import ClientGoneError, Refusal
from fststyle.serving.web.settings import ServerSettings
from fststyle.serving.web.work import Stylised, Workshop

_HOPE = 0.7
"""The share of the time limit for waiting up to which an estimate of the wait is trusted."""
Work = Callable[[Job[Stylised]], Stylised]


class Service:
    def __init__(self, settings: ServerSettings, gallery: Gallery) -> None:
        self.settings, self.gallery = settings, gallery
        self.pool = WorkerPool(settings.workers, settings.max_queue)
        self.bytes = ByteBudget(settings.max_buffered_bytes)
        self.workshop = Workshop(PixelBudget(settings.max_pixels), PixelBudget(settings.max_size**2), settings.formats)
        self.live = 0
        self.stopping = False
        self.metrics = Metrics()
        self.metrics.watch(self)

    def admit(self) -> None:
        """Before anything is read: :class:`Refusal` if a request would be turned down in any case."""
        if self.stopping:
            raise Refusal(503, "Stopping", "the server is about to stop", retry_after=self.settings.stop_seconds)
        if not self.gallery.ready:
            raise Refusal(503, "Starting", "the server is not ready yet", retry_after=1)
        wait = self.pool.seconds_to_wait()
        # Better no at once than no after a long wait.
        if self.pool.full or (self.pool.waiting and wait > _HOPE * self.settings.queue_seconds):
            raise Refusal(429, "Busy", f"{self.pool.waiting} requests wait already", retry_after=min(60.0, wait))

    async def run(self, work: Work, gone: asyncio.Future[None], *, frame: bool = False) -> tuple[Stylised, float]:
        """The result of ``work`` and the seconds that it waited; when ``gone`` is done, the work is given up.

        :raises Refusal: no worker came free in time (503), or the work took too long (504).
        :raises ClientGoneError: ``gone``.
        """
        job = self.pool.submit(work, frame=frame)
        try:
            return await self._finished(job, gone)
        finally:
            if not job.result.done():
                self.pool.abandon(job)

    async def _finished(self, job: Job[Stylised], gone: asyncio.Future[None]) -> tuple[Stylised, float]:
        settings = self.settings
        await _first(job.started, gone, settings.queue_seconds)
        if not job.started.done():
            self.pool.abandon(job)
            message = f"no worker came free within {settings.queue_seconds:g} s"
            raise Refusal(503, "QueueTimeout", message, retry_after=self.pool.seconds_to_wait())
        waited = job.started.result()
        self.metrics.wait.observe(waited)
        await _first(job.result, gone, settings.inference_seconds)
        if not job.result.done():
            message = f"the picture took longer than {settings.inference_seconds:g} s; ask for a smaller max_size"
            raise Refusal(504, "InferenceTimeout", message)
        return job.result.result(), waited


async def _first(future: asyncio.Future[Any], gone: asyncio.Future[Any], seconds: float) -> None:
    await asyncio.wait({future, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if gone.done() and not future.done():
        raise ClientGoneError
