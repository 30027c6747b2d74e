import json
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from fststyle.errors import ModelError, OptionError
from fststyle.serving.masks import Mask
from fststyle.serving.regions import MaskedStylizer
from fststyle.serving.segmenter import PersonSegmenter
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.gallery import Gallery
from fststyle.serving.web.self_test_pictures import claimed_png

from ..test_segmenter import save_network
from .conftest import Running, StartServer, encoded
from .test_live import closed, frame, opened, told
from .test_routes import samples
from .test_stylize import error_of

LEFT = np.zeros((30, 40), np.uint8)
LEFT[:, :20] = 255


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(BytesIO(response.content)))


def masked(web: Running, photo: bytes, mask: bytes, **fields: Any) -> httpx.Response:
    files = {"image": ("photo", photo), "mask": ("mask", mask)}
    return web.client.post("/v1/stylize", files=files, data={name: str(value) for name, value in fields.items()})


@pytest.fixture(scope="module")
def photo() -> bytes:
    """The left half is red, the right one blue, and both are mottled; 40 x 30 px, as are the masks."""
    values = np.random.default_rng(0).integers(0, 60, (30, 40, 3), np.uint8)
    values[:, :20, 0] += 195
    values[:, 20:, 2] += 195
    return png(values)


@pytest.fixture
def people(start_server: StartServer, person_model: Path) -> Running:
    """A server with a mask model that finds a person on the left of ``photo``."""
    return start_server(mask_model=person_model)


def test_a_white_mask_is_as_none_and_a_black_one_leaves_the_photo(web: Running, photo: bytes) -> None:
    white, black = (masked(web, photo, png(np.full((30, 40), value, np.uint8))) for value in (255, 0))
    assert white.content == web.stylize(photo).content
    np.testing.assert_array_equal(pixels(black), np.asarray(Image.open(BytesIO(photo))))


def test_half_a_mask_leaves_the_other_half_as_it_was(web: Running, photo: bytes) -> None:
    result, given, styled = pixels(masked(web, photo, png(LEFT))), Image.open(BytesIO(photo)), web.stylize(photo)
    np.testing.assert_array_equal(result[:, 20:], np.asarray(given)[:, 20:])
    np.testing.assert_array_equal(result[:, :20], pixels(styled)[:, :20])


def test_a_transparent_mask_counts_where_it_is_opaque(web: Running, photo: bytes) -> None:
    clear = png(np.dstack([np.full((30, 40, 3), 90, np.uint8), LEFT]))
    assert masked(web, photo, clear).content == masked(web, photo, png(LEFT)).content


def test_a_mask_of_another_size_with_feather_is_what_the_stylizer_makes(
    web: Running, photo: bytes, tiny_style_file: Path
) -> None:
    large = np.kron(LEFT, np.ones((3, 3), np.uint8))
    stylizer = MaskedStylizer(Stylizer(tiny_style_file, device="cpu", threads=1), Image.fromarray(large), feather=1.5)
    expected = Image.open(BytesIO(stylizer(photo, max_size=20)))
    response = masked(web, photo, png(large), feather=1.5, max_size=20)
    np.testing.assert_array_equal(pixels(response), np.asarray(expected))
    assert response.content != masked(web, photo, png(large), max_size=20).content


def test_the_time_of_a_mask_is_told_and_counted(web: Running, photo: bytes) -> None:
    steps = masked(web, photo, png(LEFT)).headers["server-timing"].split(", ")
    assert [step.split(";")[0] for step in steps] == ["queue", "decode", "mask", "inference", "encode"]
    assert samples(web.client.get("/metrics"))['fststyle_stage_seconds_count{stage="mask"}'] == 1


@pytest.mark.parametrize(
    ("mask", "status", "kind", "message"),
    [
        (b"", 422, "InputError", "the mask is empty (0 bytes)"),
        (b"text", 415, "UnsupportedFormatError", "the mask is of no known format; accepted: JPEG, PNG, WEBP"),
        (encoded(format_name="TIFF"), 415, "UnsupportedFormatError", "the mask is TIFF; accepted: JPEG, PNG, WEBP"),
        (encoded()[:500], 422, "InputError", "the mask is damaged or cut short"),
        (claimed_png(30_000, 30_000), 413, "ImageTooLargeError", "the mask has 30000 x 30000 pixels, above the cap"),
        (
            png(LEFT.T),
            422,
            "InputError",
            "the mask has 30 x 40 pixels and the photo, upright, 40 x 30: a mask may have another size, but not",
        ),
    ],
)
def test_wrong_masks(web: Running, photo: bytes, mask: bytes, status: int, kind: str, message: str) -> None:
    got = error_of(masked(web, photo, mask))
    assert got[:2] == (status, kind)
    assert got[2].startswith(message)
    assert web.stylizer.count == 0


def test_a_mask_counts_in_the_cap_of_bytes(start_server: StartServer, photo: bytes) -> None:
    web = start_server(max_body_bytes=2 * len(photo))
    assert masked(web, photo, png(LEFT)).status_code == 200
    noise = np.random.default_rng(1).integers(0, 256, (60, 80), np.uint8)
    assert error_of(masked(web, photo, png(noise)))[:2] == (413, "BodyTooLarge")
    assert web.service.bytes.used == 0


def test_masks_are_decoded_within_the_cap_of_pixels(start_server: StartServer, photo: bytes) -> None:
    web = start_server(max_pixels=10_000, workers=4)
    mask = png(np.full((75, 100), 255, np.uint8))
    threads, answers = web.in_background(6, lambda: masked(web, photo, mask))
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, web.service.workshop.pixels.used)
    assert [answer.status_code for answer in answers] == [200] * 6
    assert most <= 10_000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"feather": -1}, "feather must be 0 to 10000 pixels, got -1"),
        ({"feather": "nan"}, "feather must be 0 to 10000 pixels"),
        ({"feather": "soft"}, "feather must be a number, got 'soft'"),
        ({"fether": 1}, "did you mean 'feather'?"),
        ({"mask_part": "person"}, "mask and mask_part both say where the style goes; send one of them"),
    ],
)
def test_wrong_parameters_of_masks(people: Running, photo: bytes, fields: dict[str, object], message: str) -> None:
    status, kind, said = error_of(masked(people, photo, png(LEFT), **fields))
    assert (status, kind) == (422, "OptionError")
    assert message in said


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("mask=left.png", "a mask is a picture: send it in a form (multipart/form-data), beside the field 'image'"),
        ("feather=3", "feather is for masks, and there is none"),
        ("mask_part=persn", "mask_part must be person or background, got 'persn'; did you mean 'person'?"),
    ],
)
def test_what_a_request_without_a_mask_cannot_ask_for(people: Running, photo: bytes, query: str, message: str) -> None:
    status, kind, said = error_of(people.client.post(f"/v1/stylize?{query}", content=photo))
    assert (status, kind) == (422, "OptionError")
    assert message in said


@pytest.mark.parametrize("part", ["person", "background"])
def test_a_style_for_a_part(
    people: Running, photo: bytes, part: str, tiny_style_file: Path, person_model: Path
) -> None:
    mask: Mask = getattr(PersonSegmenter(person_model, threads=1), part)
    stylizer = MaskedStylizer(Stylizer(tiny_style_file, device="cpu", threads=1), mask, feather=2)
    response = people.stylize(photo, mask_part=part, feather=2)
    np.testing.assert_array_equal(pixels(response), np.asarray(Image.open(BytesIO(stylizer(photo)))))
    assert "mask;dur=" in response.headers["server-timing"]
    files = {"image": ("photo", photo)}
    assert people.client.post("/v1/stylize", files=files, data={"mask_part": part, "feather": "2"}).content == (
        response.content
    )


def test_without_a_mask_model_a_part_is_refused_and_says_what_is_missing(web: Running, photo: bytes) -> None:
    message = "mask_part needs a mask model, and this server has none (fststyle serve --mask-model)"
    assert error_of(web.stylize(photo, mask_part="person")) == (422, "OptionError", message)
    with opened(web) as socket:
        told(socket)
        socket.send('{"mask_part": "background"}')
        assert told(socket)["error"] == {"type": "OptionError", "message": message}
    with opened(web, "?mask_part=person") as socket:
        assert told(socket)["error"]["message"] == message
        assert closed(socket) == 1008


def test_a_part_of_live_frames_is_changed_while_they_come(people: Running, photo: bytes) -> None:
    given = np.asarray(Image.open(BytesIO(photo)), float)

    def changes(image: Image.Image) -> list[float]:
        """Of the left half and of the right one, but for the middle, where JPEG's blocks have both."""
        difference = np.abs(np.asarray(image, float) - given)
        return [float(half.mean()) for half in (difference[:, :12], difference[:, 28:])]

    with opened(people, "?mask_part=background") as socket:
        assert told(socket)["mask_part"] == "background"
        socket.send(photo)
        report, background = frame(socket)
        assert report["mask_ms"] > 0
        socket.send('{"mask_part": "person"}')
        assert told(socket)["mask_part"] == "person"
        socket.send(photo)
        person = frame(socket)[1]
        socket.send('{"mask_part": null}')
        assert told(socket)["mask_part"] is None
        socket.send(photo)
        report, everywhere = frame(socket)
        assert "mask_ms" not in report
    (left, right), styled = changes(background), changes(everywhere)
    assert left < 0.5 * styled[0]
    assert right > 0.8 * styled[1]
    left, right = changes(person)
    assert left > 0.8 * styled[0]
    assert right < 0.5 * styled[1]


def test_a_wrong_part_changes_nothing_of_a_live_socket(people: Running) -> None:
    with opened(people, "?mask_part=person") as socket:
        before = told(socket)
        for wrong in ("everywhere", "", True, ["person"], {}):
            socket.send(json.dumps({"mask_part": wrong, "strength": 0.5}))
            assert "mask_part must be person or background" in told(socket)["error"]["message"]
        socket.send("{}")
        assert told(socket) == before


def test_a_mask_model_is_told_of(people: Running) -> None:
    assert people.client.get("/v1/styles").json()["mask_parts"] == ["person", "background"]
    post = people.client.get("/openapi.json").json()["paths"]["/v1/stylize"]["post"]
    part = next(parameter for parameter in post["parameters"] if parameter["name"] == "mask_part")
    assert (part["schema"]["enum"], part["example"]) == (["person", "background"], "person")
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"image", "mask", "mask_part", "feather"} <= form["properties"].keys()
    assert not {"mask", "mask_part"} <= form["example"].keys()


def test_without_a_mask_model_only_the_mask_is_described(web: Running) -> None:
    post = web.client.get("/openapi.json").json()["paths"]["/v1/stylize"]["post"]
    properties = post["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert "mask" in properties
    assert "mask_part" not in properties


def test_a_mask_model_that_gives_no_masks_is_found_before_anyone_asks(tiny_style_file: Path, tmp_path: Path) -> None:
    from onnx import helper

    broken = save_network(tmp_path / "nan.onnx", helper.make_node("Div", ["red", "red"], ["mask"]))
    with pytest.raises(ModelError, match="no numbers"):
        Gallery([Stylizer(tiny_style_file, device="cpu", threads=1)], PersonSegmenter(broken, threads=1))


def test_parts_are_looked_up_by_name(tiny_style_file: Path, person_model: Path) -> None:
    gallery = Gallery([Stylizer(tiny_style_file, device="cpu", threads=1)], PersonSegmenter(person_model, threads=1))
    assert [gallery.part(name).mask.inverted for name in gallery.parts] == [False, True]
    with pytest.raises(OptionError, match="did you mean 'background'"):
        gallery.part("backgrond")
