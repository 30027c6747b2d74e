"""Where the paint goes, on the page: a part that the server finds, or a mask of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from .test_access import CONTRASTS, tree
from .test_camera import go_live
from .test_mix import sent_texts
from .test_photo import difference

if TYPE_CHECKING:
    from tests.serving.web.page.conftest import Page

pytestmark = pytest.mark.browser
LEFT, RIGHT = np.s_[:, :128], np.s_[:, 172:]
"""The halves of a picture 300 pixels wide, but for the middle, where JPEG's blocks have both."""


@pytest.fixture
def people(page_at: Callable[[str], Page], address_with_mask_model: str) -> Page:
    return page_at(address_with_mask_model)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """A photo, 300 x 200 px: red, and to the mask model a person, on the left, and blue on the right."""
    rows, columns, _ = np.mgrid[:200, :300, :3]
    pixels = (20 + 15 * np.sin(rows / 9) * np.sin(columns / 13)).astype(np.uint8)  # which JPEG keeps
    pixels[:, :150, 0] += 200
    pixels[:, 150:, 2] += 200
    Image.fromarray(pixels).save(tmp_path / "halves.png")
    return tmp_path / "halves.png"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """White on the right, twice as large as the photo."""
    pixels = np.zeros((400, 600), np.uint8)
    pixels[:, 300:] = 255
    Image.fromarray(pixels).save(tmp_path / "right.png")
    return tmp_path / "right.png"


def choose(page: Page, part: str) -> None:
    page.run("Object.assign(document.getElementById('where'), {value: arguments[0]})"
             ".dispatchEvent(new Event('change'))", part)  # fmt: skip


def changes(page: Page, selector: str = "#after") -> list[float]:
    """How far what was painted is from the photo, on the left and on the right."""
    before, after = page.pixels("#before"), page.pixels(selector)
    if after.shape != before.shape:
        after = np.asarray(Image.fromarray(after).resize(before.shape[1::-1]))
    return [difference(after[half], before[half]) for half in (LEFT, RIGHT)]


def posted(page: Page) -> list[str]:
    return [url for url in page.requests() if "/v1/stylize?" in url]


def test_a_part_of_a_photo(people: Page, halves: Path) -> None:
    people.open().ready().show(halves)
    left, right = changes(people)
    choose(people, "person")
    people.painted()
    assert changes(people)[0] > 0.8 * left
    assert changes(people)[1] < 4 < right
    choose(people, "background")
    people.painted()
    assert changes(people)[0] < 4 < left
    assert changes(people)[1] > 0.8 * right
    thumbnail = changes(people, ".work:has(:checked) img")
    assert thumbnail[0] < 8 < thumbnail[1]
    choose(people, "")
    people.painted()
    assert changes(people) == [left, right]


def test_without_a_mask_model_there_are_no_parts(page: Page, halves: Path) -> None:
    page.open().ready().show(halves)
    assert not page["where"].is_displayed()
    assert page["choose-mask"].is_displayed()
    page["mode-camera"].click()
    page.wait("!document.getElementById('meters').hidden")
    assert not page["where-control"].is_displayed()


def test_a_mask_of_ones_own(page: Page, halves: Path, mask: Path) -> None:
    page.open().ready().show(halves)
    whole = changes(page)
    assert not page["feather-control"].is_displayed()
    page["mask-file"].send_keys(str(mask))
    page.wait("document.activeElement.id === 'remove-mask'")
    page.painted()
    assert page.text("mask-name") == "Where right.png is white"
    left, right = changes(page)
    assert left < 4 < 0.8 * whole[1] < right
    page["remove-mask"].click()
    page.painted()
    assert changes(page) == whole
    assert page.run("document.activeElement.id") == "choose-mask"
    assert not page["feather-control"].is_displayed()


def test_a_mask_goes_before_a_part_and_edges_are_softened_by_a_share_of_the_size(
    people: Page, halves: Path, mask: Path
) -> None:
    people.open().ready().show(halves)
    choose(people, "person")
    people.painted()
    people["mask-file"].send_keys(str(mask))
    people.wait("!document.getElementById('remove-mask').hidden")
    people.painted()
    assert not people["where"].is_displayed()
    sharp = people.pixels("#after")
    people.slide("feather", 2)
    people.painted()
    assert people["feather"].get_attribute("aria-valuetext") == "2% of the longer side"
    assert "feather=6" in posted(people)[-1]  # of 300 pixels
    assert not [url for url in posted(people)[-3:] if "mask_part" in url]
    soft = people.pixels("#after")
    assert difference(soft[:, 140:160], sharp[:, 140:160]) > 2
    assert difference(soft[:, :100], sharp[:, :100]) < 2
    people["remove-mask"].click()
    people.painted()
    assert "mask_part=person" in posted(people)[-1]


def test_another_photo_has_no_mask(page: Page, halves: Path, landscape: Path, mask: Path) -> None:
    page.open().ready().show(halves)
    page["mask-file"].send_keys(str(mask))
    page.wait("!document.getElementById('remove-mask').hidden")
    page.painted().show(landscape)
    assert page["choose-mask"].is_displayed()
    assert min(changes(page)) > 8


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "“wrong.png” cannot be read as a picture."),
        ((300, 300), "The mask has 300 \u00d7 300 pixels and the photo 300"),
    ],
)
def test_what_is_no_mask_is_explained_and_changes_nothing(
    page: Page, halves: Path, tmp_path: Path, content: tuple[int, int] | None, said: str
) -> None:
    wrong = tmp_path / "wrong.png"
    wrong.write_text("no picture")
    if content:
        Image.new("L", content).save(wrong)
    page.open().ready().show(halves)
    page["mask-file"].send_keys(str(wrong))
    page.wait("!document.getElementById('problem').hidden")
    assert page.text("problem-text").startswith(said)
    assert page["choose-mask"].is_displayed()
    assert page["download"].is_displayed()


def test_a_part_of_what_the_camera_sees(people: Page) -> None:
    go_live(people)
    assert people["where"].is_displayed()
    assert not people["choose-mask"].is_displayed()
    choose(people, "background")
    people.until(lambda: "mask_ms" in people.reports()[-1], "frames have a mask")
    assert sent_texts(people)[-1]["mask_part"] == "background"
    choose(people, "")
    people.until(lambda: "mask_ms" not in people.reports()[-1], "frames have none")
    assert not people["problem"].is_displayed()


def test_a_part_that_was_chosen_before_is_the_cameras_from_the_first_frame_on(people: Page, halves: Path) -> None:
    people.open().ready().show(halves)
    choose(people, "person")
    people.painted()["mode-camera"].click()
    people.until(people.reports, "a frame came")
    assert "mask_ms" in people.reports()[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_named_seen_and_fits_a_phone(people: Page, halves: Path, mask: Path, scheme: str) -> None:
    people.open(width=320, height=640, phone=True, features=f"prefers-color-scheme: {scheme}").ready().show(halves)
    named = tree(people)
    assert {("combobox", "Where"), ("group", "Where"), ("button", "Mask…")} <= {*named}
    people["mask-file"].send_keys(str(mask))
    people.wait("!document.getElementById('remove-mask').hidden")
    people.painted()
    assert {("slider", "Soft edges"), ("button", "Remove mask")} <= {*tree(people)}
    assert [(text, round(ratio, 2)) for text, ratio in people.run(CONTRASTS) if ratio < 4.5] == []
    assert people.run("document.documentElement.scrollWidth") == 320
