import json
import socket
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from .conftest import PATIENCE, Running, StartServer, encoded


def opened(web: Running, query: str = "", **options: Any) -> ClientConnection:
    return connect(web.live + query, proxy=None, **options)


def told(socket: ClientConnection) -> dict[str, Any]:
    message = socket.recv(PATIENCE)
    assert isinstance(message, str)
    values: dict[str, Any] = json.loads(message)
    return values


def frame(socket: ClientConnection) -> tuple[dict[str, Any], Image.Image]:
    report, data = told(socket), socket.recv(PATIENCE)
    assert isinstance(data, bytes)
    return report, Image.open(BytesIO(data))


def closed(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(PATIENCE)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP"])
def test_a_frame(web: Running, format_name: str) -> None:
    with opened(web, "?style=tiny&strength=0.5&keep_color=true") as socket:
        assert told(socket) == {
            "style": "tiny",
            "strength": 0.5,
            "blend": "pixels",
            "keep_color": True,
            "max_size": 640,
            "mask_part": None,
            "feather": 0.0,
        }
        socket.send(encoded(format_name=format_name))
        report, image = frame(socket)
    assert (image.format, image.size) == ("JPEG", (40, 30))
    took = report.pop("inference_ms"), report.pop("total_ms")
    assert 0 < took[0] < took[1]
    assert report == {"frame": 1, "dropped": 0, "style": "tiny"}


def test_only_the_newest_frame_is_kept(web: Running, photo: bytes) -> None:
    web.stylizer.gate.clear()
    with opened(web) as socket:
        told(socket)
        socket.send(photo)
        web.stylizer.wait_for_arrival()
        for _ in range(5):
            socket.send(photo)
        socket.send(encoded(20, 30))
        socket.send(json.dumps({"strength": 0.5}))
        assert told(socket)["strength"] == 0.5  # all before it has arrived
        web.stylizer.gate.set()
        reports = [frame(socket) for _ in range(2)]
    assert [(report["frame"], report["dropped"]) for report, _ in reports] == [(1, 5), (7, 5)]
    assert [image.size for _, image in reports] == [(40, 30), (20, 30)]
    assert web.stylizer.count == 2


def test_the_look_changes_live(web: Running, photo: bytes) -> None:
    with opened(web) as socket:
        told(socket)
        socket.send(json.dumps({"max_size": 20, "strength": 0, "keep_color": True, "style": "tiny"}))
        assert told(socket) == {
            "style": "tiny", "strength": 0.0, "blend": "pixels", "keep_color": True, "max_size": 20, "mask_part": None,
            "feather": 0.0,
        }  # fmt: skip
        socket.send(photo)
        assert frame(socket)[1].size == (20, 15)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('{"style": "tinny"}', "StyleNotFoundError"),
        ('{"style": ["../tiny"]}', "StyleNotFoundError"),
        ('{"strength": 2}', "OptionError"),
        ('{"strength": true}', "OptionError"),
        ('{"strength": NaN}', "OptionError"),
        ('{"max_size": null}', "OptionError"),
        ('{"blend": "oil"}', "OptionError"),
        ('{"blend": ["network"]}', "OptionError"),
        ('{"blend": "network"}', "OptionError"),
        ('{"style": "tiny:1"}', "StyleNotFoundError"),
        ('{"style": "tiny:-1"}', "OptionError"),
        ('{"style": {"tiny": 1}}', "OptionError"),
        ('{"keep_color": {}}', "OptionError"),
        ('{"colour": 1}', "OptionError"),
        ("[]", "OptionError"),
        ("{", "OptionError"),
        ("[" * 3000, "OptionError"),
        (" " * 5000, "OptionError"),
    ],
)
def test_a_wrong_message_changes_nothing(web: Running, photo: bytes, message: str, kind: str) -> None:
    with opened(web) as socket:
        before = told(socket)
        socket.send(message)
        assert told(socket)["error"]["type"] == kind
        socket.send("{}")
        assert told(socket) == before


def test_a_wrong_frame_does_not_end_it(start_server: StartServer, photo: bytes) -> None:
    web = start_server(max_pixels=2000)
    with opened(web) as socket:
        told(socket)
        for number, (data, kind) in enumerate(
            [
                (b"", "InputError"),
                (b"text", "UnsupportedFormatError"),
                (photo[:500], "InputError"),
                (encoded(100, 100), "ImageTooLargeError"),
            ],
            start=1,
        ):
            socket.send(data)
            answer = told(socket)
            assert (answer["frame"], answer["error"]["type"]) == (number, kind)
        socket.send(photo)
        assert frame(socket)[0]["frame"] == 5


@pytest.mark.parametrize(("query", "kind"), [("?style=none", "StyleNotFoundError"), ("?strength=x", "OptionError")])
def test_a_wrong_address_ends_it(web: Running, query: str, kind: str) -> None:
    with opened(web, query) as socket:
        assert told(socket)["error"]["type"] == kind
        assert closed(socket) == 1008


def test_a_frame_above_the_cap_ends_it(start_server: StartServer) -> None:
    web = start_server(max_frame_bytes=1000)
    with opened(web) as socket:
        told(socket)
        socket.send(bytes(2000))
        assert closed(socket) == 1009
    web.until(lambda: web.service.live == 0)


def test_other_origins_are_kept_out(start_server: StartServer) -> None:
    web = start_server(allow_origins=("https://friend.example",))
    for origin in ("http://evil.example", "null", web.server.address.replace("127.0.0.1", "localhost")):
        with pytest.raises(InvalidStatus) as caught:
            opened(web, origin=Origin(origin))
        assert caught.value.response.status_code == 403
    for origin in (web.server.address, "https://friend.example"):
        with opened(web, origin=Origin(origin)) as socket:
            assert told(socket)["style"] == "tiny"


def test_the_key(start_server: StartServer, photo: bytes) -> None:
    web = start_server(api_key="secret", header_seconds=0.5)
    with opened(web, "?key=secret&strength=0.5") as socket:
        assert told(socket)["strength"] == 0.5
    with opened(web, additional_headers={"X-API-Key": "secret"}) as socket:
        assert told(socket)["style"] == "tiny"
    with opened(web) as socket:
        socket.send('{"key": "secret"}')
        assert told(socket)["style"] == "tiny"
        socket.send(photo)
        assert frame(socket)[0]["frame"] == 1
    for query, first in (
        ("?key=wrong", None),
        ("", '{"key": "wrong"}'),
        ("", "{}"),
        ("", "{"),
        ("", photo),
        ("", None),
    ):
        with opened(web, query) as socket:
            if first is not None:
                socket.send(first)
            assert told(socket)["error"]["type"] == "Unauthorized"
            assert closed(socket) == 1008


def test_so_many_and_no_more(start_server: StartServer) -> None:
    web = start_server(max_live=1)
    with opened(web) as first:
        told(first)
        with opened(web) as second:
            assert told(second)["error"]["type"] == "Busy"
            assert closed(second) == 1013
        assert "fststyle_live_sockets 1.0" in web.client.get("/metrics").text
    web.until(lambda: web.service.live == 0)
    with opened(web) as third:
        assert told(third)["style"] == "tiny"


def test_a_socket_without_frames_is_closed(start_server: StartServer) -> None:
    web = start_server(live_idle_seconds=0.2)
    with opened(web) as socket:
        told(socket)
        assert told(socket)["error"]["type"] == "Idle"
        assert closed(socket) == 1000


def test_who_leaves_takes_the_work_along(web: Running, photo: bytes) -> None:
    with web.occupied(photo):
        with opened(web) as socket:
            told(socket)
            socket.send(photo)
            web.until(lambda: bool(web.service.pool._frames))
        web.until(lambda: web.service.live == 0)
        assert not web.service.pool._frames
    assert web.stylizer.count == 1


def test_a_full_queue_of_requests_leaves_room_for_frames(start_server: StartServer, photo: bytes) -> None:
    web = start_server(max_queue=3)
    with web.occupied(photo, queued=3), opened(web) as socket:
        told(socket)
        socket.send(photo)
        web.until(lambda: bool(web.service.pool._frames))
        web.stylizer.gate.set()
        assert frame(socket)[0]["frame"] == 1


def test_a_client_that_takes_nothing_is_let_go(start_server: StartServer) -> None:
    web = start_server(stall_seconds=0.3)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8))
    buffer = BytesIO()
    noise.save(buffer, "JPEG", quality=90)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(web.host)
    with connect(f"{web.live}?strength=0&max_size=1536", sock=small, max_queue=1) as client:
        web.until(lambda: web.service.live == 1)

        def flood() -> None:
            for _ in range(100_000):
                client.send(buffer.getvalue())

        with pytest.raises((ConnectionClosed, OSError)):
            flood()
    web.until(lambda: web.service.live == 0)
    web.until(lambda: not web.server.server_state.connections)
