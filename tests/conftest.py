"""What tests of several parts share."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from fststyle.nn.weight_files import VGGWeights
    from fststyle.training.recipe import Recipe


class FileServer(ThreadingHTTPServer):
    """Serves ``files`` (path to content) on loopback, with entity tags and ranges, and misbehaves as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.files: dict[str, bytes] = {}
        self.etag: str | None = '"first"'
        self.ranges = True
        self.drops: list[int] = []
        """For each of the next answers: after how many bytes of content the connection is cut."""
        self.statuses: list[int] = []
        """The next answers are these errors instead of files."""
        self.requests: list[Message] = []
        """The headers of every request so far."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class FileHandler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append(self.headers)
        content = self.server.files.get(self.path)
        status = self.server.statuses.pop(0) if self.server.statuses else 200 if content is not None else 404
        if status != 200 or content is None:
            self.send_error(status)
            return
        start = self._start()
        if start >= len(content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + self.server.drops.pop(0) if self.server.drops else len(content)
        with contextlib.suppress(ConnectionError):  # a client that has seen enough hangs up
            self.wfile.write(content[start:end])

    def _start(self) -> int:
        asked = self.headers.get("Range")
        if asked is None or not self.server.ranges or self.headers.get("If-Range") != self.server.etag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *args: object) -> None:
        """Requests are asserted on, not printed."""


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Of what runs in the background a shell has SIGINT ignored, and the programs that tests start inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Imports a script that is no part of the package, by its path from the top of the checkout."""

    def load(path: str) -> ModuleType:
        file = Path(__file__).parent.parent / path
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def file_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A :class:`FileServer` that runs; a proxy, if one is configured, is not asked."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-16 weights as training takes them: the right shapes, and random numbers that keep activations alive."""
    import torch

    from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights, digest, write_safetensors

    vgg = ARCHITECTURES["vgg16"]
    random = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=random) * (2 / (9 * shape[1])) ** 0.5
        if len(shape) == 4
        else torch.zeros(shape)
        for name, shape in vgg.shapes.items()
    }
    normalization = Normalization((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    write_safetensors(VGGWeights(vgg.name, tensors, normalization, "random", "none", digest(tensors, vgg)), path)
    return path


@pytest.fixture(scope="session")
def narrow_vgg() -> VGGWeights:
    """Random weights with VGG-16's names and order, but four channels everywhere, and torchvision's normalisation.

    Scaled so that activations neither fade nor grow from layer to layer (He et al. 2015).
    """
    import torch

    from fststyle.nn.weight_files import ARCHITECTURES, Normalization, VGGWeights

    generator = torch.Generator().manual_seed(2)
    tensors: dict[str, torch.Tensor] = {}
    for layer in ARCHITECTURES["vgg16"].layers:
        inputs = 3 if layer == "conv1_1" else 4
        scale = (2 / (9 * inputs)) ** 0.5
        tensors[f"{layer}.weight"] = torch.randn(4, inputs, 3, 3, generator=generator) * scale
        tensors[f"{layer}.bias"] = torch.rand(4, generator=generator) * 0.2
    normalization = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return VGGWeights("vgg16", tensors, normalization, "a test", "CC0", "")


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small photos of coloured clouds."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(8):
        clouds = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        clouds.resize((96, 72), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def painting_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of stripes, 90 x 70 px."""
    rows, columns = np.mgrid[:70, :90]
    pixels = np.stack([(columns + rows) % 12 * 20, columns % 9 * 25, rows % 7 * 35], axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("painting") / "stripes.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Six short steps under a shallow loss for a network of one block, the preset ``tiny`` that only the test knows."""
    from fststyle.nn.networks import PRESETS, Architecture
    from fststyle.training.recipe import Recipe

    monkeypatch.setitem(PRESETS, "tiny", Architecture(width=4, blocks=1, kernel=3))
    layers = {"relu1_2": 1.0}
    return Recipe(
        name="tiny",
        file="stripes.png",
        preset="tiny",
        content_layers=layers,
        style_layers=layers,
        size=64,
        batch=2,
        steps=6,
        precision="32-true",
    )


@pytest.fixture(scope="session")
def tiny_style_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A style's ONNX file as the real export makes it, of an untrained network of two blocks; shared by all workers."""
    return _exported_once(tmp_path_factory, "tiny.onnx", _export_tiny_style)


@pytest.fixture(scope="session")
def palette_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A palette's ONNX file as the real export makes it, of an untrained network with the styles "dawn" and "dusk"."""
    return _exported_once(tmp_path_factory, "pair.onnx", _export_palette)


def _exported_once(factory: pytest.TempPathFactory, name: str, export: Callable[[Path], None]) -> Path:
    from filelock import FileLock

    base = factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name.replace(".onnx", "_style") / name
    with FileLock(path.parent.with_suffix(".lock")):
        if not path.exists():
            export(path)
    return path


def _export_tiny_style(path: Path) -> None:
    import torch

    from fststyle.nn.networks import Architecture, initial_network
    from fststyle.styles import Painting
    from fststyle.training.export import export_network
    from fststyle.training.recipe import Recipe

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    painting = Painting(title="Stripes", artist="Nobody", year="2024", licence="CC0-1.0")
    network = initial_network(Architecture(width=4, blocks=2), seed=0)
    export_network(network, Recipe(name="tiny", file="stripes.png", painting=painting), output=path)
    torch.set_num_threads(threads)


def _export_palette(path: Path) -> None:
    import torch

    from fststyle.nn.multi_style_net import MultiStyleNet
    from fststyle.styles import Painting
    from fststyle.training.checkpoint import empty_network
    from fststyle.training.export import export_network
    from fststyle.training.recipe import Recipe

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    styles = tuple(
        Recipe(name=name, file=f"{name}.png", preset="realtime", painting=Painting(title=name.title()))
        for name in ("dawn", "dusk")
    )
    recipe = Recipe(name="pair", preset="realtime", styles=styles)
    network = empty_network(recipe)
    assert isinstance(network, MultiStyleNet)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for table in network.tables().values():  # a network that is not trained yet has but one style
            table.add_(torch.randn(table.shape, generator=random) / 2)
    export_network(network, recipe, output=path)
    torch.set_num_threads(threads)


@pytest.fixture
def styles_folder(tiny_style_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of styles, the one in force, that holds the style ``tiny``."""
    folder = tmp_path / "styles"
    folder.mkdir()
    shutil.copyfile(tiny_style_file, folder / "tiny.onnx")
    monkeypatch.setenv("FSTSTYLE_STYLES", str(folder))
    return folder


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """A JPEG photo, 40 x 30 px, of coloured clouds."""
    path = tmp_path / "photo.jpg"
    clouds = Image.fromarray(np.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    clouds.resize((40, 30), Image.Resampling.BICUBIC).save(path, quality=95)
    return path
