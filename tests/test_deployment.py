"""The container files: what they start exists, and what they promise of safety is written there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fststyle.cli.serve import serve

SERVE = Path(__file__).parent.parent / "serve"
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu")


def instructions(name: str) -> dict[str, str]:
    """The last of each kind, without its line breaks."""
    text = re.sub(r"\\\n\s*", "", (SERVE / name).read_text(encoding="utf-8"))
    lines = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {keyword: rest.strip() for keyword, _, rest in lines}


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((SERVE / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_the_image_starts_is_a_command_with_options_there_are(name: str) -> None:
    program, command, *arguments = json.loads(instructions(name)["ENTRYPOINT"])
    assert (program, command) == ("fststyle", "serve")
    context = serve.make_context("serve", arguments)
    assert context.params["host"] == "0.0.0.0"
    assert context.params["device"] == ("cuda" if name.endswith("gpu") else "auto")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_image_runs_as_nobody_and_tells_when_it_is_ready(name: str) -> None:
    found = instructions(name)
    user, _, group = found["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert "/readyz" in found["HEALTHCHECK"]
    assert f":{found['EXPOSE']}/" in found["HEALTHCHECK"]


def test_services_are_read_only_without_privileges_and_bound_to_loopback(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert (SERVE / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_a_container_is_given_longer_to_stop_than_the_server_takes(compose: dict[str, Any]) -> None:
    server_takes = next(option.default for option in serve.params if option.name == "stop_seconds")
    for service in compose["services"].values():
        assert float(service["stop_grace_period"].removesuffix("s")) > server_takes
