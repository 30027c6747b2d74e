import json
import logging

import pytest
from websockets.sync.client import connect

from fststyle.errors import DeviceError, FststyleError, InputError, ModelError, OptionError, OutputError
from fststyle.serving.web.problems import Refusal, answer, describe

from .conftest import PATIENCE, Running
from .test_stylize import error_of


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OptionError("strength must be 0 to 1"), 422, "strength must be 0 to 1"),
        (InputError("cannot read <_io.BytesIO object at 0x7f00>"), 422, "cannot read the data"),
        (DeviceError("/usr/lib/libx.so is missing"), 503, "not enough memory"),
        (ModelError("/home/me/x.onnx is damaged"), 500, "the server failed"),
        (OutputError("/tmp/x: no space"), 507, "the server failed"),
        (RuntimeError("/home/me/secret"), 500, "the server failed"),
        (Refusal(429, "Busy", "later", retry_after=0.1), 429, "later"),
    ],
)
def test_what_a_client_is_told(error: Exception, status: int, message: str) -> None:
    told = answer(error)
    assert told.status_code == status
    assert json.loads(bytes(told.body))["error"]["message"].startswith(message)


def test_headers_of_refusals() -> None:
    assert answer(Refusal(429, "Busy", "later", retry_after=0.1)).headers["retry-after"] == "1"
    assert answer(Refusal(503, "Busy", "later", retry_after=3.2)).headers["retry-after"] == "4"
    assert answer(Refusal(401, "Unauthorized", "key")).headers["www-authenticate"] == "Bearer"


def test_the_log_has_what_clients_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    describe(ModelError("/home/me/x.onnx is damaged"))
    assert caplog.messages == ["/home/me/x.onnx is damaged"]


@pytest.mark.parametrize(
    "error", [RuntimeError("in /home/me"), ModelError("in /home/me"), FststyleError("in /home/me")]
)
def test_a_failure_inside_is_told_without_its_trace(
    web: Running, photo: bytes, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(web.stylizer, "stylise", fail)
    response = web.stylize(photo)
    assert error_of(response)[::2] == (500, "the server failed; its log says why")
    with connect(web.live, proxy=None) as socket:
        socket.recv(PATIENCE)
        socket.send(photo)
        told = json.loads(socket.recv(PATIENCE))
    assert told == {"frame": 1} | response.json()
    assert sum("/home/me" in record.getMessage() + str(record.exc_info) for record in caplog.records) == 2
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    monkeypatch.undo()
    assert web.stylize(photo).status_code == 200
