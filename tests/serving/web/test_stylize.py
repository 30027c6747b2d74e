from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from fststyle.serving.stylizer import Stylizer

from .conftest import Running, StartServer, encoded


def opened(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(BytesIO(response.content))


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    return response.status_code, error["type"], error["message"]


def test_the_answer_is_what_the_stylizer_makes(web: Running, tiny_style_file: Path) -> None:
    photo = encoded(format_name="PNG")
    stylizer = Stylizer(tiny_style_file, device="cpu", threads=1)
    for look in ({}, {"strength": 0.5, "keep_color": True, "max_size": 20}):
        expected = Image.open(BytesIO(stylizer(photo, **look)))
        np.testing.assert_array_equal(np.asarray(opened(web.stylize(photo, **look))), np.asarray(expected))


def test_what_the_headers_tell(web: Running, photo: bytes) -> None:
    response = web.stylize(photo, style="tiny")
    assert response.headers["x-style"] == "tiny"
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "no-store"
    steps = [step.split(";dur=") for step in response.headers["server-timing"].split(", ")]
    assert [name for name, _ in steps] == ["queue", "decode", "inference", "encode"]
    assert all(float(took) >= 0 for _, took in steps)


def test_a_form(web: Running, photo: bytes) -> None:
    fields = {"max_size": "20", "keep_color": "on", "style": "tiny"}
    response = web.client.post("/v1/stylize?strength=0.5", files={"image": ("p.jpg", photo)}, data=fields)
    assert opened(response).size == (20, 15)
    assert response.content == web.stylize(photo, max_size=20, keep_color=True, strength=0.5).content


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/webp", "image/webp"),
        ("image/avif, image/png;q=0.2, image/webp;q=0.9", "image/webp"),
        ("image/*;q=0.5, image/jpeg;q=0", "image/png"),
    ],
)
def test_accept_chooses_the_format(web: Running, photo: bytes, accept: str | None, media_type: str) -> None:
    response = web.client.post("/v1/stylize", content=photo, headers={"accept": accept} if accept else {})
    assert response.headers["content-type"] == media_type
    assert opened(response).get_format_mimetype() == media_type


def test_a_transparent_picture_is_no_jpeg(web: Running) -> None:
    buffer = BytesIO()
    Image.new("RGBA", (20, 20), (255, 0, 0, 90)).save(buffer, "PNG")
    either = web.client.post(
        "/v1/stylize", content=buffer.getvalue(), headers={"accept": "image/jpeg, image/webp;q=0.1"}
    )
    assert opened(either).getchannel("A").getextrema() == (90, 90)
    only = web.client.post("/v1/stylize", content=buffer.getvalue(), headers={"accept": "image/jpeg"})
    assert error_of(only)[:2] == (422, "OptionError")


def test_one_frame_of_an_animation(web: Running) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green")]
    buffer = BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    image = opened(web.stylize(buffer.getvalue()))
    assert (image.format, getattr(image, "n_frames", 1)) == ("WEBP", 1)


def test_more_formats_where_they_are_allowed(start_server: StartServer) -> None:
    web = start_server(formats=("JPEG", "GIF"))
    assert opened(web.stylize(encoded(format_name="GIF"))).format == "PNG"
    assert error_of(web.stylize(encoded(format_name="PNG"))) == (
        415,
        "UnsupportedFormatError",
        "the picture is PNG; accepted: JPEG, GIF",
    )


@pytest.mark.parametrize(
    ("query", "status", "kind", "message"),
    [
        ("style=tinny", 404, "StyleNotFoundError", "no style named 'tinny'; styles: tiny; did you mean 'tiny'?"),
        ("style=../tiny", 404, "StyleNotFoundError", "styles: tiny"),
        ("style=/etc/passwd", 404, "StyleNotFoundError", "styles: tiny"),
        ("style=tiny.onnx", 404, "StyleNotFoundError", "did you mean 'tiny'"),
        ("strength=2", 422, "OptionError", "strength must be 0 to 1, got 2.0"),
        ("strength=nan", 422, "OptionError", "strength must be 0 to 1"),
        ("strength=much", 422, "OptionError", "strength must be a number, got 'much'"),
        ("blend=netwrok", 422, "OptionError", "did you mean 'network'?"),
        ("blend=network", 422, "OptionError", "tiny is a network of one style"),
        ("style=tiny:1", 404, "StyleNotFoundError", "there is none of these"),
        ("keep_color=perhaps", 422, "OptionError", "keep_color must be true or false"),
        ("max_size=0", 422, "OptionError", "from 1 to 1536"),
        ("max_size=4096", 422, "OptionError", "from 1 to 1536"),
        ("max_size=1.5", 422, "OptionError", "a whole number"),
        ("strenght=1", 422, "OptionError", "did you mean 'strength'?"),
        ("strength=1&strength=0", 422, "OptionError", "given twice"),
    ],
)
def test_wrong_parameters(web: Running, photo: bytes, query: str, status: int, kind: str, message: str) -> None:
    got = error_of(web.client.post(f"/v1/stylize?{query}", content=photo))
    assert got[:2] == (status, kind)
    assert message in got[2]


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"", {}, 422, "InputError"),
        (b"text", {}, 415, "UnsupportedFormatError"),
        (b"text", {"content-type": "text/plain"}, 415, "UnsupportedMediaType"),
        (b"text", {"content-type": "multipart/form-data"}, 422, "InputError"),
        (b"text", {"content-type": "multipart/form-data; boundary=x"}, 422, "InputError"),
        (b"", {"content-type": "multipart/form-data; boundary=x"}, 422, "InputError"),
        (encoded(format_name="TIFF"), {}, 415, "UnsupportedFormatError"),
        (encoded()[:500], {}, 422, "InputError"),
        (encoded(), {"accept": "text/html"}, 406, "NotAcceptable"),
        (encoded(), {"accept": "image/jpeg;q=0"}, 406, "NotAcceptable"),
    ],
)
def test_wrong_bodies(web: Running, body: bytes, headers: dict[str, str], status: int, kind: str) -> None:
    assert error_of(web.client.post("/v1/stylize", content=body, headers=headers))[:2] == (status, kind)


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({"photo": ("p.jpg", b"x")}, {}),
        ({"image": ("p.jpg", b"x")}, {"style": "x" * 5000}),
        ({"image": ("p.jpg", b"x")}, {f"f{number}": "1" for number in range(20)}),
    ],
)
def test_wrong_forms(web: Running, files: dict[str, tuple[str, bytes]], data: dict[str, str]) -> None:
    assert error_of(web.client.post("/v1/stylize", files=files, data=data))[:2] == (422, "InputError")


def test_nothing_but_post(web: Running) -> None:
    assert error_of(web.client.get("/v1/stylize"))[:2] == (405, "MethodNotAllowed")
    assert error_of(web.client.get("/v2/stylize"))[:2] == (404, "NotFound")
