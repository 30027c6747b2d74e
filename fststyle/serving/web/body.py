"""A request's body, counted while it comes in, and the pictures and the parameters in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import Request
from starlette.requests import ClientDisconnect

from fststyle.errors import InputError
from fststyle.serving.web.budgets import ByteAccount
from fststyle.serving.web.problems import ClientGoneError, Refusal
from fststyle.serving.web.settings import ServerSettings

MULTIPART, IMAGE_FIELD, MASK_FIELD = "multipart/form-data", "image", "mask"
_PICTURES = (IMAGE_FIELD, MASK_FIELD)
_MOST_PARTS = 16
_LONGEST_VALUE = 1000


async def read_body(request: Request, settings: ServerSettings, account: ByteAccount) -> bytes:
    """The whole body; ``account`` counts what is held.

    :raises Refusal: too many bytes (413), whatever the header said; too slow (408); no memory for it now (429).
    :raises ClientGoneError: the client hung up.
    """
    too_large = Refusal(413, "BodyTooLarge", f"the body is larger than {settings.max_body_bytes} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > settings.max_body_bytes:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for chunk in _stream(request):
                size += len(chunk)
                if size > settings.max_body_bytes:
                    raise too_large
                account.add(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(408, "TooSlow", f"the body took longer than {settings.body_seconds:g} s") from None
    return b"".join(chunks)


async def _stream(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise ClientGoneError from None


@dataclass
class Form:
    """A form's pictures and its other fields."""

    image: bytes | None = None
    mask: bytes | None = None
    values: dict[str, str] = field(default_factory=dict)


def parse_body(body: bytes, content_type: str) -> Form:
    """What is in ``body``: a form with the field ``image``, or a picture alone.

    :raises Refusal: a content type that is neither a picture's nor a form's (415).
    :raises InputError: a damaged form, or one without a picture.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == MULTIPART:
        form = _parse_form(body, content_type)
        if form.image is None:
            raise InputError(f"the form has no field {IMAGE_FIELD!r}")
        return form
    if media_type and not media_type.startswith("image/") and media_type != "application/octet-stream":
        message = f"the content type is {media_type[:80]!r}; send a picture (image/*) or a form ({MULTIPART})"
        raise Refusal(415, "UnsupportedMediaType", message)
    return Form(image=body)


def _parse_form(body: bytes, content_type: str) -> Form:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise InputError("the form's content type has no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InputError("the form is damaged or cut short") from error
    if not parts.complete:
        raise InputError("the form is damaged or cut short")
    return parts.form()


class _Parts:
    """What the parser finds, part by part; positions point into the body, which is there as a whole."""

    def __init__(self) -> None:
        self.found: list[tuple[str, bytearray]] = []
        self.complete = False
        self._header, self._value = b"", b""

    def callbacks(self) -> dict[str, object]:
        names = ("part_begin", "header_field", "header_value", "header_end", "part_data", "end")
        return {f"on_{name}": getattr(self, name) for name in names}

    def part_begin(self) -> None:
        if len(self.found) == _MOST_PARTS:
            raise InputError(f"the form has more than {_MOST_PARTS} fields")
        self.found.append(("", bytearray()))

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        if self._header.lower() == b"content-disposition":
            name = parse_options_header(self._value)[1].get(b"name", b"")
            self.found[-1] = (name.decode("utf-8", "replace"), self.found[-1][1])
        self._header, self._value = b"", b""

    def part_data(self, data: bytes, start: int, end: int) -> None:
        name, value = self.found[-1]
        if name not in _PICTURES and len(value) + end - start > _LONGEST_VALUE:
            raise InputError(f"the form's field {name[:80]!r} is too long")
        value += memoryview(data)[start:end]

    def end(self) -> None:
        self.complete = True

    def form(self) -> Form:
        form = Form()
        for name, value in self.found:
            if name == IMAGE_FIELD:
                form.image = bytes(value)
            elif name == MASK_FIELD:
                form.mask = bytes(value)
            else:
                form.values[name] = value.decode("utf-8", "replace")
        return form
