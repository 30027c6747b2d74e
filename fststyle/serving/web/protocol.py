"""The connection's own time limits, which uvicorn has not: a header that dribbles in, an answer that nobody takes, a
body that goes on after it was refused.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from fststyle.serving.web.settings import ServerSettings

_LINGER_SECONDS = 3.0
"""How long the rest of a refused body is still taken in and thrown away: a client that is cut off while it sends may
never read why.
"""


def protocol_classes(settings: ServerSettings) -> tuple[type[H11Protocol], type[WebSocketsSansIOProtocol]]:
    """uvicorn makes the protocols itself, so that the settings have to be in the classes."""

    class BoundedHttp(_BoundedHttp):
        limits = settings

    class BoundedSocket(_BoundedSocket):
        limits = settings

    return BoundedHttp, BoundedSocket


class _Patience:
    """Ends a connection if for a while none of the bytes that wait to be sent has left."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport, self._seconds = transport, seconds
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self.end()
        waiting = self._transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look, waiting)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, waiting: int) -> None:
        if self._transport.get_write_buffer_size() >= waiting:
            self._transport.abort()
        else:
            self.begin()


class _Impatient(asyncio.Protocol):
    """Ends a connection whose other end takes nothing of what it is sent."""

    limits: ServerSettings
    _patience: _Patience

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)  # uvicorn listens on sockets only
        self._patience = _Patience(transport, self.limits.stall_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._patience.begin()

    def resume_writing(self) -> None:
        self._patience.end()
        super().resume_writing()


class _BoundedHttp(_Impatient, H11Protocol):
    _deadline: asyncio.TimerHandle | None = None
    _awaits_header = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self.connections) > 2 * self.limits.max_connections:
            self.transport.abort()  # up to half of that they are served, and in between answered 503
        else:
            self._await_header()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            if not self._awaits_header:
                self._await_header()
        elif self.cycle is None or not self.cycle.response_complete:
            self._set_deadline(None)  # a request is being answered, which has limits of its own

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._set_deadline(self.limits.stall_seconds)
        else:
            self._set_deadline(_LINGER_SECONDS if self.conn.their_state is h11.SEND_BODY else None)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._set_deadline(None)
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)

    def _await_header(self) -> None:
        self._set_deadline(self.limits.header_seconds)
        self._awaits_header = True

    def _set_deadline(self, seconds: float | None) -> None:
        self._awaits_header = False
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class _BoundedSocket(_Impatient, WebSocketsSansIOProtocol):
    pass
