"""A real server on a free port, in a thread of its own, with the tiny style."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")

from fststyle.images import Picture
from fststyle.serving.look import Look
from fststyle.serving.segmenter import PersonSegmenter
from fststyle.serving.stages import Stages
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.gallery import Gallery
from fststyle.serving.web.server import Server
from fststyle.serving.web.settings import ServerSettings

from ..test_segmenter import same, save_network

PATIENCE = 30.0


class GatedStylizer(Stylizer):
    """Stylises only once :attr:`gate` is open; :attr:`arrived` counts who has come to it."""

    def __init__(self, style: Path) -> None:
        super().__init__(style, device="cpu", threads=1)
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self.count = 0

    def stylise(self, photo: Picture, look: Look, stages: Stages | None = None) -> Picture:
        self.count += 1
        self.arrived.release()
        assert self.gate.wait(PATIENCE)
        return super().stylise(photo, look, stages)

    def wait_for_arrival(self) -> None:
        assert self.arrived.acquire(timeout=PATIENCE)


class Running:
    """A server, a client for it, and the stylizer behind it."""

    def __init__(self, server: Server, stylizer: GatedStylizer) -> None:
        self.server, self.service, self.stylizer = server, server.service, stylizer
        self.client = httpx.Client(base_url=server.address, timeout=PATIENCE, trust_env=False)
        self.thread = threading.Thread(target=server.listen_and_serve)

    @property
    def host(self) -> tuple[str, int]:
        address = httpx.URL(self.server.address)
        return address.host, address.port or 0

    @property
    def live(self) -> str:
        return self.server.address.replace("http", "ws", 1) + "/v1/live"

    def stylize(self, photo: bytes, **parameters: object) -> httpx.Response:
        return self.client.post("/v1/stylize", content=photo, params={k: str(v) for k, v in parameters.items()})

    def in_background(self, count: int, work: Callable[[], Any]) -> tuple[list[threading.Thread], list[Any]]:
        results: list[Any] = []
        threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads, results

    @contextmanager
    def occupied(self, photo: bytes, *, queued: int = 0) -> Iterator[None]:
        """The worker has a photo in hand while the block runs, and ``queued`` more wait; then all have to be done."""
        self.stylizer.gate.clear()
        threads, answers = self.in_background(1, lambda: self.stylize(photo))
        self.stylizer.wait_for_arrival()
        more, waiting = self.in_background(queued, lambda: self.stylize(photo))
        self.until(lambda: self.service.pool.waiting == queued)
        try:
            yield
        finally:
            self.stylizer.gate.set()
            for thread in threads + more:
                thread.join()
        assert [answer.status_code for answer in answers + waiting] == [200] * (1 + queued)

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits, and fails if that never comes."""
        waiter = threading.Event()
        for _ in range(int(PATIENCE / 0.01)):
            if holds():
                return
            waiter.wait(0.01)
        pytest.fail("that did not come about")


StartServer = Callable[..., Running]


@pytest.fixture
def start_server(tiny_style_file: Path) -> Iterator[StartServer]:
    """Starts servers with the settings and, beside ``tiny``, the styles that it is given, and with that mask model; the
    gate of ``tiny`` is open.
    """
    started: list[Running] = []

    def start(*more: Path, mask_model: Path | None = None, **settings: object) -> Running:
        stylizer = GatedStylizer(tiny_style_file)
        others = [Stylizer(path, device="cpu", threads=1) for path in more]
        segmenter = None if mask_model is None else PersonSegmenter(mask_model, threads=1)
        announced = threading.Event()
        figures: dict[str, Any] = {"port": 0, "workers": 1, "stop_seconds": 5.0} | settings
        gallery = Gallery([stylizer, *others], segmenter)
        server = Server(ServerSettings(**figures), gallery, lambda address: announced.set())
        running = Running(server, stylizer)
        started.append(running)
        running.thread.start()
        assert announced.wait(PATIENCE)
        running.until(lambda: server.service.gallery.ready)
        return running

    yield start
    for running in started:
        running.stylizer.gate.set()
        running.client.close()
        running.server.stop()
        running.thread.join(PATIENCE)
        assert not running.thread.is_alive()


@pytest.fixture
def web(start_server: StartServer) -> Running:
    """A server with the default limits."""
    return start_server()


@pytest.fixture(scope="session")
def person_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask model that takes red for a person."""
    return save_network(tmp_path_factory.mktemp("models") / "people.onnx", same())


def encoded(width: int = 40, height: int = 30, format_name: str = "JPEG", **options: Any) -> bytes:
    """Coloured clouds."""
    clouds = Image.fromarray(np.random.default_rng(2).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    buffer = BytesIO()
    clouds.resize((width, height), Image.Resampling.BICUBIC).save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A JPEG of 40 x 30 px."""
    return encoded()
