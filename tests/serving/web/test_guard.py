import httpx
import pytest

from fststyle.serving.web.guard import key_fits, key_of, page_policy, same_origin
from fststyle.serving.web.self_test_checks import FOREIGN

from .conftest import Running, StartServer
from .test_stylize import error_of

KEY = "correct horse"


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("https://Example.org", "example.org", True),
        ("http://127.0.0.1:8001", "127.0.0.1:8000", False),
        ("http://example.org.evil.example", "example.org", False),
        ("null", "", False),
        ("null", "null", False),
    ],
)
def test_same_origin(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same


@pytest.mark.parametrize(("given", "fits"), [(KEY, True), ("", False), (None, False), (KEY + " ", False), (5, False)])
def test_keys(given: object, fits: bool) -> None:
    assert key_fits(given, KEY) is fits


def test_where_a_key_is_looked_for() -> None:
    assert key_of({"authorization": f"bearer {KEY}"}) == KEY
    assert key_of({"x-api-key": KEY, "authorization": "Basic abc"}) == KEY
    assert key_of({}) is None


def test_a_hosts_name_cannot_add_to_the_policy() -> None:
    assert "ws://127.0.0.1:8000 wss://127.0.0.1:8000;" in page_policy("127.0.0.1:8000")
    assert "connect-src 'self';" in page_policy("a; script-src *")


def test_every_answer_has_the_security_headers(web: Running, photo: bytes) -> None:
    for response in (
        web.client.get("/"),
        web.client.get("/healthz"),
        web.client.get("/nowhere"),
        web.stylize(photo),
        web.stylize(b""),
    ):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["permissions-policy"].startswith("camera=(self), ")
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
        assert "unsafe" not in policy
        assert "server" not in response.headers


def test_other_origins_are_kept_out(web: Running, photo: bytes) -> None:
    origin = {"origin": FOREIGN}
    preflight = web.client.options("/v1/stylize", headers=origin | {"access-control-request-method": "POST"})
    refused = web.client.post("/v1/stylize", content=photo, headers=origin)
    assert preflight.status_code == 405
    assert error_of(refused)[:2] == (403, "ForeignOrigin")
    for response in (preflight, refused, web.client.get("/v1/styles", headers=origin)):
        assert not [name for name in response.headers if name.startswith("access-control-")]
    own = {"origin": web.server.address}
    assert web.client.post("/v1/stylize", content=photo, headers=own).status_code == 200


def test_an_origin_can_be_let_in(start_server: StartServer, photo: bytes) -> None:
    web = start_server(allow_origins=("https://friend.example",))
    friend = {"origin": "https://friend.example"}
    preflight = web.client.options(
        "/v1/stylize",
        headers=friend | {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"},
    )
    response = web.client.post("/v1/stylize", content=photo, headers=friend)
    for answer in (preflight, response):
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    assert "X-Style" in response.headers["access-control-expose-headers"]
    assert error_of(web.client.post("/v1/stylize", content=photo, headers={"origin": FOREIGN}))[0] == 403


def test_other_host_names_are_kept_out(web: Running) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]"):
        assert error_of(web.client.get("/v1/styles", headers={"host": host}))[:2] == (421, "WrongHost")
    for host in ("localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.1"):
        assert web.client.get("/v1/styles", headers={"host": host}).status_code == 200


def test_host_names_can_be_listed(start_server: StartServer) -> None:
    web = start_server(allow_hosts=("styles.example",))
    assert web.client.get("/v1/styles", headers={"host": "styles.example:443"}).status_code == 200
    assert web.client.get("/v1/styles").status_code == 421


def test_a_key_is_asked_for(start_server: StartServer, photo: bytes) -> None:
    web = start_server(api_key=KEY)
    for headers in ({}, {"x-api-key": "wrong"}, {"authorization": f"Basic {KEY}"}, {"authorization": "Bearer"}):
        for response in (
            web.client.get("/v1/styles", headers=headers),
            web.client.get("/metrics", headers=headers),
            web.client.post("/v1/stylize", content=photo, headers=headers),
        ):
            assert error_of(response)[:2] == (401, "Unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"
    for headers in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
        assert web.client.get("/v1/styles", headers=headers).status_code == 200
        assert web.client.post("/v1/stylize", content=photo, headers=headers).status_code == 200


def test_what_needs_no_key(start_server: StartServer) -> None:
    web = start_server(api_key=KEY)
    for path in ("/healthz", "/readyz", "/openapi.json", "/v1/styles/tiny/preview"):
        assert web.client.get(path).status_code == 200


def test_the_address_of_a_picture_is_not_fetched(web: Running) -> None:
    response: httpx.Response = web.client.post("/v1/stylize", data={"image": f"{web.server.address}/healthz"})
    assert error_of(response)[:2] == (415, "UnsupportedMediaType")
    response = web.client.post("/v1/stylize", files={"image": (None, f"{web.server.address}/healthz".encode())})
    assert error_of(response)[:2] == (415, "UnsupportedFormatError")
