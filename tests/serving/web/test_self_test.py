from pathlib import Path

import pytest

from fststyle.serving.web import probe, self_test
from fststyle.serving.web.probe import Answer, Unexpected
from fststyle.serving.web.self_test import Finding, run_self_test
from fststyle.serving.web.self_test_checks import CHECKS, check_errors


def test_every_promise_is_kept(tiny_style_file: Path, palette_file: Path, person_model: Path) -> None:
    options = ["--style", str(tiny_style_file), "--style", str(palette_file), "--device", "cpu", "--threads", "1"]
    findings = [*run_self_test([*options, "--mask-model", str(person_model)])]
    assert [finding for finding in findings if not finding.held] == []
    assert len(findings) == len(CHECKS) + 1
    mixes = next(finding for finding in findings if finding.promise == "mixes of a palette's styles")
    assert mixes.found.startswith("200, dawn:3,dusk:1;")
    masks = next(finding for finding in findings if finding.promise.startswith("masks"))
    assert masks.found.endswith("another shape 422 InputError; 200 for person, background")


def test_a_broken_promise_is_found(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ["a body above the cap, by its length", "a photo is stylised", "parameters out of range"]
    kept += ["mixes of a palette's styles", "masks, and parts that a mask model finds"]
    monkeypatch.setattr(self_test, "CHECKS", {name: CHECKS[name] for name in kept})
    monkeypatch.setattr(self_test, "LIMITS", {"max-size": 100_000, "stop-seconds": 60})
    findings = [*run_self_test(["--style", str(tiny_style_file), "--device", "cpu", "--threads", "1"])]
    assert [finding.held for finding in findings[:5]] == [False, True, False, True, True]
    assert findings[3].found == "no palette is served; 404 StyleNotFoundError"
    assert findings[0] == Finding(kept[0], False, findings[0].found)
    assert "status 415 instead of 413" in findings[0].found
    assert "status 200 instead of 422" in findings[2].found
    assert findings[4].found.endswith("no mask model, mask_part 422 OptionError")


def test_an_answer_that_tells_too_much_is_found() -> None:
    told = probe.Probe("http://127.0.0.1:1", "key", None, Path(), [b'{"error": {"type": "E", "message": "x"}}'])  # type: ignore[arg-type]
    assert check_errors(told).startswith("1 errors")
    for body in (
        b"Traceback (most recent call last)",
        b'{"error": {"type": "E", "message": "in /usr/lib/x"}}',
        b"no JSON",
    ):
        told.errors = [body]
        with pytest.raises(Unexpected):
            check_errors(told)


def test_the_folder_that_the_server_runs_in_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"error": {"type": "E", "message": "send image/*, not /srv/photos/a.txt"}}'
    told = probe.Probe("http://127.0.0.1:1", "key", None, Path(), [body])  # type: ignore[arg-type]
    monkeypatch.setattr(Path, "cwd", lambda: Path("/srv/photos"))
    with pytest.raises(Unexpected):
        check_errors(told)
    monkeypatch.setattr(Path, "cwd", lambda: Path("/"))
    assert check_errors(told).startswith("1 errors")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error": 1}', b'{"error": {}}'])
def test_the_kind_of_what_is_no_error(body: bytes) -> None:
    assert Answer(200, {}, body).kind == ""
