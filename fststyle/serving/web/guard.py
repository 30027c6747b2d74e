"""What stands before every route: the host's name, the origin, the key; and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fststyle.serving.web.problems import Refusal, answer
from fststyle.serving.web.service import Service
from fststyle.serving.web.settings import LOOPBACK_HOSTS, ServerSettings

_PERMISSIONS = ("accelerometer", "display-capture", "geolocation", "gyroscope", "microphone", "payment", "usb")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": ", ".join(["camera=(self)", *(f"{name}=()" for name in _PERMISSIONS)]),
    "cross-origin-opener-policy": "same-origin",
}
_NO_CONTENT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9a-f:]+\](:\d+)?", re.ASCII | re.IGNORECASE)


def page_policy(host: str) -> str:
    """The content policy of the page and its files; ``host`` is the request's, as not every browser takes ``'self'``
    to include the same origin's sockets.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        f"connect-src 'self'{sockets}; media-src 'self' blob:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def same_origin(origin: str, host: str) -> bool:
    """The scheme is left out: behind a proxy that ends TLS the server does not know its own."""
    return urlsplit(origin).netloc.casefold() == host.casefold() != ""


def key_of(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else headers.get("x-api-key")


def key_fits(given: object, expected: str) -> bool:
    """In a time that tells nothing of where, or at which length, the two differ."""
    digests = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (str(given or ""), expected))
    return hmac.compare_digest(*digests)


class Guard:
    """ASGI middleware; refuses before the request's body is looked at, counts, and adds the security headers."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        page = path == "/" or path.startswith("/page/")
        policy = page_policy(headers.get("host", "")) if page else _NO_CONTENT_POLICY

        async def send_safely(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                added = MutableHeaders(scope=message)
                added.update(_HEADERS | {"content-security-policy": policy})
                allowed = "cross-origin" if self.service.settings.allow_origins else "same-origin"
                added["cross-origin-resource-policy"] = allowed
                route = getattr(scope.get("route"), "path", "none")
                self.service.metrics.requests.labels(route, str(message["status"])).inc()
            await send(message)

        try:
            check(scope, headers, self.service.settings)
        except Refusal as refusal:
            self.service.metrics.rejects.labels(refusal.kind).inc()
            await _refuse(refusal, scope, receive, send_safely)
            return
        await self.app(scope, receive, send_safely)


def check(scope: Scope, headers: Headers, settings: ServerSettings) -> None:
    """:class:`Refusal` for another host's name (421), another site's page (403), no key or a wrong one (401)."""
    host = headers.get("host", "")
    # A name that leads to a loopback address is how another site's page reaches a server that listens only there.
    hosts = settings.allow_hosts or (LOOPBACK_HOSTS if settings.loopback else None)
    if hosts is not None and _name_of(host) not in hosts:
        raise Refusal(421, "WrongHost", "this server does not answer to that host name")
    origin = headers.get("origin")
    reading = scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS")
    if origin is not None and not reading and origin not in settings.allow_origins and not same_origin(origin, host):
        raise Refusal(403, "ForeignOrigin", "pages of other sites may not use this server")
    if settings.api_key is not None and _needs_key(scope) and not key_fits(key_of(headers), settings.api_key):
        raise Refusal(401, "Unauthorized", "this server wants a key: Authorization: Bearer KEY, or X-API-Key: KEY")


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})  # before it was accepted: a plain 403
    else:
        await answer(refusal)(scope, receive, send)


def _name_of(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].casefold()


def _needs_key(scope: Scope) -> bool:
    """Previews are for ``<img>``, which sends no header; live sockets see to the key themselves."""
    path = scope["path"]
    if scope["type"] == "websocket" or scope["method"] == "OPTIONS":
        return False
    return path == "/metrics" or (path.startswith("/v1/") and not path.endswith("/preview"))
