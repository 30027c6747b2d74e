"""Errors as HTTP answers: one form, the status from the class, and nothing in the text that is not the client's."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

from fastapi.responses import JSONResponse

from fststyle.errors import DeviceError, FststyleError, outcome

logger = logging.getLogger("fststyle.serve")
MEDIA_TYPE = "application/problem+json"
# What a client is told when the fault is the server's; the log has the rest.
_INTERNAL = "the server failed; its log says why"
_OBJECT = re.compile(r"<[^<>]* at 0x[0-9a-f]+>|<_io\.[^<>]*>")


class Refusal(Exception):  # noqa: N818 - a client's request that is turned down is no error of the program
    """A request is not served, for a reason that only exists over HTTP.

    ``kind`` is what the answer and the metrics call the reason; ``retry_after`` is in seconds.
    """

    def __init__(self, status: int, kind: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.retry_after = status, kind, retry_after


class ClientGoneError(Exception):
    """There is nobody left to answer."""


def status_of(error: Exception) -> int:
    if isinstance(error, Refusal):
        return error.status
    return outcome(error).http_status if isinstance(error, FststyleError) else 500


def kind_of(error: Exception) -> str:
    if isinstance(error, Refusal):
        return error.kind
    return type(error).__name__ if isinstance(error, FststyleError) else "InternalError"


def describe(error: Exception) -> dict[str, Any]:
    """The JSON object of an error: ``{"error": {"type", "message"}}``; what only the server should know is logged."""
    message = str(error)
    if isinstance(error, DeviceError):
        logger.error("%s", error)
        message = "not enough memory for a picture of that size; ask for a smaller max_size"
    elif not isinstance(error, Refusal) and status_of(error) >= 500:
        if isinstance(error, FststyleError):  # what nobody thought of is logged with its trace where it is caught
            logger.error("%s", error)
        message = _INTERNAL
    return {"error": {"type": kind_of(error), "message": _OBJECT.sub("the data", message)}}


def answer(error: Exception) -> JSONResponse:
    headers = {"cache-control": "no-store"}
    if isinstance(error, Refusal) and error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if status_of(error) == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(describe(error), status_of(error), headers, MEDIA_TYPE)
