"""What the interface's description says of ``POST /v1/stylize``, whose body is a picture or a form."""

from __future__ import annotations

from typing import Any, get_args

from fststyle.serving.look import Blend
from fststyle.serving.masks import LARGEST_FEATHER
from fststyle.serving.web.gallery import Gallery
from fststyle.serving.web.negotiation import MEDIA_TYPES
from fststyle.serving.web.palettes import LONGEST_MIX
from fststyle.serving.web.problems import MEDIA_TYPE
from fststyle.serving.web.settings import ServerSettings

_PICTURE = {"type": "string", "format": "binary"}
_MASK = _PICTURE | {
    "description": "Grey or transparent picture of the image's shape: the style goes where it is white or opaque."
}
_PROBLEMS = {
    401: ("Unauthorized", "this server wants a key: Authorization: Bearer KEY, or X-API-Key: KEY"),
    403: ("ForeignOrigin", "pages of other sites may not use this server"),
    404: (
        "StyleNotFoundError",
        "no style named 'the_screm'; styles: great_wave, the_scream; did you mean 'the_scream'?",
    ),
    406: ("NotAcceptable", "pictures come as image/jpeg, image/png, image/webp"),
    408: ("TooSlow", "the body took longer than 30 s"),
    413: ("ImageTooLargeError", "the picture has 20000 x 20000 pixels, above the cap of 50 megapixels (max_pixels)"),
    415: ("UnsupportedFormatError", "the picture is TIFF; accepted: JPEG, PNG, WEBP"),
    422: ("OptionError", "strength must be 0 to 1, got 2.0"),
    429: ("Busy", "32 requests wait already"),
    503: ("QueueTimeout", "no worker came free within 30 s"),
    504: ("InferenceTimeout", "the picture took longer than 60 s; ask for a smaller max_size"),
}


def parameter_schemas(settings: ServerSettings, gallery: Gallery) -> dict[str, dict[str, Any]]:
    part = {"type": "string", "enum": [*gallery.parts], "description": "The style goes there only; not with a mask."}
    schemas: dict[str, dict[str, Any]] = {
        "style": _style_schema(gallery),
        "strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
        "blend": {
            "type": "string",
            "enum": [*get_args(Blend)],
            "default": "pixels",
            "description": "What is between the photo and full strength: a blend of pixels, or, of a palette's styles, "
            "weaker strokes.",
        },
        "keep_color": {"type": "boolean", "default": False},
        "max_size": {"type": "integer", "minimum": 1, "maximum": settings.max_size, "default": settings.max_size},
        "feather": {
            "type": "number",
            "minimum": 0,
            "maximum": LARGEST_FEATHER,
            "default": 0,
            "description": "Soft edges of a mask or a part, in pixels of the result.",
        },
    }
    return schemas | ({"mask_part": part} if gallery.parts else {})


def _style_schema(gallery: Gallery) -> dict[str, Any]:
    styles = gallery.palettes.styles
    names = {"type": "string", "enum": [*dict.fromkeys([*gallery.stylizers, *styles])]}
    if not styles:
        return names | {"default": gallery.default}
    mix = {
        "type": "string",
        "maxLength": LONGEST_MIX,
        "pattern": "^[^:,@]+(:[^:,@]+)?(,[^:,@]+(:[^:,@]+)?)*(@.+)?$",
        "description": "A mix of a palette's styles, with their weights; @NAME names the palette.",
        "example": ",".join(f"{style}:{weight}" for style, weight in zip(styles, (0.7, 0.3), strict=False)),
    }
    return {"anyOf": [names, mix], "default": gallery.default}


def stylize_operation(settings: ServerSettings, gallery: Gallery) -> dict[str, Any]:
    """The part of the OpenAPI operation that no signature tells."""
    schemas = parameter_schemas(settings, gallery)
    examples: dict[str, Any] = {
        "style": gallery.default,
        "strength": 0.8,
        "blend": "pixels",
        "keep_color": True,
        "max_size": 1024,
        "feather": 4,
    }
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": _PICTURE, "mask": _MASK} | schemas,
        "example": {"image": "(the file)", "mask": "(the file)"} | examples,
    }
    examples |= {"mask_part": "person"}  # a request has a mask or a part
    pictures = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema, "example": examples[name]}
            for name, schema in schemas.items()
        ],
        "requestBody": {
            "required": True,
            "content": {name: {"schema": _PICTURE} for name in pictures} | {"multipart/form-data": {"schema": form}},
        },
        "responses": {"200": _stylised(gallery)} | {str(status): _problem(status) for status in _PROBLEMS},
    }


def _stylised(gallery: Gallery) -> dict[str, Any]:
    timing = "queue;dur=3.1, decode;dur=8.0, mask;dur=5.4, inference;dur=412.5, encode;dur=6.2"
    headers = {"X-Style": ("The style used", gallery.default), "Server-Timing": ("Milliseconds of each step", timing)}
    return {
        "description": "The stylised picture, in the format that Accept asks for, else in that of the input",
        "headers": {
            name: {"description": text, "schema": {"type": "string"}, "example": example}
            for name, (text, example) in headers.items()
        },
        "content": {name: {"schema": _PICTURE} for name in MEDIA_TYPES.values()},
    }


def _problem(status: int) -> dict[str, Any]:
    kind, message = _PROBLEMS[status]
    schema = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            }
        },
    }
    example = {"error": {"type": kind, "message": message}}
    return {"description": kind, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}
