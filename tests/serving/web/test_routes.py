import re
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

import fststyle
from fststyle.serving.web.page import FOLDER, read_assets
from fststyle.styles import read_style

from .conftest import Running, StartServer
from .test_stylize import error_of


def test_the_styles_are_listed(web: Running, tiny_style_file: Path) -> None:
    data = tiny_style_file.read_bytes()
    listing = web.client.get("/v1/styles").json()
    assert listing == {
        "styles": [
            {
                "name": "tiny",
                "title": "Stripes",
                "artist": "Nobody",
                "year": "2024",
                "licence": "CC0-1.0",
                "preset": read_style(tiny_style_file).preset,
                "bytes": len(data),
                "sha256": sha256(data).hexdigest(),
                "preview": "/v1/styles/tiny/preview",
                "styles": [],
            }
        ],
        "default": "tiny",
        "provider": "CPUExecutionProvider",
        "mask_parts": [],
        "limits": {"max_body_bytes": 32 * 2**20, "max_pixels": 50_000_000, "max_size": 1536},
    }


def test_a_preview_is_cached_by_its_digest(web: Running, tiny_style_file: Path) -> None:
    response = web.client.get("/v1/styles/tiny/preview")
    assert response.content == read_style(tiny_style_file).preview
    assert Image.open(BytesIO(response.content)).get_format_mimetype() == response.headers["content-type"]
    assert "max-age" in response.headers["cache-control"]
    again = web.client.get("/v1/styles/tiny/preview", headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["tinny", "..%2Ftiny", "%2Fetc%2Fpasswd", "tiny.onnx", "%00"])
def test_previews_are_looked_up_by_name(web: Running, name: str) -> None:
    assert error_of(web.client.get(f"/v1/styles/{name}/preview"))[0] == 404


def test_the_page_is_the_packages_files_and_no_other(web: Running) -> None:
    assets = read_assets()
    assert "index.html" in assets
    for name, asset in assets.items():
        response = web.client.get(f"/page/{name}")
        assert response.content == (FOLDER / name).read_bytes()
        assert response.headers["content-type"] == asset.media_type
        assert "script-src 'self';" in response.headers["content-security-policy"]
    assert web.client.get("/").content == assets["index.html"].data
    etag = {"if-none-match": assets["index.html"].etag}
    assert web.client.get("/", headers=etag).status_code == 304
    for name in ("..%2fpage.py", "../page.py", "%2e%2e/page.py", "", "no.js", "/etc/passwd", "index.html%00"):
        assert error_of(web.client.get(f"/page/{name}"))[0] == 404


def test_only_files_with_a_media_type_are_read(tmp_path: Path) -> None:
    for name in ("a.js", "b.py", "c"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d.js").mkdir()
    assert [*read_assets(tmp_path)] == ["a.js"]
    assert read_assets(tmp_path / "missing") == {}


def test_alive_and_ready_are_two_things(start_server: StartServer, photo: bytes) -> None:
    web = start_server()
    assert web.client.get("/healthz").json() == {"status": "ok"}
    assert web.client.get("/readyz").json() == {"status": "ready", "warm": 1, "styles": 1}
    web.service.gallery.warm = 0
    starting = web.client.get("/readyz")
    assert (starting.status_code, starting.json()["status"]) == (503, "starting")
    assert error_of(web.stylize(photo))[:2] == (503, "Starting")
    web.service.gallery.warm = 1
    web.service.stopping = True
    assert web.client.get("/readyz").json()["status"] == "stopping"
    assert error_of(web.stylize(photo))[:2] == (503, "Stopping")
    assert web.client.get("/healthz").status_code == 200


def samples(response: httpx.Response) -> dict[str, float]:
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_metrics(web: Running, photo: bytes) -> None:
    stylised = web.stylize(photo)
    web.stylize(b"nonsense")
    web.stylize(photo, style="none")
    response = web.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    found = samples(response)
    expected = {
        'fststyle_requests_total{route="/v1/stylize",status="200"}': 1,
        'fststyle_requests_total{route="/v1/stylize",status="415"}': 1,
        'fststyle_rejects_total{reason="UnsupportedFormatError"}': 1,
        'fststyle_rejects_total{reason="StyleNotFoundError"}': 1,
        "fststyle_received_bytes_total": len(photo) + len(b"nonsense"),
        "fststyle_sent_bytes_total": len(stylised.content),
        "fststyle_queue_wait_seconds_count": 2,
        'fststyle_inference_seconds_count{style="tiny"}': 1,
        'fststyle_stage_seconds_count{stage="decode"}': 1,
        "fststyle_queue_length": 0,
        "fststyle_ready": 1,
        'fststyle_style_info{provider="CPUExecutionProvider",style="tiny"}': 1,
    }
    assert expected.items() <= found.items()


def test_an_address_that_is_made_up_makes_no_new_metric(web: Running) -> None:
    for number in range(3):
        web.client.get(f"/made/up/{number}")
    routes = set(re.findall(r'fststyle_requests_total\{route="(.*?)"', web.client.get("/metrics").text))
    assert not [route for route in routes if "made" in route]


def test_the_description_has_examples(web: Running) -> None:
    description = web.client.get("/openapi.json").json()
    assert description["info"]["version"] == fststyle.__version__
    post = description["paths"]["/v1/stylize"]["post"]
    assert {parameter["name"]: parameter["example"] for parameter in post["parameters"]} == {
        "style": "tiny",
        "strength": 0.8,
        "blend": "pixels",
        "keep_color": True,
        "max_size": 1024,
        "feather": 4,
    }
    assert {"image/jpeg", "multipart/form-data"} <= post["requestBody"]["content"].keys()
    problems = {status: answer["content"] for status, answer in post["responses"].items() if status >= "400"}
    assert {"401", "406", "408", "413", "415", "422", "429", "503", "504"} <= problems.keys()
    for content in problems.values():
        assert content["application/problem+json"]["example"]["error"].keys() == {"type", "message"}
    listing = description["paths"]["/v1/styles"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert listing == web.client.get("/v1/styles").json()


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_there_are_no_pages_that_need_other_sites(web: Running, path: str) -> None:
    assert web.client.get(path).status_code == 404
