"""The checks of the self-test: each asks the server for something and says what it saw."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

from fststyle.serving.web.probe import Answer, Probe, Unexpected, told
from fststyle.serving.web.self_test_masks import check_masks
from fststyle.serving.web.self_test_pictures import claimed_png, picture

LIMITS = {
    "workers": 1,
    "max-queue": 2,
    "max-body-bytes": 300_000,
    "max-pixels": 4_000_000,
    "max-size": 1024,
    "header-seconds": 1,
    "body-seconds": 1,
    "queue-seconds": 300,
    "inference-seconds": 300,
    "stop-seconds": 60,
}
FOREIGN = "http://foreign.example"
_CROWD = 16
_NOT_FOR_CLIENTS = re.compile(rb'Traceback|File "|\.py\b|site-packages|/home/|/root/|/usr/|/tmp/| at 0x|[A-Z]:\\')
_HEADERS = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self)",
    "cross-origin-resource-policy": "same-origin",
}


def check_photo(probe: Probe) -> str:
    answer = probe.stylize(picture()).expect(200)
    with Image.open(BytesIO(answer.body)) as image:
        if image.size != (64, 48) or image.format != "JPEG":
            raise Unexpected(f"{image.format} of {image.size}")
    return f"200, {answer.headers.get('x-style')}, {answer.headers.get('server-timing')}"


def check_declared_body(probe: Probe) -> str:
    return told(probe.stylize(bytes(LIMITS["max-body-bytes"] + 1)).expect(413))


def check_undeclared_body(probe: Probe) -> str:
    pieces = (bytes(1000) for _ in range(LIMITS["max-body-bytes"] // 1000 + 50))
    return told(probe.stylize(pieces).expect(413))


def check_pixel_bomb(probe: Probe) -> str:
    return told(probe.stylize(claimed_png(60_000, 60_000)).expect(413))


def check_formats(probe: Probe) -> str:
    probe.stylize(picture(), headers={"Content-Type": "text/html"}).expect(415)
    probe.stylize(b"This is not a picture.").expect(415)
    return told(probe.stylize(picture(format_name="TIFF")).expect(415))


def check_damage(probe: Probe) -> str:
    probe.stylize(b"").expect(422)
    return told(probe.stylize(picture()[:400]).expect(422))


def check_animation(probe: Probe) -> str:
    buffer = BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    with Image.open(BytesIO(probe.stylize(buffer.getvalue()).expect(200).body)) as image:
        count = getattr(image, "n_frames", 1)
    if count != 1:
        raise Unexpected(f"{count} frames")
    return "3 frames in, 1 out"


def check_unknown_style(probe: Probe) -> str:
    return told(probe.stylize(picture(), "?style=no_such_style").expect(404))


def check_traversal(probe: Probe) -> str:
    for path in ("/etc/passwd", "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd"):
        probe.stylize(picture(), f"?style={path}").expect(404)
        for place in (f"/page/{path}", f"/v1/styles/{path}/preview", f"/{path}"):
            probe.request("GET", place).expect(404)
    return "404 for every name with a path in it"


def check_parameters(probe: Probe) -> str:
    for query in (
        "strength=2",
        "strength=nan",
        "strength=x",
        "max_size=0",
        "max_size=99999",
        "blend=oil",
        "keep_color=maybe",
        "a=b",
    ):
        probe.stylize(picture(), f"?{query}").expect(422)
    return told(probe.stylize(picture(), "?strngth=1").expect(422))


def check_mixes(probe: Probe) -> str:
    """Of a palette, if one is served; where none is, mixes are unknown styles."""
    listed = json.loads(probe.request("GET", "/v1/styles").expect(200).body)["styles"]
    palette = next((style for style in listed if len(style["styles"]) > 1), None)
    if palette is None:
        return f"no palette is served; {told(probe.stylize(picture(), '?style=a:1,b:2').expect(404))}"
    one, other = (style["name"] for style in palette["styles"][:2])
    for wrong, status in ((f"{one}:-1", 422), (f"{one}:x", 422), (f"{one}:0", 422), (f"{one}:1,no_such_style:1", 404)):
        probe.stylize(picture(), f"?{urlencode({'style': wrong})}").expect(status)
    probe.stylize(picture(), f"?{urlencode({'style': f'{one}:1@/etc/passwd'})}").expect(404)
    mix = {"style": f"{one}:3,{other}:1@{palette['name']}", "strength": "0.5", "blend": "network"}
    answer = probe.stylize(picture(), f"?{urlencode(mix)}").expect(200)
    return f"200, {answer.headers.get('x-style')}; wrong weights 422, unknown names 404"


def check_accept(probe: Probe) -> str:
    answer = probe.stylize(picture(), headers={"Accept": "image/webp"}).expect(200)
    if answer.headers.get("content-type") != "image/webp":
        raise Unexpected(f"got {answer.headers.get('content-type')} for image/webp")
    return told(probe.stylize(picture(), headers={"Accept": "text/html"}).expect(406))


def check_slow_body(probe: Probe) -> str:
    with probe.connection() as connection:
        connection.putrequest("POST", "/v1/stylize")
        for name, text in {"X-API-Key": probe.key, "Content-Length": "1000", "Content-Type": "image/jpeg"}.items():
            connection.putheader(name, text)
        connection.endheaders(b"\xff\xd8")
        return told(probe.answer(connection).expect(408))


def check_slow_header(probe: Probe) -> str:
    with probe.raw() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        received = connection.recv(1000)
    if received:
        raise Unexpected(f"answered {received[:50]!r}")
    return "connection closed"


def check_overflow(probe: Probe) -> str:
    photo, answers = picture(640, 640), []
    together = threading.Barrier(_CROWD)

    def send() -> None:
        together.wait()
        answers.append(probe.stylize(photo))

    threads = [threading.Thread(target=send) for _ in range(_CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer.expect(200, 429) for answer in answers if answer.status != 200]
    if not refused or len(refused) == _CROWD or len(answers) < _CROWD:
        raise Unexpected(f"{len(refused)} of {_CROWD} requests at once were refused")
    waits = {answer.headers.get("retry-after", "") for answer in refused}
    if not all(wait.isdecimal() for wait in waits):
        raise Unexpected("429 without Retry-After")
    return f"{_CROWD - len(refused)} served, {len(refused)} answered 429, Retry-After {', '.join(sorted(waits))} s"


def check_cors(probe: Probe) -> str:
    preflight = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
    answers = [
        probe.request("GET", "/v1/styles", headers={"Origin": FOREIGN}),
        probe.request("OPTIONS", "/v1/stylize", headers=preflight).expect(405),
        probe.stylize(picture(), headers={"Origin": FOREIGN}).expect(403),
    ]
    if any(name.startswith("access-control-") for answer in answers for name in answer.headers):
        raise Unexpected("an answer lets another origin in")
    return told(answers[-1])


def check_host(probe: Probe) -> str:
    return told(probe.request("GET", "/v1/styles", headers={"Host": "foreign.example"}).expect(421))


def check_headers(probe: Probe) -> str:
    for path in ("/", "/v1/styles", "/no_such_page", "/healthz"):
        headers = probe.request("GET", path).headers
        for name, text in _HEADERS.items():
            if text not in headers.get(name, ""):
                raise Unexpected(f"{path}: {name} is {headers.get(name)!r}")
        if "server" in headers:
            raise Unexpected(f"{path} tells of the server's software: {headers['server']}")
    return ", ".join(_HEADERS)


def check_key(probe: Probe) -> str:
    for path in ("/v1/styles", "/metrics"):
        probe.request("GET", path, key="").expect(401)
        probe.request("GET", path, key=probe.key + "x").expect(401)
        probe.request("GET", path, headers={"Authorization": f"Bearer {probe.key}"}, key="").expect(200)
    return told(probe.request("POST", "/v1/stylize", picture(), key="").expect(401))


def check_live(probe: Probe) -> str:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect
    from websockets.typing import Origin

    address = probe.address.replace("http", "ws", 1) + "/v1/live"
    try:
        with connect(f"{address}?key={probe.key}", sock=probe.raw(), origin=Origin(FOREIGN)):
            raise Unexpected("another origin's page was let in")
    except InvalidStatus as error:
        if error.response.status_code != 403:
            raise Unexpected(f"status {error.response.status_code} instead of 403") from error
    with connect(f"{address}?key=wrong", sock=probe.raw()) as socket:
        if json.loads(socket.recv(10)).get("error", {}).get("type") != "Unauthorized":
            raise Unexpected("a wrong key was let in")
    with connect(f"{address}?key={probe.key}", sock=probe.raw()) as socket:
        socket.recv(10)
        socket.send(picture())
        report = json.loads(socket.recv(60))
        if report.get("frame") != 1 or not bytes(socket.recv(60)).startswith(b"\xff\xd8"):  # type: ignore[arg-type]
            raise Unexpected(f"no frame came back: {report}")
    return "another origin 403, a wrong key refused, a frame came back"


def check_errors(probe: Probe) -> str:
    here = Path.cwd()
    hidden = [] if here == Path(here.anchor) else [str(here).encode()]  # a container's is /, which media types have too
    told = [body for body in probe.errors if _NOT_FOR_CLIENTS.search(body) or any(path in body for path in hidden)]
    if told:
        raise Unexpected(f"an answer tells too much: {told[0][:200]!r}")
    if not all(Answer(0, {}, body).kind for body in probe.errors):
        raise Unexpected("an error came in another form than {'error': {'type', 'message'}}")
    return f"{len(probe.errors)} errors so far, none with a trace or a path"


def check_stop(probe: Probe) -> str:
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(probe.stylize(picture(800, 800))))
    thread.start()
    while b"fststyle_running 1.0" not in probe.request("GET", "/metrics").body and thread.is_alive():
        pass
    probe.process.terminate()
    code = probe.process.wait(60)
    thread.join()
    log = probe.log.read_text(encoding="utf-8", errors="replace")
    statuses = [answer.status for answer in answers]
    if statuses != [200] or code != 0 or "Traceback" in log:
        raise Unexpected(f"answered {statuses}, exit code {code}, log: {log[-300:]}")
    return "answered 200, exit code 0"


CHECKS: dict[str, Callable[[Probe], str]] = {
    "a photo is stylised": check_photo,
    "a body above the cap, by its length": check_declared_body,
    "a body above the cap, without a length": check_undeclared_body,
    "a header of too many pixels, before decoding": check_pixel_bomb,
    "formats outside the list": check_formats,
    "empty and damaged pictures": check_damage,
    "one frame of an animation": check_animation,
    "an unknown style": check_unknown_style,
    "names with a path in them": check_traversal,
    "parameters out of range": check_parameters,
    "mixes of a palette's styles": check_mixes,
    "masks, and parts that a mask model finds": check_masks,
    "formats by Accept": check_accept,
    "a body that dribbles in": check_slow_body,
    "a header that dribbles in": check_slow_header,
    "more requests than the queue holds": check_overflow,
    "other origins are kept out": check_cors,
    "other host names are kept out": check_host,
    "security headers": check_headers,
    "the key": check_key,
    "the live socket": check_live,
    "no trace and no path in errors": check_errors,
}
