"""Every figure of the server, with its default; ``fststyle serve`` makes its options from this class."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from fststyle.errors import OptionError, did_you_mean
from fststyle.formats import FORMATS

MEBIBYTE = 2**20


def _figure(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class ServerSettings:
    """What the server allows. Sizes are bytes or pixels, times seconds; each field's help says which.

    :raises OptionError: a figure out of range, or a format that is not one of :data:`~fststyle.formats.FORMATS`.
    """

    host: str = _figure("127.0.0.1", "Address to listen on; 0.0.0.0 opens the server to the network.")
    port: int = _figure(8000, "Port; 0 takes a free one.")
    workers: int = _figure(2, "Pictures worked on at once.")
    max_queue: int = _figure(32, "Requests that may wait for a worker; more are answered 429.")
    max_connections: int = _figure(256, "Connections at once; more are answered 503.")
    max_live: int = _figure(4, "Live sockets at once.")
    max_body_bytes: int = _figure(32 * MEBIBYTE, "Size of a request's body in bytes.")
    max_buffered_bytes: int = _figure(256 * MEBIBYTE, "Bytes of all bodies and answers held in memory at once.")
    max_frame_bytes: int = _figure(4 * MEBIBYTE, "Size of a live frame in bytes.")
    max_pixels: int = _figure(50_000_000, "Pixels of a picture, and of all that are being decoded at once.")
    max_size: int = _figure(1536, "Longer side of a result in pixels; its square is the network's limit at once.")
    live_max_size: int = _figure(640, "Longer side of a live frame's result in pixels, unless the client asks.")
    live_quality: int = _figure(85, "JPEG quality of live frames, 1 to 95.")
    header_seconds: float = _figure(10.0, "Time for a request's header, and for a live socket's key.")
    idle_seconds: float = _figure(15.0, "Time that a connection may stay open between requests.")
    body_seconds: float = _figure(30.0, "Time for a request's body.")
    queue_seconds: float = _figure(30.0, "Time that a request may wait for a worker.")
    inference_seconds: float = _figure(60.0, "Time for decoding, stylising and encoding a picture.")
    stall_seconds: float = _figure(20.0, "Time in which a client must take some of its answer.")
    live_idle_seconds: float = _figure(300.0, "Time that a live socket may stay open without a frame.")
    stop_seconds: float = _figure(25.0, "Time for what runs to end, once the server is told to stop.")
    formats: tuple[str, ...] = _figure(("JPEG", "PNG", "WEBP"), "Picture format to accept; may be repeated.")
    allow_origins: tuple[str, ...] = _figure((), "Origin of another site that may use the server; may be repeated.")
    allow_hosts: tuple[str, ...] = _figure(
        (), "Host name to answer to; may be repeated.  [default: any, or on loopback its own names]"
    )
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, int | float) and entry.name != "port" and value <= 0:
                raise OptionError(f"{entry.name} must be above 0, got {value}")
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port must be 0 to 65535, got {self.port}")
        if self.live_quality > 95:
            raise OptionError(f"live_quality must be 1 to 95, got {self.live_quality}")
        if self.api_key is not None and not self.api_key.strip():
            raise OptionError("the API key is empty")
        for name in self.formats:
            if name not in FORMATS:
                raise OptionError(f"no format {name!r}; formats: {', '.join(FORMATS)}{did_you_mean(name, FORMATS)}")
        for origin in self.allow_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise OptionError(f"an origin is scheme://host[:port], as https://example.org; got {origin!r}")

    @property
    def loopback(self) -> bool:
        return self.host in LOOPBACK_HOSTS or self.host.startswith("127.")


LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
