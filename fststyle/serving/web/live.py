"""``WS /v1/live``: frames in, stylised frames out, never one that is older than it need be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from fststyle.errors import FststyleError, OptionError
from fststyle.serving.web.guard import key_fits, key_of
from fststyle.serving.web.parameters import Choice, changed, default_choice
from fststyle.serving.web.problems import ClientGoneError, Refusal, describe, kind_of, logger
from fststyle.serving.web.service import Service
from fststyle.serving.web.work import Stylised

_DONE, _POLICY, _TRY_AGAIN = 1000, 1008, 1013
_LONGEST_TEXT = 4096
KEY = "key"


@dataclass(frozen=True)
class Frame:
    """``number`` counts the client's binary messages from 1."""

    number: int
    data: bytes
    received: float


class Session:
    """One live socket: a reader that keeps the newest frame, and a worker that takes it when it has time."""

    def __init__(self, socket: WebSocket, service: Service, choice: Choice) -> None:
        self.socket, self.service, self.choice = socket, service, choice
        self.received = self.dropped = 0
        self._newest: Frame | None = None
        self._arrived = asyncio.Event()
        self._sending = asyncio.Lock()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Until the client leaves, or sends no frame for too long."""
        tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._work())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            if not self._gone.done():
                self._gone.set_result(None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def tell(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self.socket.send_json(message)

    async def _read(self) -> None:
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                self._offer(message["bytes"])
            elif message.get("text") is not None:
                await self._change(message["text"])

    def _offer(self, data: bytes) -> None:
        self.received += 1
        self.service.metrics.received.inc(len(data))
        if self._newest is not None:
            self.dropped += 1
            self.service.metrics.frames.labels("dropped").inc()
        self._newest = Frame(self.received, data, time.perf_counter())
        self._arrived.set()

    async def _change(self, text: str) -> None:
        try:
            values = parse_message(text)
            values.pop(KEY, None)
            settings = self.service.settings
            choice = changed(self.choice, values, self.service.gallery, settings.max_size)
            choice.check()
            self.choice = choice
        except FststyleError as error:
            await self.tell(describe(error))
        else:
            await self.tell(self.choice.describe())

    async def _work(self) -> None:
        idle = self.service.settings.live_idle_seconds
        while True:
            try:
                await asyncio.wait_for(self._arrived.wait(), idle)
            except TimeoutError:
                refusal = Refusal(408, "Idle", f"no frame came for {idle:g} s")
                await self.tell(describe(refusal))
                await self.socket.close(_DONE)
                return
            self._arrived.clear()
            frame, self._newest = self._newest, None
            if frame is not None:
                await self._process(frame, self.choice)

    async def _process(self, frame: Frame, choice: Choice) -> None:
        service = self.service
        work = service.workshop.frame(frame.data, choice, service.settings.live_quality)
        try:
            stylised, _ = await service.run(work, self._gone, frame=True)
        except ClientGoneError:
            raise
        except Exception as error:
            if not isinstance(error, FststyleError | Refusal):
                logger.exception("a live frame failed")
            service.metrics.rejects.labels(kind_of(error)).inc()
            await self.tell(describe(error) | {"frame": frame.number})
            return
        service.metrics.frames.labels("processed").inc()
        service.metrics.sent.inc(len(stylised.data))
        service.metrics.observe(service.gallery.loaded_name(choice.stylizer), stylised.milliseconds)
        await self._answer(frame, stylised, choice)

    async def _answer(self, frame: Frame, stylised: Stylised, choice: Choice) -> None:
        report = {
            "frame": frame.number,
            "dropped": self.dropped,
            "inference_ms": round(stylised.milliseconds["inference"], 2),
            "total_ms": round((time.perf_counter() - frame.received) * 1000, 2),
            "style": choice.stylizer.style.name,
        }
        if "mask" in stylised.milliseconds:
            report["mask_ms"] = round(stylised.milliseconds["mask"], 2)
        async with self._sending:  # nothing may come between a frame's report and the frame
            await self.socket.send_json(report)
            await self.socket.send_bytes(stylised.data)


def parse_message(text: str) -> dict[str, Any]:
    """:class:`OptionError` for what is no JSON object."""
    try:
        values = json.loads(text) if len(text) <= _LONGEST_TEXT else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise OptionError('a message is a JSON object of parameters, as {"strength": 0.5}')
    return values


def live_route(service: Service) -> APIRouter:
    router = APIRouter()

    @router.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, ClientGoneError):
            try:
                await _admitted(socket, service)
            except Refusal as refusal:
                await _close(socket, service, refusal, _POLICY if refusal.status == 401 else _TRY_AGAIN)
            except FststyleError as error:
                await _close(socket, service, error, _POLICY)

    return router


async def _admitted(socket: WebSocket, service: Service) -> None:
    settings = service.settings
    values = dict(socket.query_params)
    given = values.pop(KEY, None) or key_of(socket.headers)
    if settings.api_key is not None:
        await _check_key(socket, given, settings.api_key, settings.header_seconds)
    if service.stopping or not service.gallery.ready:
        raise Refusal(503, "Starting", "the server is not ready yet, or about to stop")
    if service.live >= settings.max_live:
        raise Refusal(429, "Busy", f"{settings.max_live} live sockets are open already")
    standard = default_choice(service.gallery, min(settings.live_max_size, settings.max_size))
    choice = changed(standard, values, service.gallery, settings.max_size)
    choice.check()
    session = Session(socket, service, choice)
    service.live += 1
    try:
        await session.tell(session.choice.describe())
        await session.run()
    finally:
        service.live -= 1


async def _check_key(socket: WebSocket, given: str | None, expected: str, seconds: float) -> None:
    if given is None:
        with contextlib.suppress(TimeoutError, OptionError, KeyError):
            given = parse_message(await asyncio.wait_for(socket.receive_text(), seconds)).get(KEY)
    if not key_fits(given, expected):
        raise Refusal(401, "Unauthorized", 'this server wants a key: ?key=KEY, or {"key": "KEY"} as the first message')


async def _close(socket: WebSocket, service: Service, error: Exception, code: int) -> None:
    service.metrics.rejects.labels(kind_of(error)).inc()
    await socket.send_json(describe(error))
    await socket.close(code)
