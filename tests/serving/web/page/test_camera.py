"""The camera on the page: frames that come back painted, while it happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.serving.web.page.conftest import Page

pytestmark = pytest.mark.browser


def go_live(page: Page) -> Page:
    page.open().ready()
    page["use-camera"].click()
    page.wait("Number(document.getElementById('meter-fps').textContent) > 0")
    return page


def test_frames_come_back_painted_with_rate_and_delay_shown(page: Page) -> None:
    go_live(page)
    assert page["meters"].is_displayed()
    assert float(page.text("meter-fps")) > 0
    assert int(page.text("meter-latency").removesuffix(" ms")) > 0
    page.run("Object.assign(document.getElementById('live-size'), {value: 384}).dispatchEvent(new Event('change'))")
    page.wait("document.getElementById('after').width === 384")
    first = page.pixels("#after")
    assert first[..., 3].min() == 255
    assert np.ptp(first[..., :3]) > 20
    seen = len(page.reports())
    page.until(lambda: len(page.reports()) > seen + 2, "frames go on coming")
    assert (page.pixels("#after") != first).any()


def test_never_more_than_two_frames_are_on_the_way(page: Page) -> None:
    go_live(page)
    page.until(lambda: len(page.reports()) > 10, "ten frames came")
    sent = answered = most = 0
    for message in page.messages:
        response = message["params"].get("response", {})
        if message["method"] == "Network.webSocketFrameSent" and response["opcode"] == 2:
            sent += 1
            most = max(most, sent - answered)
        if message["method"] == "Network.webSocketFrameReceived" and response["opcode"] == 1:
            answered = json.loads(response["payloadData"]).get("frame", answered)
    assert 1 <= most <= 2


def test_the_style_is_switched_while_it_runs(page: Page) -> None:
    go_live(page)
    warmth = page.pixels("#after")[..., :3].astype(float).mean(axis=(0, 1))
    page.choose("cold")
    page.wait("document.getElementById('status').textContent === 'Live, after Stripes, cold'")
    page.until(lambda: page.reports()[-1]["style"] == "cold", "a frame comes in the other style")

    def colder() -> bool:
        colour = page.pixels("#after")[..., :3].astype(float).mean(axis=(0, 1))
        return bool(colour[2] - colour[0] > warmth[2] - warmth[0] + 10)

    page.until(colder, "the picture is in the other style")
    assert len(page.network("Network.webSocketCreated")) == 1


def test_strength_and_colours_reach_the_server(page: Page) -> None:
    go_live(page)
    page.slide("strength", 30)
    page["keep-color"].click()
    sent = [event["response"] for event in page.network("Network.webSocketFrameSent")]
    texts = [frame["payloadData"] for frame in sent if frame["opcode"] == 1]
    assert '"strength":0.3' in texts[-2]
    assert '"keep_color":true' in texts[-1]
    assert page["problem"].is_displayed() is False


def test_at_no_strength_the_painted_frame_is_the_cameras_mirrored_or_not(page: Page) -> None:
    go_live(page)
    # A picture that stands still and is lighter on the left takes the camera's place.
    page.run(
        "(() => { const canvas = document.createElement('canvas'); [canvas.width, canvas.height] = [320, 240];"
        " const context = canvas.getContext('2d'); setInterval(() => { context.fillStyle = '#fff';"
        " context.fillRect(0, 0, 160, 240); context.fillStyle = '#000'; context.fillRect(160, 0, 160, 240); }, 30);"
        " const video = document.getElementById('camera'); video.srcObject = canvas.captureStream();"
        " return video.play(); })()"
    )
    page.slide("strength", 0)

    def corners() -> tuple[int, int]:
        picture = page.pixels("#after")[10, :, 0]
        return int(picture[10]), int(picture[-10])

    page.until(lambda: corners()[0] < 50 < 200 < corners()[1], "the picture is mirrored, as one expects of oneself")
    page["mirror"].click()
    page.until(lambda: corners()[1] < 50 < 200 < corners()[0], "the picture is not mirrored")


def test_a_snapshot_is_saved(page: Page) -> None:
    go_live(page)
    page["snapshot"].click()
    saved = Image.open(page.downloaded("camera_tiny.jpg"))
    assert saved.width in (256, 320, 384, 400)
    assert np.ptp(np.asarray(saved)) > 20


def test_the_moment_becomes_a_photo(page: Page) -> None:
    go_live(page)
    page["paint-frame"].click()
    page.painted()
    assert page["mode-photo"].get_attribute("aria-pressed") == "true"
    assert page["download"].get_attribute("download") == "camera_tiny.jpg"
    assert page.run("document.getElementById('camera').srcObject") is None


def test_leaving_lets_go_of_camera_and_socket(page: Page) -> None:
    go_live(page)
    page["mode-photo"].click()
    assert page["invitation"].is_displayed()
    assert page.run("document.getElementById('camera').srcObject") is None
    page.until(lambda: page.network("Network.webSocketClosed"), "the socket is closed")


def test_a_server_with_a_key_is_given_it(page_at: Callable[[str], Page], address_with_key: str) -> None:
    page = page_at(address_with_key).open_locked()
    page.give_key("open sesame")
    page.ready()["use-camera"].click()
    page.wait("Number(document.getElementById('meter-fps').textContent) > 0")


def test_a_broken_connection_is_made_again(page: Page) -> None:
    page.open().ready()
    page.run(
        "(() => { const Real = window.WebSocket; window.sockets = []; window.WebSocket = class extends Real {"
        " constructor(address) { super(address); window.sockets.push(this); } }; })()"
    )
    page["use-camera"].click()
    page.wait("!document.getElementById('meters').hidden")
    page.run("window.sockets[0].close()")
    page.wait("window.sockets.length === 2 && !document.getElementById('meters').hidden")
    assert not page["problem"].is_displayed()


def test_a_server_that_is_gone_is_tried_a_few_times_and_then_let_be(page: Page) -> None:
    page.open().ready()
    page.expected_complaints = ["WebSocket connection to"]
    # Only the first socket finds the server. Pauses are noted, and shorter by a factor of ten.
    page.run(
        "(() => { const [Real, later] = [window.WebSocket, window.setTimeout];"
        " [window.sockets, window.pauses] = [[], []];"
        " window.WebSocket = class extends Real { constructor(address) {"
        " super(window.sockets.length ? address.replace('/v1/live', '/v1/gone') : address);"
        " window.sockets.push(this); } };"
        " window.setTimeout = (work, wait) => { window.pauses.push(wait); return later(work, wait / 10); }; })()"
    )
    page["use-camera"].click()
    page.wait("!document.getElementById('meters').hidden")
    page.run("window.sockets[0].close()")
    page.wait("!document.getElementById('problem').hidden")
    assert "broke off" in page.text("problem-text")
    assert page.run("window.pauses") == [500, 1000, 2000, 4000]
    assert page.run("document.getElementById('camera').srcObject") is None
    page.run("new Promise((resolve) => setTimeout(resolve, 10000))")
    assert page.run("window.sockets.length") == 5


@pytest.mark.parametrize(
    ("error", "said"), [("NotAllowedError", "may not use the camera"), ("NotFoundError", "No camera was found")]
)
def test_a_camera_that_cannot_be_had_is_explained_and_costs_no_photo(
    page: Page, landscape: Path, error: str, said: str
) -> None:
    page.open().ready().show(landscape)
    page.run("navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', arguments[0])), 1", error)
    page["mode-camera"].click()
    page.wait("!document.getElementById('problem').hidden")
    assert said in page.text("problem-text")
    assert page["problem-retry"].is_displayed()
    page.painted()
    assert page["before"].is_displayed()
