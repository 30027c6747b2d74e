"""The page for everybody: names, contrast, keyboard, phones, less motion; and nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.serving.web.page.conftest import Page

pytestmark = pytest.mark.browser
CONTROLS = {"button", "slider", "switch", "radio", "combobox", "link", "checkbox", "image", "textbox", "radiogroup"}
STAGES = ["empty", "photo", "camera"]

# For every text that is seen: its contrast with the colour behind it, by the formula of WCAG 2.
CONTRASTS = """(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const mat = at.matches('.empty-frame') && getComputedStyle(document.body).getPropertyValue('--mat');
      if (mat) return mat.replace(/#(..)(..)(..)/, (_, ...parts) => parts.map((part) => parseInt(part, 16)).join(' '));
      const parts = channels(style.backgroundColor);
      if (parts.length === 3 || parts[3] === 1) return style.backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility({visibilityProperty: true}) || element.closest('.stack, noscript')) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    found.push([text, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)]);
  }
  return found;
})()"""


def bring_to(page: Page, stage: str, photo: Path) -> None:
    page.ready()
    if stage == "photo":
        page.show(photo)
    if stage == "camera":
        page["use-camera"].click()
        page.wait("!document.getElementById('meters').hidden")


def tree(page: Page) -> list[tuple[str, str]]:
    """Role and name of everything that assistive technology sees."""
    nodes: list[dict[str, Any]] = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    seen = [node for node in nodes if not node["ignored"]]
    return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in seen]


@pytest.mark.parametrize("stage", STAGES)
def test_every_control_and_picture_has_a_name(page: Page, landscape: Path, stage: str) -> None:
    page.open()
    bring_to(page, stage, landscape)
    named = [(role, name) for role, name in tree(page) if role in CONTROLS]
    assert [role for role, name in named if not name.strip()] == []
    assert {("radio", "Stripes, warm"), ("radiogroup", "Styles"), ("button", "Camera")} <= {*named}
    assert (("slider", "Strength") in named) == (stage != "empty")


def test_news_is_announced(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    assert page["status"].get_attribute("role") == "status"
    assert "Stripes, tiny, 300 \u00d7 200, painted in" in page.text("status")
    assert page["problem"].get_attribute("role") == "alert"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("stage", STAGES)
def test_every_text_stands_out_from_what_is_behind_it(page: Page, landscape: Path, stage: str, scheme: str) -> None:
    page.open(features=f"prefers-color-scheme: {scheme}, prefers-reduced-motion: reduce")
    bring_to(page, stage, landscape)
    contrasts = page.run(CONTRASTS)
    assert len(contrasts) > 5
    assert [(text, round(ratio, 2)) for text, ratio in contrasts if ratio < 4.5] == []
    walls = page.run("getComputedStyle(document.documentElement).backgroundColor").strip("rgb()").split(", ")
    assert (int(walls[0]) < 128) == (scheme == "dark")


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_wider_than_a_phone(page: Page, landscape: Path, stage: str) -> None:
    page.open(width=320, height=640, phone=True)
    bring_to(page, stage, landscape)
    assert page.run("document.documentElement.scrollWidth") == page.run("window.innerWidth") == 320
    if stage != "empty":
        picture = page.run("document.getElementById('stack').getBoundingClientRect().width")
        assert 240 < picture < 320


def test_all_can_be_reached_with_tab_and_is_seen_to_be(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    page.run("document.body.focus(), document.activeElement.blur()")
    reached = []
    for _ in range(20):
        page.key("\ue004")
        found = page.run(
            "(() => { const element = document.activeElement; if (element === document.body) return null;"
            " const shown = element.closest('.work')?.querySelector('.work-frame')"
            " ?? (element.id === 'compare' ? document.getElementById('stack') : element);"
            " return [element.id || element.name || element.className, getComputedStyle(shown).outlineStyle]; })()"
        )
        if found is None:
            break
        reached.append(found)
    assert [name for name, outline in reached if outline == "none"] == []
    expected = ["skip", "mode-photo", "mode-camera", "compare", "strength", "keep-color", "choose-mask", "size"]
    assert [name for name, _ in reached] == [*expected, "download", "choose-other", "style"]


@pytest.mark.parametrize(("wish", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_for_those_who_asked_for_that(page: Page, wish: str, moves: bool) -> None:
    page.open(features=f"prefers-reduced-motion: {wish}").ready()
    page.run("document.body.classList.add('busy')")
    animation = page.run("getComputedStyle(document.getElementById('status'), '::after').animationName")
    assert (animation != "none") == moves


def test_the_page_needs_no_one_but_its_server(page: Page, landscape: Path) -> None:
    page.open().ready().show(landscape)
    asked = page.requests()
    for file in ("style.css", "main.js", "icon.svg"):
        assert f"{page.address}/page/{file}" in asked
    assert page.strangers() == []
    assert page.complaints() == []
