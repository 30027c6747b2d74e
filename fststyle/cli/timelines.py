"""How styles, mixes of them and timelines are asked for on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from fststyle.errors import OptionError
from fststyle.serving.mix_timeline import MixTimeline, parse_timeline

MIX = "NAME|NAME:WEIGHT,...|FILE.onnx"


def timeline_option(times: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--timeline``, instead of ``--style``; ``times``: what they are counted in."""
    return click.option(
        "--timeline",
        metavar='"TIME MIX; ..."',
        help="Fade from mix to mix of a palette's styles instead of --style, "
        f'e.g. "0 starry_night; 10 great_wave; 1:20 udnie:0.5,the_scream:0.5". Times are seconds, MM:SS or HH:MM:SS '
        f"{times}.",
    )


def style_and_timeline(style: str, timeline: str | None) -> tuple[str, MixTimeline | None]:
    """What to load, and how it changes over time; for a command with ``--style`` and ``--timeline``.

    :raises OptionError: both are given, or the timeline makes no sense.
    """
    if timeline is None:
        return style, None
    if click.get_current_context().get_parameter_source("style") is not ParameterSource.DEFAULT:
        raise OptionError("--timeline takes the place of --style: give one of them")
    moments = parse_timeline(timeline)
    return str(moments.everything), moments
