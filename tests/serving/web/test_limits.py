import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from fststyle.serving.web.self_test_pictures import claimed_png

from .conftest import PATIENCE, Running, StartServer, encoded
from .test_stylize import error_of

HEAD = b"POST /v1/stylize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"


def pieces(count: int, size: int = 1000) -> Iterator[bytes]:
    yield from (bytes(size) for _ in range(count))


@pytest.fixture(autouse=True)
def _short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fststyle.serving.web.protocol._LINGER_SECONDS", 0.3)


@contextlib.contextmanager
def connected(web: Running) -> Iterator[socket.socket]:
    with socket.create_connection(web.host, timeout=20) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize("body", [bytes(20_000), pieces(20), pieces(3000)], ids=["length", "chunks", "many chunks"])
def test_a_body_above_the_cap(start_server: StartServer, body: bytes | Iterator[bytes]) -> None:
    web = start_server(max_body_bytes=10_000)
    assert error_of(web.client.post("/v1/stylize", content=body))[:2] == (413, "BodyTooLarge")
    assert web.service.bytes.used == 0


def test_a_length_that_is_a_lie_is_not_trusted(start_server: StartServer) -> None:
    web = start_server(max_body_bytes=10_000)
    with connected(web) as connection:
        connection.sendall(HEAD + b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                connection.sendall(b"3e8\r\n" + bytes(1000) + b"\r\n")
        assert read_all(connection).split()[1] in (b"400", b"413")


def test_a_connection_goes_on_after_a_refused_body(start_server: StartServer, photo: bytes) -> None:
    web = start_server(max_body_bytes=10_000)
    with connected(web) as connection:
        connection.sendall(HEAD + b"Content-Length: 20000\r\n\r\n" + bytes(20_000))
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(photo) + photo)
        received = read_all(connection)
    assert received.count(b"HTTP/1.1 413 ") == 1
    assert received.count(b"HTTP/1.1 200 ") == 1


def test_too_many_pixels_are_refused_by_the_header(start_server: StartServer) -> None:
    web = start_server(max_pixels=10_000)
    status, kind, message = error_of(web.stylize(claimed_png(30_000, 30_000)))
    assert (status, kind) == (413, "ImageTooLargeError")
    assert "30000 x 30000 pixels, above the cap of 0.01 megapixels" in message
    assert web.stylize(encoded(100, 100)).status_code == 200
    assert web.stylizer.count == 1


def test_all_decoding_together_keeps_to_the_cap(start_server: StartServer) -> None:
    web = start_server(max_pixels=10_000, workers=4)
    threads, answers = web.in_background(8, lambda: web.stylize(encoded(90, 100)))
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, web.service.workshop.pixels.used)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert most <= 10_000


def test_the_network_has_no_more_at_once_than_the_largest_picture(start_server: StartServer) -> None:
    web = start_server(max_size=40, workers=3)
    web.stylizer.gate.clear()
    threads, answers = web.in_background(3, lambda: web.stylize(encoded(40, 30)))
    web.stylizer.wait_for_arrival()
    web.until(lambda: web.service.pool.running == 3)
    assert web.service.workshop.network.used == 1200
    assert web.stylizer.count == 1
    web.stylizer.gate.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 3


def test_results_are_scaled_to_the_limit(start_server: StartServer) -> None:
    web = start_server(max_size=32)
    assert Image.open(BytesIO(web.stylize(encoded(64, 40)).content)).size == (32, 20)


def test_a_slow_body(start_server: StartServer) -> None:
    web = start_server(body_seconds=0.3)
    with connected(web) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nsome")
        received = read_all(connection)  # to the end: the connection is closed
    assert received.startswith(b"HTTP/1.1 408 ")
    assert web.service.bytes.used == 0


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_a_slow_header(start_server: StartServer, sent: bytes) -> None:
    web = start_server(header_seconds=0.3)
    with connected(web) as connection:
        connection.sendall(sent)
        assert read_all(connection) == b""


def test_a_header_that_never_ends(start_server: StartServer) -> None:
    web = start_server(header_seconds=0.5)
    with connected(web) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with contextlib.suppress(ConnectionError):
            for number in range(2000):
                connection.sendall(b"X-%d: 1\r\n" % number)
                time.sleep(0.01)
            pytest.fail("the connection was left open")
    web.until(lambda: not web.server.server_state.connections)


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(start_server: StartServer) -> None:
    web = start_server(idle_seconds=1, header_seconds=0.5)
    with web.occupied(encoded()), connected(web) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_nobody_takes(start_server: StartServer) -> None:
    web = start_server(stall_seconds=0.3)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), dtype=np.uint8))
    buffer = BytesIO()
    noise.save(buffer, "PNG", compress_level=0)
    photo = buffer.getvalue()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(web.host)
        connection.sendall(
            HEAD.replace(b"stylize", b"stylize?strength=0") + b"Content-Length: %d\r\n\r\n" % len(photo) + photo
        )
        web.until(lambda: web.stylizer.count == 1)
        web.until(lambda: not web.server.server_state.connections)
    web.until(lambda: web.service.bytes.used == 0)


def test_a_full_queue(start_server: StartServer, photo: bytes) -> None:
    web = start_server(max_queue=2)
    with web.occupied(photo, queued=2):
        refused = web.client.post("/v1/stylize", content=pieces(2))
        assert error_of(refused)[:2] == (429, "Busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert 'fststyle_rejects_total{reason="Busy"} 1.0' in web.client.get("/metrics").text


def test_a_wait_that_would_be_too_long_is_not_begun(start_server: StartServer, photo: bytes) -> None:
    web = start_server(queue_seconds=20)
    web.service.pool._mean_seconds = 10.0
    with web.occupied(photo, queued=1):
        assert error_of(web.stylize(photo))[:2] == (429, "Busy")


def test_too_long_in_the_queue(start_server: StartServer, photo: bytes) -> None:
    web = start_server(queue_seconds=0.2)
    with web.occupied(photo):
        refused = web.stylize(photo)
        assert error_of(refused)[:2] == (503, "QueueTimeout")
        assert "retry-after" in refused.headers
        assert web.service.pool.waiting == 0
    assert web.stylizer.count == 1


def test_too_long_at_work(start_server: StartServer, photo: bytes) -> None:
    web = start_server(inference_seconds=0.2)
    web.stylizer.gate.clear()
    assert error_of(web.stylize(photo))[:2] == (504, "InferenceTimeout")
    web.stylizer.gate.set()
    web.until(lambda: web.service.pool.running == 0)
    assert web.stylize(photo).status_code == 200


def test_too_many_bytes_in_memory(start_server: StartServer, photo: bytes) -> None:
    web = start_server(max_buffered_bytes=len(photo) * 3 // 2)
    with web.occupied(photo):
        assert error_of(web.stylize(photo))[:2] == (429, "Busy")
    web.until(lambda: web.service.bytes.used == 0)


def test_a_client_that_leaves_takes_its_work_along(start_server: StartServer, photo: bytes) -> None:
    web = start_server()
    with web.occupied(photo):
        with connected(web) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(photo) + photo)
            web.until(lambda: web.service.pool.waiting == 1)
        web.until(lambda: web.service.pool.waiting == 0)
    assert web.stylizer.count == 1
    assert 'reason="ClientGone"} 1.0' in web.client.get("/metrics").text


def test_the_server_ends_after_its_last_thread(start_server: StartServer, photo: bytes) -> None:
    """Whose client has left, so that nothing else waits for it."""
    web = start_server()
    web.stylizer.gate.clear()
    with connected(web) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(photo) + photo)
        web.stylizer.wait_for_arrival()
    web.server.stop()
    web.until(lambda: web.service.pool._stopped)
    web.thread.join(0.5)
    assert web.thread.is_alive()
    web.stylizer.gate.set()
    web.thread.join(PATIENCE)
    assert web.service.pool.running == 0


def test_a_client_that_leaves_in_the_middle_of_its_body(web: Running) -> None:
    with connected(web) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nsome")
        web.until(lambda: web.service.bytes.used == 4)
    web.until(lambda: web.service.bytes.used == 0)
    assert web.client.get("/healthz").status_code == 200


def test_too_many_connections(start_server: StartServer) -> None:
    web = start_server(max_connections=3)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connected(web))
        web.until(lambda: len(web.server.server_state.connections) == 5)
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{web.server.address}/healthz").status_code == 503
    web.until(lambda: not web.server.server_state.connections)
    assert web.client.get("/healthz").status_code == 200


def test_requests_with_nonsense_before_them_do_no_harm(web: Running) -> None:
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9\r\n\r\n", b"\0" * 100_000):
        with connected(web) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(nonsense + b"\r\n\r\n")
            received = read_all(connection)
            assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert threading.active_count() > 0
    assert web.client.get("/healthz").status_code == 200
