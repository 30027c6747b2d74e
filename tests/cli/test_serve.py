import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import click
import pytest
from onnx import helper
from PIL import Image

pytest.importorskip("fastapi")

from fststyle.cli.main import main
from fststyle.cli.serve import serve
from fststyle.serving.web import self_test
from fststyle.serving.web.self_test import Finding
from fststyle.serving.web.settings import ServerSettings

from ..serving.test_segmenter import classes, same, save_network

OPTIONS = ["--style", "tiny", "--device", "cpu", "--threads", "1", "--port", "0"]


@pytest.fixture(autouse=True)
def _tiny_style(styles_folder: Path) -> None:
    """``--style tiny`` is there in every test."""


class Program:
    """``fststyle serve`` as a program of its own."""

    def __init__(self, *more: str, options: Sequence[str] = OPTIONS) -> None:
        command = [sys.executable, "-m", "fststyle", "serve", *options, *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("fststyle: listening on http://127.0.0.1:"):
            self.process.kill()
            pytest.fail(line + self.process.communicate()[1])
        self.address = line.split()[-1]
        deadline = time.monotonic() + 60
        while self.get("/readyz")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def get(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        opener = build_opener(ProxyHandler({}))
        request = Request(self.address + path, body, {"Content-Type": "image/png"} if body else {})
        try:
            with opener.open(request, timeout=60) as response:
                return response.status, response.read()
        except OSError as error:
            return getattr(error, "code", 0), b""

    def stop(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        printed = self.process.communicate(timeout=60)
        return self.process.returncode, *printed


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        if program.process.poll() is None:
            program.process.kill()
            program.process.communicate()


def photo(side: int) -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_finish_what_runs(programs: list[Program], number: signal.Signals) -> None:
    programs.append(program := Program())
    answers: list[tuple[int, bytes]] = []
    thread = threading.Thread(target=lambda: answers.append(program.get("/v1/stylize", photo(900))))
    thread.start()
    while b"fststyle_running 1.0" not in program.get("/metrics")[1]:
        assert thread.is_alive(), answers
    code, out, err = program.stop(number)
    thread.join()
    assert [status for status, _ in answers] == [200]
    assert (code, out, err) == (0, "", "fststyle: running on the CPU\n")


def test_what_runs_for_too_long_is_told(programs: list[Program]) -> None:
    programs.append(program := Program("--stop-seconds", "1", "--workers", "1"))
    answers: list[tuple[int, bytes]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(program.get("/v1/stylize", photo(2000)))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while b"fststyle_queue_length 2.0" not in program.get("/metrics")[1]:
        assert any(thread.is_alive() for thread in threads), answers
    code, _, err = program.stop(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} <= {200, 503}
    assert 503 in {status for status, _ in answers}
    assert code == 0
    assert "Traceback" not in err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", *OPTIONS, "--port", str(taken.getsockname()[1])]) == 2
    assert "Address already in use; --port 0 takes a free one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--style", "tinny"], 5, "did you mean 'tiny'?"),
        (["--style", "tiny", "--style", "twin/tiny.onnx"], 2, "two of the styles have one name"),
        (["--format", "JPG"], 2, "did you mean 'JPEG'?"),
        (["--max-size", "0"], 2, "max_size must be above 0, got 0"),
        (["--allow-origin", "*"], 2, "an origin is scheme://host[:port]"),
        (["--api-key-file", "missing"], 3, "cannot read missing: No such file"),
        (["--api-key-file", "empty"], 2, "the API key is empty"),
        (["--host", "192.0.2.1"], 2, "cannot listen on 192.0.2.1"),
        (["--mask-class", "1"], 2, "--mask-class and --mask-normalize need a --mask-model"),
        (["--mask-model", "missing.onnx"], 6, "cannot read the mask model missing.onnx"),
        (["--mask-model", "empty"], 6, "empty"),
        (["--mask-model", "classes.onnx"], 2, "has 19 classes: say which are persons (--mask-class"),
        (["--mask-model", "nan.onnx"], 6, "gives values that are no numbers"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path,
    tiny_style_file: Path,
    options: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "tiny.onnx").write_bytes(tiny_style_file.read_bytes())
    (tmp_path / "empty").touch()
    save_network(tmp_path / "nan.onnx", helper.make_node("Div", ["red", "red"], ["mask"]))
    nodes, constants = classes(19, 11)
    save_network(tmp_path / "classes.onnx", *nodes, constants=constants, given=(1, "c", 32, 32))
    assert main(["serve", *(options if "--style" in options else [*OPTIONS, *options])]) == code
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith("fststyle: error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert printed.out == ""


def test_the_key_comes_from_a_file_or_the_environment(
    programs: list[Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("secret\n")
    programs.append(Program("--api-key-file", str(tmp_path / "key")))
    monkeypatch.setenv("FSTSTYLE_API_KEY", "secret")
    programs.append(Program())
    for program in programs:
        assert program.get("/v1/styles")[0] == 401
        request = Request(program.address + "/v1/styles", headers={"Authorization": "Bearer secret"})
        with build_opener(ProxyHandler({})).open(request, timeout=60) as response:
            assert json.load(response)["default"] == "tiny"


def test_what_is_no_style_is_left_out(programs: list[Program], styles_folder: Path) -> None:
    (styles_folder / "broken.onnx").write_text("no network")
    (styles_folder / "cut.onnx").write_bytes(changed_graph(styles_folder / "tiny.onnx"))
    programs.append(program := Program(options=["--device", "cpu", "--threads", "1", "--port", "0"]))
    listed = {style["name"] for style in json.loads(program.get("/v1/styles")[1])["styles"]}
    assert "tiny" in listed
    assert not listed & {"broken", "cut"}
    code, _, err = program.stop(signal.SIGTERM)
    assert code == 0
    assert [line.partition(" is ")[0].rpartition("/")[2] for line in err.splitlines() if "left out: " in line][-2:] == [
        "broken.onnx",
        "cut.onnx",
    ]


def test_a_palette_is_served_with_what_it_holds(programs: list[Program], palette_file: Path) -> None:
    options = ["--style", str(palette_file), "--device", "cpu", "--threads", "1", "--port", "0"]
    programs.append(program := Program(options=options))
    (listed,) = json.loads(program.get("/v1/styles")[1])["styles"]
    assert (listed["name"], [style["name"] for style in listed["styles"]]) == ("pair", ["dawn", "dusk"])
    for style, status in (("dusk", 200), ("dawn:7,dusk:3", 200), ("dawn:7,dusk:3@pair", 200), ("dawn:-1", 422)):
        assert program.get(f"/v1/stylize?style={style}", photo(20))[0] == status
    for style in (palette_file, f"dawn:1@{palette_file}"):
        assert program.get(f"/v1/stylize?style={style}", photo(20))[0] == 404


def test_a_mask_model_is_served(programs: list[Program], tmp_path: Path) -> None:
    nodes, constants = classes(19, 11)
    model = save_network(tmp_path / "model.onnx", *nodes, constants=constants, given=(1, 19, 32, 32))
    programs.append(program := Program("--mask-model", str(model), "--mask-class", "11"))
    assert json.loads(program.get("/v1/styles")[1])["mask_parts"] == ["person", "background"]
    for part in ("person", "background"):
        assert program.get(f"/v1/stylize?mask_part={part}", photo(20))[0] == 200


def changed_graph(path: Path) -> bytes:
    """The style's file with a graph that is no network any more; what describes it is as it was."""
    return path.read_bytes().replace(b"Conv", b"Vnoc")


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "websockets", "prometheus_client"])
def test_without_the_packages_the_error_names_the_extra(package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; from fststyle.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, "serve", *OPTIONS], capture_output=True, text=True)
    assert done.returncode == 8
    assert done.stderr.startswith("fststyle: error: serving needs ")
    assert done.stderr.endswith('which is not installed: pip install "fststyle[serve]"\n')


def test_every_figure_is_an_option_with_the_default_of_the_settings() -> None:
    options = {parameter.name: parameter for parameter in serve.params if isinstance(parameter, click.Option)}
    for entry in fields(ServerSettings):
        if entry.metadata:
            assert options[entry.name].default == entry.default, entry.name
    assert not [text for option in options.values() for text in option.opts if text == "--api-key"]


def test_the_self_test_prints_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def findings(options: list[str]) -> Iterator[Finding]:
        given.append(options)
        yield Finding("one", True, "200")
        yield Finding("other", given[1:] == [], "500")

    monkeypatch.setattr(self_test, "run_self_test", findings)
    assert main(["serve", "--self-test", *OPTIONS]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in printed] == [
        ["ok", "one", "200"],
        ["ok", "other", "500"],
        ["all", "2", "promises", "kept"],
    ]
    assert main(["serve", "--self-test", *OPTIONS]) == 1
    assert "1 of 2 promises not kept: other" in capsys.readouterr().err
    assert given[0] == ["--device", "cpu", "--style", "tiny", "--threads", "1"]


def test_the_self_test_has_the_mask_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(self_test, "run_self_test", lambda options: given.append(options) or [])
    model = ["--mask-model", str(save_network(tmp_path / "model.onnx", same())), "--mask-normalize", "signed"]
    classes = ["--mask-class", "0", "--mask-class", "1"]
    assert main(["serve", "--self-test", *OPTIONS, *model, *classes]) == 0
    assert given[0][6:] == [*model, *classes]
