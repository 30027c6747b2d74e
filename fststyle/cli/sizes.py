"""Options that take a size in pixels."""

from __future__ import annotations

import re
from typing import Any, cast

import click


class Size(click.ParamType[tuple[int, int]]):
    """WIDTHxHEIGHT; where ``square`` is True also one number for both."""

    name = "WxH"

    def __init__(self, *, square: bool = False) -> None:
        self.square = square

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return cast("tuple[int, int]", value)
        found = re.fullmatch(r"(\d{1,6})(?:[xX](\d{1,6}))?", str(value))
        if found is None or not (found[2] or self.square):
            also = ", or one number for a square" if self.square else ""
            self.fail(f"{value!r} is no width x height in pixels, as 1920x1080{also}", param, ctx)
        return int(found[1]), int(found[2] or found[1])
