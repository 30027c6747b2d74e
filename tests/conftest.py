"""What tests of several parts share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class FileServer(ThreadingHTTPServer):
    """Serves ``files`` (path to content) on loopback, with entity tags and ranges, and misbehaves as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.files: dict[str, bytes] = {}
        self.etag: str | None = '"first"'
        self.ranges = True
        self.drops: list[int] = []
        """For each of the next answers: after how many bytes of content the connection is cut."""
        self.statuses: list[int] = []
        """The next answers are these errors instead of files."""
        self.requests: list[Message] = []
        """The headers of every request so far."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class FileHandler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append(self.headers)
        content = self.server.files.get(self.path)
        status = self.server.statuses.pop(0) if self.server.statuses else 200 if content is not None else 404
        if status != 200 or content is None:
            self.send_error(status)
            return
        start = self._start()
        if start >= len(content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + self.server.drops.pop(0) if self.server.drops else len(content)
        with contextlib.suppress(ConnectionError):  # a client that has seen enough hangs up
            self.wfile.write(content[start:end])

    def _start(self) -> int:
        asked = self.headers.get("Range")
        if asked is None or not self.server.ranges or self.headers.get("If-Range") != self.server.etag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *args: object) -> None:
        """Requests are asserted on, not printed."""


@pytest.fixture
def file_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A :class:`FileServer` that runs; a proxy, if one is configured, is not asked."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
