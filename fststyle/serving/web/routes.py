"""The HTTP routes but the one that stylises: the page, the styles, health, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from fststyle.serving.web import metrics
from fststyle.serving.web.page import INDEX, Asset, read_assets
from fststyle.serving.web.problems import Refusal
from fststyle.serving.web.service import Service


def page_routes() -> APIRouter:
    router, assets = APIRouter(include_in_schema=False), read_assets()

    def serve(request: Request, name: str) -> Response:
        if name not in assets:
            raise Refusal(404, "NotFound", "there is no such page")
        return _cached(request, assets[name], "no-cache")

    @router.get("/")
    async def index(request: Request) -> Response:
        return serve(request, INDEX)

    @router.get("/page/{name:path}")
    async def asset(request: Request, name: str) -> Response:
        return serve(request, name)

    return router


def style_routes(service: Service) -> APIRouter:
    router, gallery, settings = APIRouter(prefix="/v1/styles", tags=["styles"]), service.gallery, service.settings
    listing: dict[str, Any] = {
        "styles": gallery.describe(),
        "default": gallery.default,
        "provider": gallery.provider,
        "mask_parts": [*gallery.parts],
        "limits": {
            "max_body_bytes": settings.max_body_bytes,
            "max_pixels": settings.max_pixels,
            "max_size": settings.max_size,
        },
    }

    @router.get("", summary="The styles there are", responses={200: {"content": _example(listing)}})
    async def styles() -> JSONResponse:
        return JSONResponse(listing, headers={"cache-control": "no-cache"})

    @router.get("/{name}/preview", summary="A style's painting, small", response_class=Response)
    async def preview(request: Request, name: str) -> Response:
        return picture(request, *gallery.preview(name))

    @router.get("/{name}/styles/{inside}/preview", summary="A painting of a palette, small", response_class=Response)
    async def inner_preview(request: Request, name: str, inside: str) -> Response:
        return picture(request, *gallery.preview(name, inside))

    def picture(request: Request, data: bytes, media_type: str, digest: str) -> Response:
        return _cached(request, Asset(data, media_type, f'"{digest}"'), "public, max-age=3600")

    return router


def state_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get("/healthz", summary="The server runs", responses={200: {"content": _example({"status": "ok"})}})
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    @router.get("/readyz", summary="Every style is warm, and the server is not about to stop")
    async def readyz() -> JSONResponse:
        gallery = service.gallery
        ready = gallery.ready and not service.stopping
        status = "ready" if ready else "stopping" if service.stopping else "failed" if gallery.failure else "starting"
        content = {"status": status, "warm": gallery.warm, "styles": len(gallery.stylizers)}
        return JSONResponse(content, 200 if ready else 503, {"cache-control": "no-store"})

    @router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def figures() -> Response:
        return Response(service.metrics.text(), media_type=metrics.MEDIA_TYPE)

    return router


def _cached(request: Request, asset: Asset, control: str) -> Response:
    headers = {"etag": asset.etag, "cache-control": control}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.data, media_type=asset.media_type, headers=headers)


def _example(content: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"example": content}}
