"""The ASGI application, put together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from fststyle import __version__
from fststyle.errors import FststyleError
from fststyle.serving.web.guard import Guard
from fststyle.serving.web.live import live_route
from fststyle.serving.web.problems import ClientGoneError, Refusal, answer, kind_of
from fststyle.serving.web.routes import page_routes, state_routes, style_routes
from fststyle.serving.web.service import Service
from fststyle.serving.web.stylize import stylize_route

_EXPOSED = ["Retry-After", "Server-Timing", "X-Style"]


def create_app(service: Service) -> ASGIApp:
    """Everything that answers; the warm-up begins with the application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.gallery.warm_up(service.pool.expect)
        yield
        service.pool.stop()

    # The pages that draw the description need scripts of other sites, so there are none.
    app = FastAPI(title="fststyle", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    for router in (
        page_routes(),
        style_routes(service),
        stylize_route(service),
        live_route(service),
        state_routes(service),
    ):
        app.include_router(router)
    _handle_errors(app, service)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each damaged form
    guarded: ASGIApp = Guard(app, service)
    if service.settings.allow_origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=service.settings.allow_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=_EXPOSED,
        )
    return guarded


def _handle_errors(app: FastAPI, service: Service) -> None:
    async def refuse(request: Request, error: Exception) -> Response:
        service.metrics.rejects.labels(kind_of(error)).inc()
        return answer(error)

    async def refuse_route(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        kind, message = {
            404: ("NotFound", "there is no such address"),
            405: ("MethodNotAllowed", "this address does not take that method"),
        }.get(status, ("BadRequest", "the request makes no sense"))
        return await refuse(request, Refusal(status, kind, message))

    async def leave(request: Request, error: Exception) -> Response:
        service.metrics.rejects.labels("ClientGone").inc()
        return Response(status_code=499)  # nobody reads it

    app.add_exception_handler(Refusal, refuse)
    app.add_exception_handler(FststyleError, refuse)
    app.add_exception_handler(HTTPException, refuse_route)
    app.add_exception_handler(ClientGoneError, leave)
    app.add_exception_handler(Exception, refuse)
