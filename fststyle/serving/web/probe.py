"""A client that also does what well-behaved ones do not; of the standard library, as the server needs no client."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fststyle.errors import ModelError

_TIMEOUT = 60.0


class Unexpected(Exception):  # noqa: N818 - what a check found, not an error of the program
    """The server did something else than it promises."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The ``type`` of an error, or nothing where the answer is none."""
        try:
            return str(json.loads(self.body)["error"]["type"])
        except (ValueError, LookupError, TypeError):
            return ""

    def expect(self, *statuses: int) -> Answer:
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise Unexpected(f"status {self.status} instead of {wanted}: {self.body[:200]!r}")
        return self


def told(answer: Answer) -> str:
    """Status and kind of an error; :class:`Unexpected` for one in another form than is promised."""
    if not answer.kind:
        raise Unexpected(f"status {answer.status}, but no error in the promised form: {answer.body[:100]!r}")
    return f"{answer.status} {answer.kind}"


@dataclass
class Probe:
    """A running server, and the answers with an error that it has given so far."""

    address: str
    key: str
    process: subprocess.Popen[str]
    log: Path
    errors: list[bytes] = field(default_factory=list)

    @property
    def host(self) -> tuple[str, int]:
        parts = urlsplit(self.address)
        return str(parts.hostname), int(parts.port or 0)

    def wait_until_ready(self, seconds: float) -> None:
        """:class:`ModelError` with the end of the server's log if it is not ready in time."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and self.address and time.monotonic() < end:
            if self.request("GET", "/readyz").status == 200:
                self.errors.clear()
                return
            time.sleep(0.05)
        said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ModelError(f"the server did not become ready: {said[-1] if said else 'it said nothing'}")

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(*self.host, timeout=_TIMEOUT)
        try:
            yield connection
        finally:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        key: str | None = None,
    ) -> Answer:
        """An iterable ``body`` goes in chunks, without a length; ``key`` None is the right one, "" is none."""
        sent = {"X-API-Key": self.key if key is None else key} | dict(headers or {})
        with self.connection() as connection:
            connection.request(method, path, body, {name: text for name, text in sent.items() if text})
            return self.answer(connection)

    def answer(self, connection: http.client.HTTPConnection) -> Answer:
        received = connection.getresponse()
        answer = Answer(received.status, {k.lower(): v for k, v in received.getheaders()}, received.read())
        if answer.status >= 400:
            self.errors.append(answer.body)
        return answer

    def stylize(
        self, photo: bytes | Iterable[bytes], query: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        return self.request(
            "POST", f"/v1/stylize{query}", photo, {"Content-Type": "application/octet-stream"} | dict(headers or {})
        )

    def raw(self) -> socket.socket:
        return socket.create_connection(self.host, timeout=_TIMEOUT)
