"""``POST /v1/stylize``: a picture in, the same picture in a style out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from starlette.responses import Response as StarletteResponse
from starlette.types import Receive, Scope, Send

from fststyle.errors import OptionError
from fststyle.serving.web.body import parse_body, read_body
from fststyle.serving.web.budgets import ByteBudget
from fststyle.serving.web.negotiation import MEDIA_TYPES, wanted_formats
from fststyle.serving.web.openapi import stylize_operation
from fststyle.serving.web.parameters import Choice, changed, default_choice
from fststyle.serving.web.problems import ClientGoneError
from fststyle.serving.web.service import Service
from fststyle.serving.web.work import Stylised

_PIECE = 64 * 1024


class InPieces(StarletteResponse):
    """An answer that is handed over piece by piece: what a slow client has not taken yet is not written ahead, and
    counts in ``budget``.
    """

    def __init__(self, content: bytes, budget: ByteBudget, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        view, size = memoryview(self.body), len(self.body)
        with self._budget.account() as account:
            account.record(size)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, size, _PIECE):
                piece, more = bytes(view[start : start + _PIECE]), start + _PIECE < size
                await send({"type": "http.response.body", "body": piece, "more_body": more})


class Stylize:
    """The route's work; one object a server."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, request: Request) -> Response:
        service = self.service
        settings, metrics = service.settings, service.metrics
        choice = self._choice(request)
        wishes = wanted_formats(request.headers.get("accept"))
        service.admit()
        with service.bytes.account() as account:
            body = await read_body(request, settings, account)
            metrics.received.inc(len(body))
            form = parse_body(body, request.headers.get("content-type", ""))
            if form.values:
                choice = changed(choice, form.values, service.gallery, settings.max_size)
            choice.check()
            choice.check_where(mask=form.mask is not None)
            service.admit()  # once more: others came while the body did
            async with departure(request) as gone:
                work = service.workshop.photo(form.image or b"", choice, wishes, form.mask)
                del body, form
                stylised, waited = await service.run(work, gone)
        metrics.observe(service.gallery.loaded_name(choice.stylizer), stylised.milliseconds)
        metrics.sent.inc(len(stylised.data))
        return self._answer(stylised, choice, waited)

    def _choice(self, request: Request) -> Choice:
        query = request.query_params
        if len(query.multi_items()) > len(query):
            raise OptionError("a parameter is given twice")
        largest = self.service.settings.max_size
        return changed(default_choice(self.service.gallery, largest), query, self.service.gallery, largest)

    def _answer(self, stylised: Stylised, choice: Choice, waited: float) -> Response:
        steps = {"queue": waited * 1000} | stylised.milliseconds
        headers = {
            "x-style": choice.stylizer.style.name,
            "server-timing": ", ".join(f"{step};dur={took:.1f}" for step, took in steps.items()),
            "cache-control": "no-store",
            "vary": "Accept",
        }
        return InPieces(stylised.data, self.service.bytes, MEDIA_TYPES[stylised.format], headers)


def stylize_route(service: Service) -> APIRouter:
    router, stylize = APIRouter(tags=["stylize"]), Stylize(service)
    extra = stylize_operation(service.settings, service.gallery)

    @router.post("/v1/stylize", summary="Stylise a picture", response_class=Response, openapi_extra=extra)
    async def post(request: Request) -> Response:
        return await stylize(request)

    return router


@contextlib.asynccontextmanager
async def departure(request: Request) -> AsyncIterator[asyncio.Future[None]]:
    """Done when the client hangs up; to be entered once the body has been read."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.ensure_future(watch())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ClientGoneError):
            await task
