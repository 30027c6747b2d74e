"""Fifty pictures with flipped bits and cut ends, through every door: never a crash, never a word too much."""

import json
import logging
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import connect

from .conftest import PATIENCE, StartServer, encoded

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")
ALLOWED = {200, 413, 415, 422}


def fuzzed(number: int) -> bytes:
    random = np.random.default_rng(number)
    data = bytearray(encoded(48, 36, FORMATS[number % len(FORMATS)]))
    if number % 2:
        del data[int(random.integers(1, len(data))) :]
    for _ in range(int(random.integers(1, 20))):
        place = int(random.integers(len(data)))
        data[place] ^= 1 << int(random.integers(8))
    return bytes(data)


def test_fifty_damaged_pictures(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    web = start_server(max_pixels=1_000_000, formats=FORMATS)
    statuses = []
    with caplog.at_level(logging.WARNING), connect(web.live, proxy=None) as socket:
        socket.recv(PATIENCE)
        for number in range(50):
            data = fuzzed(number)
            response = web.stylize(data)
            statuses.append(response.status_code)
            if response.status_code == 200:
                Image.open(BytesIO(response.content)).load()
            else:
                message = response.json()["error"]["message"]
                assert not [part for part in ("Traceback", " at 0x", "/", "\\") if part in message], message
            socket.send(data)
            answer = json.loads(socket.recv(PATIENCE))
            assert ("error" in answer) == (response.status_code != 200)
            if "error" not in answer:
                socket.recv(PATIENCE)
    assert {*statuses} <= ALLOWED
    assert len({*statuses}) > 1, "all ended alike: that is no fuzzing"
    assert not [record for record in caplog.records if record.exc_info or "Traceback" in record.getMessage()]
    assert web.stylize(encoded()).status_code == 200
