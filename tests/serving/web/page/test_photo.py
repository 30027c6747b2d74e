"""A photo on the page: shown, painted in every style, compared, changed and taken along."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.serving.web.page.conftest import Page

pytestmark = pytest.mark.browser
RIGHT, LEFT, HOME, END = "\ue014", "\ue012", "\ue011", "\ue010"
SERVED_SIZE = 400


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over pixels and colours, 0 to 255."""
    return float(np.abs(one[..., :3].astype(float) - other[..., :3]).mean())


def test_a_photo_is_shown_beside_what_was_painted_from_it(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    before, after = page.pixels("#before"), page.pixels("#after")
    assert before.shape == after.shape == (200, 300, 4)
    assert difference(before, np.asarray(Image.open(landscape))) < 1
    assert difference(before, after) > 10


def test_what_is_shown_is_what_the_server_paints(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    request = urllib.request.Request(f"{page.address}/v1/stylize?style=tiny", landscape.read_bytes())
    request.add_header("Content-Type", "image/jpeg")
    with urllib.request.urlopen(request) as response:
        served = np.asarray(Image.open(BytesIO(response.read())))
    assert difference(page.pixels("#after"), served) < 4  # the photo was encoded once more on its way


def test_every_style_is_a_thumbnail_of_the_photo(page: Page, landscape: Path) -> None:
    page.open().ready()
    previews = [page.pixels(f".work:nth-child({number}) img") for number in (1, 2, 3)]
    page.show(landscape)
    assert page.run("[...document.querySelectorAll('.work input')].map((input) => input.value)") == [
        "tiny", "warm", "cold"
    ]  # fmt: skip
    thumbnails = [page.pixels(f".work:nth-child({number}) img") for number in (1, 2, 3)]
    assert [thumbnail.shape for thumbnail in thumbnails] == [(200, 300, 4)] * 3
    assert all(preview.shape != (200, 300, 4) for preview in previews)
    tiny, warm, cold = (thumbnail[..., :3].mean(axis=(0, 1)) for thumbnail in thumbnails)
    assert warm[0] - warm[2] > tiny[0] - tiny[2] + 10
    assert cold[0] - cold[2] < tiny[0] - tiny[2] - 10


def test_the_painting_is_named(page: Page) -> None:
    page.open().ready()
    page["example"].click()
    page.painted()
    assert page.text("painting-title") == "Stripes, tiny"
    assert page.text("painting-artist") == "Nobody"
    assert page.text("painting-year") == "2024"
    assert "CC0-1.0" in page.text("painting-licence")


def test_arrow_keys_walk_along_the_styles(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    first = page.pixels("#after")
    page.driver.find_element("css selector", "[value=tiny]").send_keys(RIGHT)
    page.wait("document.getElementById('download').download === 'landscape_warm.jpg'")
    assert page.text("painting-title") == "Stripes, warm"
    assert difference(first, page.pixels("#after")) > 10
    page.key(LEFT)
    page.wait("document.getElementById('download').download === 'landscape_tiny.jpg'")
    assert difference(first, page.pixels("#after")) == 0


def test_styles_of_one_painting_are_told_apart(page_at: Callable[[str], Page], address_with_namesakes: str) -> None:
    page = page_at(address_with_namesakes).open().ready()
    titles = page.run("[...document.querySelectorAll('.work-title')].map((title) => title.textContent)")
    assert titles == ["Stripes, warm", "Stripes (realtime)", "Stripes (slow)", "Stripes (slower)"]


def test_a_style_that_was_painted_is_not_asked_for_again(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    asked = []
    for style in ("cold", "tiny", "cold"):
        page.choose(style)
        page.wait(f"document.getElementById('download').download === 'landscape_{style}.jpg'")
        asked.append(len([url for url in page.requests() if "/v1/stylize" in url]))
    assert asked == [5, 5, 5]  # three thumbnails and two pictures


def test_the_slider_between_before_and_after_moves_by_keys(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)

    def hidden() -> str:
        return str(page.run("getComputedStyle(document.getElementById('after')).clipPath"))

    assert hidden() == "inset(0px 0px 0px 0%)"
    page["compare"].send_keys(RIGHT, RIGHT, RIGHT)
    assert hidden() == "inset(0px 0px 0px 3%)"
    assert page["compare"].get_attribute("aria-valuetext") == "3% original"
    page["compare"].send_keys(END)
    assert hidden() == "inset(0px 0px 0px 100%)"
    page["compare"].send_keys(HOME)
    assert hidden() == "inset(0px 0px 0px 0%)"


def test_strength_blends_and_asks_no_one(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    before, full = page.pixels("#before"), page.pixels("#after")
    asked = len(page.requests())
    page.slide("strength", 50)
    assert difference(page.pixels("#after"), (before.astype(float) + full) / 2) < 1
    page.slide("strength", 0)
    assert difference(page.pixels("#after"), before) == 0
    page.slide("strength", 100)
    assert difference(page.pixels("#after"), full) == 0
    assert page.text("strength-value") == "100%"
    assert len([url for url in page.requests()[asked:] if url.startswith("http")]) == 0


def test_original_colours_are_kept_in_picture_and_thumbnails(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    page.choose("warm")
    page.painted()

    def colour(selector: str) -> np.ndarray:
        pixels = page.pixels(selector)[..., :3].astype(float)
        return pixels.mean(axis=(0, 1)) - pixels.mean()

    photo, picture, thumbnail = colour("#before"), colour("#after"), colour(".work:has([value=warm]) img")
    page["keep-color"].click()
    page.painted()
    for old, new in ((picture, colour("#after")), (thumbnail, colour(".work:has([value=warm]) img"))):
        assert np.abs(new - photo).sum() < 0.7 * np.abs(old - photo).sum()


def test_the_download_is_the_whole_picture_at_the_strength_shown(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    page.slide("compare", 60)
    page.slide("strength", 40)
    page.painted()
    assert page["download"].get_attribute("download") == "landscape_tiny.jpg"
    page["download"].click()
    saved = np.asarray(Image.open(page.downloaded("landscape_tiny.jpg")))
    assert saved.shape == (200, 300, 3)
    assert difference(page.pixels("#after"), saved) < 3


def test_a_photo_taken_sideways_is_upright(page: Page, landscape: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    sideways = tmp_path / "sideways.jpg"
    Image.open(landscape).rotate(90, expand=True).save(sideways, exif=exif, quality=95)
    page.open().ready().show(sideways)
    assert difference(page.pixels("#before"), np.asarray(Image.open(landscape))) < 3
    assert page.pixels("#after").shape == (200, 300, 4)


def test_a_big_photo_is_scaled_to_what_the_server_gives(page: Page, tmp_path: Path) -> None:
    big = tmp_path / "big.jpg"
    Image.effect_mandelbrot((3000, 2000), (-2, -1.2, 1, 1.2), 60).convert("RGB").save(big)
    page.open().ready().show(big)
    assert page.pixels("#after").shape == (266, SERVED_SIZE, 4)
    assert page.run("[...document.getElementById('size').options].map((option) => option.text)") == [
        "400 \u00d7 266 (largest)"
    ]


def test_sizes_below_the_photos_own_can_be_chosen(page_at: Callable[[str], Page], address_with_key: str) -> None:
    page = page_at(address_with_key).open_locked()
    page.give_key("open sesame")
    page.ready()["example"].click()
    page.painted()
    assert page.pixels("#after").shape == (682, 1024, 4)
    page.run("Object.assign(document.getElementById('size'), {value: 512}).dispatchEvent(new Event('change'))")
    page.painted()
    assert page.pixels("#after").shape == (341, 512, 4)
    assert "512 \u00d7 341" in page.text("status")


def test_transparency_is_kept(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "cutout.png"
    pixels = np.full((80, 120, 4), (200, 90, 40, 255), np.uint8)
    pixels[:40, :60, 3] = 0
    Image.fromarray(pixels).save(path)
    page.open().ready().show(path)
    for strength in (100, 50):
        page.slide("strength", strength)
        alpha = page.pixels("#after")[..., 3]
        assert alpha[:39, :59].max() == 0
        assert alpha[41:, :].min() >= 254
    assert page["download"].get_attribute("download") == "cutout_tiny.png"


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_photo_can_be_dropped_and_pasted(page: Page, way: str) -> None:
    page.open().ready()
    page.run(
        "(() => new Promise((resolve) => { const canvas = document.createElement('canvas');"
        " canvas.getContext('2d').fillRect(10, 10, 90, 90); canvas.toBlob((blob) => {"
        " const transfer = new DataTransfer(); transfer.items.add(new File([blob], 'given.png', {type: blob.type}));"
        " document.dispatchEvent(arguments[0] === 'drop' ? new DragEvent('drop', {dataTransfer: transfer})"
        " : Object.assign(new Event('paste'), {clipboardData: transfer})); resolve(); }); }))()",
        way,
    )  # fmt: skip
    page.painted()
    assert page["download"].get_attribute("download") == "given_tiny.png"


def test_a_file_that_is_no_picture_is_named_and_costs_nothing(page: Page, landscape: Path, tmp_path: Path) -> None:
    page.open().ready().show(landscape)
    before, after, status = page.pixels("#before"), page.pixels("#after"), page.text("status")
    page.expected_complaints = ["/v1/stylize.*(415|422)"]
    (tmp_path / "notes.jpg").write_text("not a picture")
    page.upload(tmp_path / "notes.jpg")
    page.wait("!document.getElementById('problem').hidden")
    assert "“notes.jpg” cannot be read as a picture" in page.text("problem-text")
    assert difference(page.pixels("#before"), before) == difference(page.pixels("#after"), after) == 0
    assert page["download"].is_displayed()
    assert page.text("status") == status
    page["problem-close"].click()
    assert not page["problem"].is_displayed()


def test_a_server_out_of_reach_is_said_and_trying_again_goes_on(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    page.expected_complaints = ["ERR_FAILED"]
    page.run("(window.kept = window.fetch, window.fetch = () => Promise.reject(new TypeError('gone')))")
    page["keep-color"].click()
    page.wait("!document.getElementById('problem').hidden")
    assert "cannot be reached" in page.text("problem-text")
    assert page["before"].is_displayed()
    page.run("window.fetch = window.kept")
    page["problem-retry"].click()
    page.painted()
    assert not page["problem"].is_displayed()


def test_a_busy_server_is_asked_again_when_it_said(page: Page, landscape: Path) -> None:
    page.open().ready()
    page.run(
        "(() => { const real = window.fetch; let left = 4; window.calls = []; window.fetch = (...call) => {"
        " if (!call[0].startsWith('/v1/stylize') || left-- <= 0) return real(...call);"
        " window.calls.push(performance.now()); return Promise.resolve(new Response('{}', {status: 429,"
        " headers: {'Retry-After': '1'}})); }; })()"
    )  # fmt: skip
    page.upload(landscape)
    page.painted()
    assert page.run("window.calls.length") == 4
    assert not page["problem"].is_displayed()


def test_few_requests_are_on_the_way_at_a_time(page: Page, landscape: Path) -> None:
    page.open().ready()
    page.run(
        "(() => { const real = window.fetch; let now = 0; window.most = 0; window.fetch = async (...call) => {"
        " window.most = Math.max(window.most, ++now); try { return await real(...call); } finally { now--; } }; })()"
    )
    page.show(landscape)
    assert 1 <= page.run("window.most") <= 2


def test_what_is_no_longer_wanted_is_given_up(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    page.run(
        "(() => { const real = window.fetch; window.given_up = []; window.asked = 0;"
        " window.fetch = (address, options) => {"
        " if (!/style=warm.*max_size=300/.test(address)) return real(address, options);"
        " window.asked++; return new Promise((_, reject) => options.signal.addEventListener('abort', () => {"
        " window.given_up.push(address); reject(options.signal.reason); })); }; })()"
    )  # fmt: skip
    page["keep-color"].click()  # everything has to be painted anew
    page.choose("warm")
    page.wait("window.asked > 0")
    page.choose("cold")
    page.wait("document.getElementById('download').download === 'landscape_cold.jpg'")
    assert len(page.run("window.given_up")) == 1
    assert not page["problem"].is_displayed()


def test_a_server_with_a_key_is_given_it(page_at: Callable[[str], Page], address_with_key: str) -> None:
    page = page_at(address_with_key).open_locked()
    page.give_key("a guess")
    page.wait("document.getElementById('key-note').textContent.includes('does not take')")
    page.give_key("open sesame")
    page.ready()["example"].click()
    page.painted()
    assert difference(page.pixels("#before"), page.pixels("#after")) > 10
