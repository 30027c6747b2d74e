"""The self-test's check of masks, which come in a form beside the picture."""

from __future__ import annotations

import json
from io import BytesIO

from PIL import Image

from fststyle.serving.web.probe import Answer, Probe, Unexpected, told
from fststyle.serving.web.self_test_pictures import claimed_png, grey, picture

_BOUNDARY = "fststyle-self-test"


def check_masks(probe: Probe) -> str:
    """A white mask is as none, a black one leaves the photo, and wrong ones are refused as wrong pictures are."""
    photo, accept = picture(format_name="PNG"), {"Accept": "image/png"}
    plain = probe.stylize(photo, headers=accept).expect(200)
    white, black = (_masked(probe, photo, grey(level)).expect(200) for level in (255, 0))
    if white.body != plain.body:
        raise Unexpected("a white mask gave another picture than none")
    if _pixels(black.body) != _pixels(photo):
        raise Unexpected("a black mask did not leave the photo as it was")
    for mask, status in ((b"", 422), (b"text", 415), (grey(255)[:60], 422), (claimed_png(60_000, 60_000), 413)):
        _masked(probe, photo, mask).expect(status)
    wrong = told(_masked(probe, photo, grey(255, 48, 64)).expect(422))
    return f"white as none, black leaves the photo, another shape {wrong}; {_check_parts(probe, photo)}"


def _check_parts(probe: Probe, photo: bytes) -> str:
    parts = json.loads(probe.request("GET", "/v1/styles").expect(200).body)["mask_parts"]
    probe.stylize(photo, "?mask_part=no_such_part").expect(422)
    if not parts:
        return f"no mask model, mask_part {told(probe.stylize(photo, '?mask_part=person').expect(422))}"
    for part in parts:
        probe.stylize(photo, f"?mask_part={part}").expect(200)
    return f"200 for {', '.join(parts)}"


def _masked(probe: Probe, photo: bytes, mask: bytes) -> Answer:
    marker = f"--{_BOUNDARY}".encode()
    fields = {"image": photo, "mask": mask}
    parts = [
        b'%b\r\nContent-Disposition: form-data; name="%b"; filename="p"\r\n\r\n%b\r\n' % (marker, name.encode(), data)
        for name, data in fields.items()
    ]
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "Accept": "image/png"}
    return probe.request("POST", "/v1/stylize", b"".join(parts) + marker + b"--\r\n", headers)


def _pixels(data: bytes) -> bytes:
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB").tobytes()
