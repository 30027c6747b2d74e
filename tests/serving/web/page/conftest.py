"""A real server with three tiny styles, and a real browser, without a window and with a camera of its own making."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

WAIT = 60  # seconds until something that should come counts as missing
SERVED_SIZE = 400
STYLES = {"tiny": (0, 0, 0), "warm": (0.8, 0, -0.8), "cold": (-0.8, 0, 0.8)}
"""Name to what is added to the last layer's bias, so that the styles can be told apart."""
_NEEDED = "the page's tests need Chromium and its driver (on Debian: apt-get install chromium chromium-driver)"
_ARGUMENTS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --disable-features=BackForwardCache "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)


@pytest.fixture(scope="session")
def style_files(tiny_style_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    onnx = pytest.importorskip("onnx")
    folder, files = tmp_path_factory.mktemp("served"), []
    for name, tint in STYLES.items():
        model = onnx.load(tiny_style_file)
        bias = next(tensor for tensor in model.graph.initializer if tensor.name == "head.1.bias")
        shifted = onnx.numpy_helper.to_array(bias) + np.array(tint, np.float32)
        bias.CopyFrom(onnx.numpy_helper.from_array(shifted, bias.name))
        files.append(folder / f"{name}.onnx")
        onnx.save(model, files[-1])
        retitle(files[-1], files[-1], f"Stripes, {name}")
    return files


def retitle(style: Path, output: Path, title: str, **values: str) -> None:
    """The style with another title of its painting, and other metadata if wanted."""
    import onnx

    model = onnx.load(style)
    entry = next(entry for entry in model.metadata_props if entry.key == "fststyle")
    metadata = json.loads(entry.value) | values
    metadata["painting"]["title"] = title
    entry.value = json.dumps(metadata)
    onnx.save(model, output)


@contextmanager
def serving(style_files: list[Path], *options: str, **environment: str) -> Iterator[str]:
    """The address of a server that runs until the block ends."""
    styles = [argument for file in style_files for argument in ("--style", str(file))]
    command = [sys.executable, "-m", "fststyle", "serve", "--port", "0", "--device", "cpu", "--threads", "1"]
    process = subprocess.Popen([*command, *styles, *options], stdout=subprocess.PIPE, env={**os.environ, **environment})
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert "listening on http://" in line, line
        yield line.split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=WAIT)


@pytest.fixture(scope="session")
def address(style_files: list[Path]) -> Iterator[str]:
    with serving(style_files, "--max-size", str(SERVED_SIZE)) as address:
        yield address


@pytest.fixture(scope="session")
def address_with_palette(style_files: list[Path], palette_file: Path) -> Iterator[str]:
    """A server with the style ``tiny`` and the palette ``pair``, which holds ``dawn`` and ``dusk``."""
    with serving([style_files[0], palette_file], "--max-size", str(SERVED_SIZE)) as address:
        yield address


@pytest.fixture(scope="session")
def address_with_mask_model(style_files: list[Path], person_model: Path) -> Iterator[str]:
    """A server that takes red for a person."""
    with serving(style_files, "--max-size", str(SERVED_SIZE), "--mask-model", str(person_model)) as address:
        yield address


@pytest.fixture
def address_with_namesakes(style_files: list[Path], tmp_path: Path) -> Iterator[str]:
    """A server with ``warm``, and with three styles of one painting: ``fast`` is of another preset than the others."""
    files = [tmp_path / f"{name}.onnx" for name in ("fast", "slow", "slower")]
    for file in files:
        retitle(style_files[0], file, "Stripes", preset="realtime" if file.stem == "fast" else "quality")
    with serving([style_files[1], *files]) as address:
        yield address


@pytest.fixture(scope="session")
def address_with_key(style_files: list[Path]) -> Iterator[str]:
    """A server that wants the key ``open sesame``."""
    with serving(style_files[:1], FSTSTYLE_API_KEY="open sesame") as address:
        yield address


def bound_to_driver(browser: str, folder: Path) -> str:
    """The browser so that it lives no longer than its driver, however that ends."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return browser
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec {setpriv} --pdeathsig=KILL -- {browser} "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not browser or not chromedriver:
        if os.environ.get("FSTSTYLE_REQUIRE_BROWSER") == "1":
            pytest.fail(_NEEDED)
        pytest.skip(_NEEDED)
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    folder = tmp_path_factory.mktemp("browser")
    options.binary_location = bound_to_driver(browser, folder)
    for argument in (*_ARGUMENTS.split(), f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
        yield driver
        driver.quit()


class Page:
    """The page in the browser, and what tests ask it."""

    def __init__(self, driver: Any, address: str, downloads: Path) -> None:
        self.driver, self.address, self.downloads = driver, address, downloads
        self.messages: list[dict[str, Any]] = []
        """What the browser's network did so far."""
        self.expected_complaints: list[str] = []
        """Patterns of console messages that a test provokes."""

    def open(self, *, width: int = 1280, height: int = 800, phone: bool = False, features: str = "") -> Page:
        """``features`` are media features, as ``prefers-color-scheme: dark``."""
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)  # what others left
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        pairs = [feature.split(": ") for feature in features.split(", ") if feature]
        media = [{"name": name, "value": value} for name, value in pairs]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        behavior = {"behavior": "allow", "downloadPath": str(self.downloads)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
        self.driver.get(self.address)
        return self

    def ready(self) -> Page:
        """Once the styles are there, with their previews."""
        self.wait("document.querySelector('.work') && !document.querySelector('.work.waiting')")
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of an expression, awaited if it is a promise."""
        return self.driver.execute_script(f"return (async () => ({script}))()", *arguments)

    def wait(self, condition: str) -> None:
        self.until(lambda: self.run(condition), condition)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, WAIT, 0.05).until(lambda _: condition(), f"never true: {what}")

    def upload(self, path: Path) -> None:
        self["file"].send_keys(str(path))

    def painted(self) -> Page:
        """Once the picture and every thumbnail are there."""
        self.wait(
            "document.body.dataset.stage === 'photo' && !document.querySelector('.work.waiting')"
            " && document.getElementById('download').hasAttribute('href')"
            " && !document.body.classList.contains('busy')"
        )
        return self

    def show(self, path: Path) -> Page:
        self.upload(path)
        return self.painted()

    def __getitem__(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        return str(self.run(f"document.getElementById('{name}').textContent"))

    def choose(self, style: str) -> None:
        self.driver.find_element("css selector", f".work:has([value={style}])").click()

    def open_locked(self) -> Page:
        """At a server that wants a key, which this tab does not know."""
        self.expected_complaints = ["401"]
        self.open()
        self.run("sessionStorage.clear()")
        self.driver.refresh()
        return self

    def give_key(self, key: str) -> None:
        self.wait("document.getElementById('key-dialog').open")
        self["key"].send_keys(key, "\ue007")

    def slide(self, name: str, value: int) -> None:
        for event in ("input", "change"):
            self.run(
                "Object.assign(document.getElementById(arguments[0]), {value: arguments[1]})"
                ".dispatchEvent(new Event(arguments[2], {bubbles: true}))",
                name, value, event,
            )  # fmt: skip

    def pixels(self, selector: str) -> np.ndarray:
        """uint8 [H, W, 4] of a canvas, an image or a video."""
        address = self.run(
            "(() => { const source = document.querySelector(arguments[0]), canvas = document.createElement('canvas');"
            " canvas.width = source.naturalWidth || source.videoWidth || source.width;"
            " canvas.height = source.naturalHeight || source.videoHeight || source.height;"
            " canvas.getContext('2d').drawImage(source, 0, 0); return canvas.toDataURL('image/png'); })()",
            selector,
        )
        data = base64.b64decode(address.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))

    def key(self, *keys: str) -> None:
        """To whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def network(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every event of that name since the page was opened."""
        logged = self.driver.get_log("performance")
        self.messages += [json.loads(entry["message"])["message"] for entry in logged]
        return [message["params"] for message in self.messages if message["method"] == method]

    def requests(self) -> list[str]:
        return [event["request"]["url"] for event in self.network("Network.requestWillBeSent")]

    def reports(self) -> list[dict[str, Any]]:
        """The live socket's texts about frames, oldest first."""
        payloads = [event["response"] for event in self.network("Network.webSocketFrameReceived")]
        texts = [json.loads(payload["payloadData"]) for payload in payloads if payload["opcode"] == 1]
        return [text for text in texts if "frame" in text]

    def downloaded(self, name: str) -> Path:
        self.until((self.downloads / name).is_file, f"{name} is there")
        return self.downloads / name

    def complaints(self) -> list[str]:
        """Console messages that no test expected."""
        entries = [entry["message"] for entry in self.driver.get_log("browser")]
        return [text for text in entries if not any(re.search(known, text) for known in self.expected_complaints)]

    def strangers(self) -> list[str]:
        """Requests to anyone but the server."""
        own = (self.address, self.address.replace("http", "ws", 1), "blob:", "data:")
        sockets = [event["url"] for event in self.network("Network.webSocketCreated")]
        return [url for url in self.requests() + sockets if not url.startswith(own)]


@pytest.fixture
def page_at(driver: Any, tmp_path: Path) -> Iterator[Callable[[str], Page]]:
    """Makes a :class:`Page` for an address, in a tab of its own, and looks afterwards whether it complained or asked
    strangers.
    """
    pages: list[Page] = []
    first = driver.current_window_handle

    def make(address: str) -> Page:
        downloads = tmp_path / "downloads"
        downloads.mkdir()
        driver.switch_to.new_window("tab")
        pages.append(Page(driver, address, downloads))
        return pages[-1]

    yield make
    try:
        for page in pages:
            assert page.complaints() == []
            assert page.requests()
            assert page.strangers() == []
    finally:
        for _ in pages:
            driver.close()  # the tab's process ends with it, and with that its camera, requests and timers
            driver.switch_to.window(first)


@pytest.fixture
def page(page_at: Callable[[str], Page], address: str) -> Page:
    return page_at(address)


@pytest.fixture
def landscape(tmp_path: Path) -> Path:
    """A photo, 300 x 200 px: red at the top left, blue at the bottom right, with some texture."""
    path = tmp_path / "landscape.jpg"
    rows, columns = np.mgrid[:200, :300]
    texture = 20 * np.sin(rows / 5) * np.sin(columns / 7)
    pixels = np.stack([230 - rows - columns * 0.2 + texture, 60 + texture, rows * 0.5 + columns * 0.4], axis=-1)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=95)
    return path
