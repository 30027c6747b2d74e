import json
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from fststyle.mixes import parse_mix
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.gallery import Gallery
from fststyle.styles import read_style

from .conftest import Running, StartServer, encoded
from .test_live import closed, frame, opened, told
from .test_routes import samples
from .test_stylize import error_of

MIX = "dawn:0.75,dusk:0.25"


@pytest.fixture
def web(start_server: StartServer, palette_file: Path) -> Running:
    """A server with the style ``tiny`` and the palette ``pair``, which holds ``dawn`` and ``dusk``."""
    return start_server(palette_file)


@pytest.fixture(scope="module")
def pair(palette_file: Path) -> Stylizer:
    return Stylizer(palette_file, device="cpu", threads=1)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)))


@pytest.mark.parametrize(
    ("asked", "mix", "name"),
    [
        (MIX, MIX, MIX),
        ("dawn:3,dusk:1@pair", "dawn:3,dusk:1", "dawn:3,dusk:1"),
        ("dawn:1,photo:1", "dawn:1,photo:1", "dawn:1,photo:1"),
        ("dusk", "dusk:1", "dusk"),
        ("dusk@pair", "dusk:1", "dusk"),
        ("dawn:0,dusk:2", "dusk:1", "dusk"),
        ("photo:1", "photo:1", "photo"),
        ("pair", "dawn:1", "pair"),
    ],
)
def test_a_mix_is_what_the_stylizer_makes_of_it(web: Running, pair: Stylizer, asked: str, mix: str, name: str) -> None:
    photo, parsed = encoded(format_name="PNG"), parse_mix(mix)
    assert parsed is not None
    response = web.stylize(photo, style=asked)
    assert response.headers["x-style"] == name
    np.testing.assert_array_equal(pixels(response.content), pixels(pair.mixed(parsed)(photo)))


def test_styles_of_a_palette_differ(web: Running) -> None:
    photo = encoded(format_name="PNG")
    dawn, dusk, mixed = (pixels(web.stylize(photo, style=style).content) for style in ("dawn", "dusk", MIX))
    assert (dawn != dusk).any()
    assert (mixed != dawn).any()
    assert (mixed != dusk).any()


@pytest.mark.parametrize("blend", ["pixels", "network"])
def test_strength_is_a_blend_of_pixels_or_in_the_network(web: Running, pair: Stylizer, blend: str) -> None:
    photo, parsed = encoded(format_name="PNG"), parse_mix(MIX)
    assert parsed is not None
    expected = pair.mixed(parsed)(photo, strength=0.4, blend=blend)  # type: ignore[call-overload]
    response = web.stylize(photo, style=MIX, strength=0.4, blend=blend)
    np.testing.assert_array_equal(pixels(response.content), pixels(expected))


def test_a_form_may_bring_the_style_that_the_blend_needs(web: Running, photo: bytes) -> None:
    files = {"image": ("p.jpg", photo)}
    response = web.client.post("/v1/stylize?blend=network&strength=0.5", files=files, data={"style": MIX})
    assert response.headers["x-style"] == MIX
    assert error_of(web.client.post("/v1/stylize?blend=network", files=files))[:2] == (422, "OptionError")


@pytest.mark.parametrize(
    ("style", "status", "message"),
    [
        ("dawn:-1", 422, "the weight of 'dawn' must be a number of at least 0"),
        ("dawn:much", 422, "got 'much'"),
        ("dawn:nan,dusk:1", 422, "got nan"),
        ("dawn:1e999", 422, "got inf"),
        ("dawn:1e308,dusk:1e308", 422, "must have a sum"),
        ("dawn:0,dusk:0", 422, "at least one weight"),
        ("dawn:1,dawn:1", 422, "comes twice"),
        (",dawn:1", 422, "a mix is written NAME:WEIGHT"),
        ("dawn:1," + "x" * 3000, 422, "at most 2000 characters"),
        ("dwan:1,dusk:1", 404, "did you mean 'dawn'?"),
        ("dwan", 404, "styles: tiny, pair, dawn, dusk; did you mean 'dawn'?"),
        ("dawn:1,tiny:1", 404, "no palette holds a style named 'tiny'"),
        ("dawn:1@pear", 404, "no palette named 'pear'; palettes: pair; did you mean 'pair'?"),
        ("tiny:1@tiny", 404, "no palette named 'tiny'"),
        ("photo", 404, "no style named 'photo'"),
    ],
)
def test_a_mix_that_cannot_be(web: Running, photo: bytes, style: str, status: int, message: str) -> None:
    got = error_of(web.stylize(photo, style=style))
    assert got[:2] == (status, "OptionError" if status == 422 else "StyleNotFoundError")
    assert message in got[2]


def test_a_palette_is_never_a_path(
    web: Running, photo: bytes, palette_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(palette_file.parent)
    for palette in (palette_file, "./pair.onnx", "pair.onnx"):
        status, kind, message = error_of(web.stylize(photo, style=f"dawn:1@{palette}"))
        assert (status, kind) == (404, "StyleNotFoundError")
        assert "no style named" in message or "no palette named" in message


def test_a_palette_lists_what_is_in_it(web: Running, palette_file: Path) -> None:
    tiny, listed = web.client.get("/v1/styles").json()["styles"]
    assert tiny["styles"] == []
    assert (listed["name"], listed["preview"]) == ("pair", "/v1/styles/pair/preview")
    assert listed["styles"] == [
        {
            "name": name,
            "title": name.title(),
            "artist": "",
            "year": "",
            "weight": weight,
            "preview": f"/v1/styles/pair/styles/{name}/preview",
        }
        for name, weight in (("dawn", 1.0), ("dusk", 0.0))
    ]


def test_every_style_of_a_palette_has_a_preview_of_its_own(web: Running, palette_file: Path) -> None:
    previews = read_style(palette_file).previews
    assert previews["dawn"] != previews["dusk"]
    for name in ("dawn", "dusk"):
        response = web.client.get(f"/v1/styles/pair/styles/{name}/preview")
        assert response.content == previews[name]
        assert Image.open(BytesIO(response.content)).get_format_mimetype() == response.headers["content-type"]
        etag = {"if-none-match": response.headers["etag"]}
        assert web.client.get(f"/v1/styles/pair/styles/{name}/preview", headers=etag).status_code == 304
        assert web.client.get(f"/v1/styles/{name}/preview").content == previews[name]
    assert web.client.get("/v1/styles/pair/preview").content == previews["dawn"]


@pytest.mark.parametrize(
    "address",
    ["pair/styles/dwan", "pair/styles/photo", "tiny/styles/dawn", "pair/styles/..%2Fdawn", "pear/styles/dawn"],
)
def test_previews_that_are_not_there(web: Running, address: str) -> None:
    assert error_of(web.client.get(f"/v1/styles/{address}/preview"))[0] == 404


def test_the_mix_changes_live(web: Running, pair: Stylizer) -> None:
    photo = encoded(format_name="PNG")
    with opened(web, f"?style={quote('dawn:1,dusk:1')}") as socket:
        assert told(socket)["style"] == "dawn:1,dusk:1"
        for mix, look in (
            ("dawn:1,dusk:1", {}),
            (MIX, {}),
            ("dusk", {}),
            (MIX, {"strength": 0.5, "blend": "network"}),
            (MIX, {"strength": 0.5, "blend": "pixels"}),
        ):
            socket.send(json.dumps({"style": mix} | look))
            assert told(socket).items() >= ({"style": mix} | look).items()
            socket.send(photo)
            report, image = frame(socket)
            assert report["style"] == mix
            parsed = parse_mix(mix if ":" in mix else f"{mix}:1")
            assert parsed is not None
            expected = BytesIO()
            Image.open(BytesIO(pair.mixed(parsed)(photo, **look))).save(  # type: ignore[call-overload]
                expected, "JPEG", quality=web.service.settings.live_quality
            )
            np.testing.assert_array_equal(np.asarray(image), pixels(expected.getvalue()))


def test_a_mix_that_cannot_be_changes_nothing_live(web: Running, photo: bytes) -> None:
    with opened(web, f"?style={quote(MIX)}&blend=network") as socket:
        before = told(socket)
        assert before["blend"] == "network"
        for message, kind in (
            ({"style": "dawn:-1"}, "OptionError"),
            ({"style": "dwan:1"}, "StyleNotFoundError"),
            ({"style": "tiny"}, "OptionError"),  # of which the network is no mix with the photo
        ):
            socket.send(json.dumps(message))
            assert told(socket)["error"]["type"] == kind
        socket.send("{}")
        assert told(socket) == before
    with opened(web, "?style=tiny&blend=network") as socket:
        assert told(socket)["error"]["type"] == "OptionError"
        assert closed(socket) == 1008


def test_mixes_are_counted_under_their_palettes_name(web: Running, photo: bytes) -> None:
    for number in range(1, 4):
        web.stylize(photo, style=f"dawn:{number},dusk:1")
    web.stylize(photo, style="dusk")
    with opened(web, f"?style={quote(MIX)}") as socket:
        told(socket)
        socket.send(photo)
        frame(socket)
    found = samples(web.client.get("/metrics"))
    assert {name: count for name, count in found.items() if name.startswith("fststyle_inference_seconds_count")} == {
        'fststyle_inference_seconds_count{style="pair"}': 5
    }


def test_the_description_tells_of_mixes(web: Running) -> None:
    post = web.client.get("/openapi.json").json()["paths"]["/v1/stylize"]["post"]
    style, blend = (
        next(parameter["schema"] for parameter in post["parameters"] if parameter["name"] == name)
        for name in ("style", "blend")
    )
    names, mix = style["anyOf"]
    assert names["enum"] == ["tiny", "pair", "dawn", "dusk"]
    assert mix["example"] == "dawn:0.7,dusk:0.3"
    assert blend["enum"] == ["pixels", "network"]


def test_nothing_is_loaded_or_read_for_a_mix(palette_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "pair.onnx"
    file.write_bytes(palette_file.read_bytes())
    gallery = Gallery([Stylizer(file, device="cpu", threads=1)])
    file.unlink()
    photo = Image.new("RGB", (20, 20), "teal")
    mixed = gallery["dawn:1,dusk:1"]
    assert mixed(photo, strength=0.5, blend="network").size == (20, 20)
    assert mixed.engine._session is gallery["pair"].engine._session
    assert gallery["dusk"] is gallery["dusk:2"]
    for name in ("dawn", "dusk"):
        assert gallery.preview("pair", name)[0] == gallery.preview(name)[0]


def test_a_style_of_its_own_goes_before_one_in_a_palette(
    palette_file: Path, tiny_style_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "dawn.onnx").write_bytes(tiny_style_file.read_bytes())
    stylizers = [Stylizer(path, device="cpu", threads=1) for path in (palette_file, tmp_path / "dawn.onnx")]
    gallery = Gallery(stylizers)
    assert gallery["dawn"] is stylizers[1]
    assert gallery.preview("dawn") != gallery.preview("pair", "dawn")
    assert gallery.loaded_name(gallery["dawn"]) == "dawn"
    assert gallery.loaded_name(gallery["dawn@pair"]) == "pair"
