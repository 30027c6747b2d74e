"""Makes the pictures of the web page that the README shows: docs/images/web.jpg (desktop) and web_phone.jpg.

    python benchmarks/web_screenshots.py [--output FOLDER] [--style NAME] [--phone-style NAME]

Starts a server of its own with the shipped styles and looks at it with Chromium (on Debian: apt-get install chromium
chromium-driver) and Selenium (pip install "fststyle[dev]"). The photographs are two that scikit-image ships and may be
shown: an astronaut by NASA, in the public domain, and a cup of coffee by Rachel Michetti, released for any use.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parent.parent
QUALITY = 85
PATIENCE = 600  # seconds for a picture, on a machine that has other work
ARGUMENTS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
)
DONE = (
    "return document.getElementById('download').hasAttribute('href') && !document.querySelector('.work.waiting')"
    " && !document.body.classList.contains('busy')"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--style", default="starry_night", help="The style on the desktop.")
    parser.add_argument("--phone-style", default="great_wave", help="The style on the phone.")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    import skimage

    photos = Path(skimage.__file__).parent / "data"
    with serving() as address, browser() as driver:
        driver.get(address)
        photograph(driver, photos / "coffee.png", options.style, options.output / "web.jpg", (1280, 800), split=42)
        photograph(driver, photos / "astronaut.png", options.phone_style, options.output / "web_phone.jpg", (390, 844))


@contextmanager
def serving() -> Iterator[str]:
    command = [sys.executable, "-m", "fststyle", "serve", "--port", "0", "--inference-seconds", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextmanager
def browser() -> Iterator[Any]:
    from selenium import webdriver

    found = shutil.which("chromium"), shutil.which("chromedriver")
    if None in found:
        sys.exit("needs Chromium and its driver (on Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(found[0])
    with tempfile.TemporaryDirectory() as folder:
        for argument in (*ARGUMENTS.split(), f"--user-data-dir={folder}"):
            options.add_argument(argument)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found[1]))
        yield driver
        driver.quit()


def photograph(driver: Any, photo: Path, style: str, output: Path, size: tuple[int, int], *, split: int = 0) -> None:
    """``split``: percent of the picture, from the left, that show the photo itself."""
    from selenium.webdriver.support.ui import WebDriverWait

    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1.25, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    WebDriverWait(driver, PATIENCE).until(lambda _: driver.find_elements("css selector", f"[value={style}]"))
    driver.execute_script(f"document.querySelector('[value={style}]').click()")
    driver.find_element("id", "file").send_keys(str(photo))
    WebDriverWait(driver, PATIENCE, 0.2).until(
        lambda _: photo.stem in (driver.find_element("id", "download").get_attribute("download") or "")
    )
    WebDriverWait(driver, PATIENCE, 0.2).until(lambda _: driver.execute_script(DONE))
    driver.execute_script(
        "const slider = document.getElementById('compare'); slider.value = arguments[0];"
        " slider.dispatchEvent(new Event('input')); document.activeElement.blur(); window.scrollTo(0, 0);",
        split,
    )
    Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB").save(output, quality=QUALITY, optimize=True)
    print(f"{output}: {output.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
