from dataclasses import fields
from typing import Any

import pytest

from fststyle.errors import OptionError
from fststyle.serving.web.settings import ServerSettings


def test_only_this_machine_by_default() -> None:
    settings = ServerSettings()
    assert settings.loopback
    assert settings.api_key is None
    assert settings.allow_origins == ()


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.2", True), ("::1", True), ("0.0.0.0", False), ("::", False)])
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert ServerSettings(host=host).loopback is loopback


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"port": -1}, "port must be 0 to 65535"),
        ({"port": 65536}, "port must be 0 to 65535"),
        ({"live_quality": 96}, "live_quality must be 1 to 95"),
        ({"api_key": " "}, "the API key is empty"),
        ({"formats": ("JPG",)}, "no format 'JPG'; formats: JPEG, .*did you mean 'JPEG'"),
        ({"allow_origins": ("*",)}, "an origin is scheme://host"),
        ({"allow_origins": ("https://a.example/",)}, "an origin is scheme://host"),
        ({"max_pixels": 0}, "max_pixels must be above 0, got 0"),
        ({"body_seconds": -1.0}, "body_seconds must be above 0"),
    ],
)
def test_figures_out_of_range(figures: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ServerSettings(**figures)


def test_every_figure_says_what_it_is_and_the_key_is_never_shown() -> None:
    assert {entry.name for entry in fields(ServerSettings) if not entry.metadata} == {"api_key"}
    assert "secret" not in repr(ServerSettings(api_key="secret"))
