"""Listening, saying where, and ending in good order."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from fststyle.errors import OptionError
from fststyle.serving.web.app import create_app
from fststyle.serving.web.gallery import Gallery
from fststyle.serving.web.problems import Refusal
from fststyle.serving.web.protocol import protocol_classes
from fststyle.serving.web.service import Service
from fststyle.serving.web.settings import ServerSettings
from fststyle.signals import signals_handled

_BACKLOG = 128
_LAST_STEP = 1.0
"""Seconds for what nobody waits for any more to come back from the network, when all others are spent."""


class Server(uvicorn.Server):
    """Stops on SIGTERM and Ctrl-C: what runs is finished, new requests are refused, and the program goes on behind
    :meth:`run` as if nothing had happened.
    """

    def __init__(self, settings: ServerSettings, gallery: Gallery, announce: Callable[[str], None]) -> None:
        """``announce`` gets the address once connections are accepted.

        :raises OptionError: the address cannot be listened on.
        """
        self.service = Service(settings, gallery)
        self._announce = announce
        self._deadline = 0.0
        self._socket = listen(settings.host, settings.port)
        http, socket_protocol = protocol_classes(settings)
        super().__init__(
            uvicorn.Config(
                create_app(self.service),
                http=http,
                ws=socket_protocol,
                loop="asyncio",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=settings.max_connections,
                timeout_keep_alive=max(1, round(settings.idle_seconds)),
                timeout_graceful_shutdown=max(1, math.ceil(settings.stop_seconds)),
                ws_max_size=settings.max_frame_bytes,
                ws_per_message_deflate=False,
            )
        )

    @property
    def address(self) -> str:
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def listen_and_serve(self) -> None:
        self.run(sockets=[self._socket])
        # A thread that came back from the network after Python's end would abort the program.
        self.service.pool.wait(max(_LAST_STEP, self._deadline - time.monotonic()))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce(self.address)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What has not ended a second before uvicorn would cancel it is told that the server stops."""
        error = Refusal(503, "Stopping", "the server stopped before it came to this picture", retry_after=1)
        patience = max(0.0, self.service.settings.stop_seconds - 1)
        self._deadline = time.monotonic() + self.service.settings.stop_seconds
        timer = asyncio.get_running_loop().call_later(patience, self.service.pool.fail_all, error)
        await super().shutdown(sockets)
        timer.cancel()

    def stop(self) -> None:
        """From any thread."""
        self.service.stopping = True
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own would let the signal end the program after all, with its exit code."""

        def handle(number: int, frame: FrameType | None) -> None:
            if self.should_exit and number == signal.SIGINT:
                self.force_exit = True
            self.stop()

        with signals_handled(handle):
            yield


def listen(host: str, port: int) -> socket.socket:
    """:class:`OptionError` if that address is not there or taken."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)  # the text of some has the address once more
        reason = os.strerror(number) if number and number > 0 else str(error)
        raise OptionError(f"cannot listen on {host} port {port}: {reason}; --port 0 takes a free one") from error
