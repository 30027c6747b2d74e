"""A palette on the page: a slider for each of its styles makes the mix."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from .test_access import CONTRASTS, tree
from .test_camera import go_live
from .test_photo import HOME, LEFT, difference

if TYPE_CHECKING:
    from tests.serving.web.page.conftest import Page

pytestmark = pytest.mark.browser
DAWN, DUSK = "share-pair-0", "share-pair-1"


@pytest.fixture
def page(page_at: Callable[[str], Page], address_with_palette: str) -> Page:
    return page_at(address_with_palette)


def show(page: Page, photo: Path) -> Page:
    """The photo in the palette's first style, as large as a phone or a window is."""
    page.ready()
    page.choose("pair")
    return page.show(photo)


def served(page: Page, photo: Path, **parameters: object) -> np.ndarray:
    query = urllib.parse.urlencode(parameters)
    request = urllib.request.Request(f"{page.address}/v1/stylize?{query}", photo.read_bytes())
    request.add_header("Content-Type", "image/jpeg")
    with urllib.request.urlopen(request) as response:
        return np.asarray(Image.open(BytesIO(response.read())))


def painted_as(page: Page, name: str) -> Page:
    page.wait(f"document.getElementById('download').download === '{name}'")
    return page.painted()


def values(page: Page) -> list[tuple[str, str]]:
    """What every slider of the mix stands at, and what is said beside it."""
    found = page.run("[...document.querySelectorAll('.share')].map((row) => [row.querySelector('input').value,"
                     " row.querySelector('output').textContent])")  # fmt: skip
    return [tuple(pair) for pair in found]


def sent_texts(page: Page) -> list[dict[str, object]]:
    frames = [event["response"] for event in page.network("Network.webSocketFrameSent")]
    return [json.loads(frame["payloadData"]) for frame in frames if frame["opcode"] == 1]


def test_every_style_of_a_palette_has_a_slider_a_preview_and_a_name(page: Page, landscape: Path) -> None:
    show(page.open(), landscape)
    named = tree(page)
    for control in (("slider", "Dawn"), ("slider", "Dusk"), ("button", "Only Dusk"), ("group", "Mix")):
        assert control in named
    assert ("combobox", "Less strength gives") in named
    assert values(page) == [("100", "100%"), ("0", "0%")]
    page.wait("[...document.querySelectorAll('.share img')].every((image) => image.naturalWidth > 0)")
    dawn, dusk = (page.pixels(f".share:nth-child({number}) img") for number in (1, 2))
    assert (dawn != dusk).any()


def test_a_style_of_its_own_has_no_sliders(page: Page, landscape: Path) -> None:
    show(page.open(), landscape)
    assert page["mix"].is_displayed()
    page.choose("tiny")
    painted_as(page, "landscape_tiny.jpg")
    assert not page["mix"].is_displayed()
    assert not page["blend-control"].is_displayed()
    page.choose("pair")
    painted_as(page, "landscape_dawn.jpg")
    assert page["mix"].is_displayed()


def test_sliders_paint_the_mix(page: Page, landscape: Path) -> None:
    show(page.open(), landscape)
    alone = page.pixels("#after")
    assert difference(alone, served(page, landscape, style="dawn")) < 4  # the photo was encoded once more on its way
    page.slide(DAWN, 60)
    page.slide(DUSK, 20)
    painted_as(page, "landscape_dawn-60+dusk-20.jpg")
    assert values(page) == [("60", "75%"), ("20", "25%")]
    assert page[DUSK].get_attribute("aria-valuetext") == "25% of the mix"
    assert page.text("painting-title") == "Dawn + Dusk"
    mixed = page.pixels("#after")
    assert difference(mixed, served(page, landscape, style="dawn:0.75,dusk:0.25")) < 4
    assert difference(mixed, alone) > 4
    thumbnail = page.pixels(".work:has([value=pair]) img")
    assert difference(thumbnail, mixed) < 8


def test_a_slider_moves_by_keys_and_the_last_one_stays(page: Page, landscape: Path) -> None:
    show(page.open(), landscape)
    page[DAWN].send_keys(LEFT, LEFT)
    assert values(page) == [("98", "100%"), ("0", "0%")]
    page[DAWN].send_keys(HOME)
    assert values(page) == [("1", "100%"), ("0", "0%")]
    painted_as(page, "landscape_dawn.jpg")
    assert not page["problem"].is_displayed()


def test_a_preview_takes_its_style_alone(page: Page, landscape: Path) -> None:
    show(page.open(), landscape)
    page.driver.find_element("css selector", "[aria-label='Only Dusk']").click()
    painted_as(page, "landscape_dusk.jpg")
    assert values(page) == [("0", "0%"), ("100", "100%")]
    assert difference(page.pixels("#after"), served(page, landscape, style="dusk")) < 4


def test_strength_is_transparent_paint_or_weaker_strokes(page: Page, landscape: Path) -> None:
    show(page.open(), landscape)
    before, full = page.pixels("#before"), page.pixels("#after")
    page.slide("strength", 40)
    page.painted()
    blended = page.pixels("#after")
    assert difference(blended, 0.6 * before + 0.4 * full) < 1
    page.run("Object.assign(document.getElementById('blend'), {value: 'network'}).dispatchEvent(new Event('change'))")
    page.painted()
    weaker = page.pixels("#after")
    assert difference(weaker, served(page, landscape, style="dawn", strength=0.4, blend="network")) < 4
    assert difference(weaker, blended) > 4
    page["download"].click()
    saved = np.asarray(Image.open(page.downloaded("landscape_dawn.jpg")))
    assert difference(weaker, saved) < 1
    page.choose("tiny")  # whose network cannot do that
    painted_as(page, "landscape_tiny.jpg")
    assert difference(page.pixels("#after"), served(page, landscape, style="tiny", strength=0.4)) < 4
    assert not page["problem"].is_displayed()


def test_of_a_mix_that_changes_few_pictures_are_asked_for(page: Page, landscape: Path) -> None:
    show(page.open(), landscape)
    page.run(
        "(() => { const real = window.fetch; let now = 0; window.most = 0; window.fetch = async (...call) => {"
        " window.most = Math.max(window.most, ++now); try { return await real(...call); } finally { now--; } }; })()"
    )
    page.run(
        "(() => { const slider = document.getElementById(arguments[0]); for (let value = 1; value <= 100; value++) {"
        " slider.value = value; slider.dispatchEvent(new Event('input')); } })()", DUSK
    )  # fmt: skip
    painted_as(page, "landscape_dawn-100+dusk-100.jpg")
    assert 1 <= page.run("window.most") <= 2
    asked = [url for url in page.requests() if "dusk%3A" in url]
    assert 2 <= len(asked) <= 4  # two thumbnails at most while it moved, and the picture once it was still


def test_the_live_picture_follows_the_sliders(page: Page) -> None:
    page.open().ready()
    page.choose("pair")
    page["use-camera"].click()
    page.wait("Number(document.getElementById('meter-fps').textContent) > 0")
    page.slide(DUSK, 100)
    page.until(lambda: page.reports()[-1]["style"] == "dawn:100,dusk:100", "a frame comes in the mix")
    page.driver.find_element("css selector", "[aria-label='Only Dusk']").click()
    page.until(lambda: page.reports()[-1]["style"] == "dusk", "a frame comes in the other style")
    page.slide("strength", 30)
    page.run("Object.assign(document.getElementById('blend'), {value: 'network'}).dispatchEvent(new Event('change'))")
    last = {"style": "dusk@pair", "strength": 0.3, "blend": "network", "keep_color": False, "mask_part": None}
    page.until(lambda: sent_texts(page)[-1] == last, "the blend is told")
    seen = len(page.reports())
    page.until(lambda: len(page.reports()) > seen + 2, "frames go on coming")
    assert not [report for report in page.reports() if "error" in report]
    page.choose("tiny")
    page.until(lambda: page.reports()[-1].get("style") == "tiny", "a frame comes in the style of its own")
    assert sent_texts(page)[-1] == {
        "style": "tiny",
        "strength": 0.3,
        "blend": "pixels",
        "keep_color": False,
        "mask_part": None,
    }
    assert len(page.network("Network.webSocketCreated")) == 1
    assert not page["problem"].is_displayed()


def test_on_a_phone_the_picture_stays_in_sight_of_the_sliders(page: Page, landscape: Path) -> None:
    show(page.open(width=320, height=640, phone=True), landscape)
    assert page.run("document.documentElement.scrollWidth") == page.run("window.innerWidth") == 320
    assert page.run(f"document.getElementById('{DUSK}').getBoundingClientRect().width") > 180
    page.run("document.getElementById('strength').scrollIntoView({block: 'end'})")
    page.wait("window.scrollY > 0")
    boxes = page.run(
        "['stack', arguments[0], 'strength'].map((id) => document.getElementById(id).getBoundingClientRect())"
        ".flatMap(({top, bottom}) => [top, bottom])", DUSK
    )  # fmt: skip
    assert boxes == sorted(boxes)
    assert boxes[0] >= 0
    assert boxes[-1] <= 640


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sliders_names_stand_out(page: Page, landscape: Path, scheme: str) -> None:
    show(page.open(features=f"prefers-color-scheme: {scheme}, prefers-reduced-motion: reduce"), landscape)
    contrasts = page.run(CONTRASTS)
    assert {"Mix", "Dawn", "Dusk", "100%", "0%"} <= {text for text, _ in contrasts}
    assert [(text, round(ratio, 2)) for text, ratio in contrasts if ratio < 4.5] == []


def test_without_a_palette_there_is_no_mix(page_at: Callable[[str], Page], address: str) -> None:
    page = go_live(page_at(address))
    assert not page["mix"].is_displayed()
    page.slide("strength", 50)
    page.until(lambda: sent_texts(page)[-1]["blend"] == "pixels", "the strength is told")
