"""What ``fststyle bench`` shows of a measurement: a line of a table that is also one in Markdown, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fststyle.errors import FststyleError, outcome
from fststyle.styles import StyleInfo

if TYPE_CHECKING:
    from fststyle.serving.bench import Case, Timing

HEADINGS = ("style", "preset", "size", "provider", "threads", "runs", "median ms", "5 % to 95 %", "fps", "peak memory")
_TEXTS = 4
"""So many columns, the first ones, are text; the others are figures, which end at one place."""
_FIGURES = ("threads", "runs", "999999.9", "99999.9 to 99999.9", "999.99", "99999 MiB")


@dataclass(frozen=True)
class Row:
    """One style on one case, and what was found or why nothing was."""

    style: StyleInfo
    case: Case
    found: Timing | FststyleError

    @property
    def place(self) -> str:
        return f"{self.style.name} at {size(self.case)} on {self.case.device}"

    def cells(self) -> list[str]:
        """As many as there are headings; fewer of a failed row, the last of which says why."""
        named, found = [self.style.name, self.style.preset, size(self.case)], self.found
        if isinstance(found, FststyleError):
            return [*named, self.case.device.upper(), f"failed: {found}"]
        low, high = found.spread
        memory = "-" if found.peak_bytes is None else f"{found.peak_bytes / 2**20:.0f} MiB"
        figures = [f"{found.median:.1f}", f"{low:.1f} to {high:.1f}", rate(found.rate), memory]
        provider = found.provider.removesuffix("ExecutionProvider")
        return [*named, provider, str(found.threads), str(len(found.milliseconds)), *figures]

    def as_json(self) -> dict[str, Any]:
        """JSON types only; times in milliseconds."""
        case, found = self.case, self.found
        asked = {"style": self.style.name, "preset": self.style.preset, "size": [case.width, case.height]}
        if isinstance(found, FststyleError):
            told = {"type": type(found).__name__, "message": str(found), "exit_code": outcome(found).exit_code}
            return {**asked, "device": case.device, "threads": case.threads, "status": "failed", "error": told}
        low, high = found.spread
        return {
            **asked,
            "device": case.device,
            "threads": found.threads,
            "status": "measured",
            "provider": found.provider,
            "runs": len(found.milliseconds),
            "milliseconds": {"median": round(found.median, 3), "low": round(low, 3), "high": round(high, 3)},
            "fps": round(found.rate, 3),
            "peak_bytes": found.peak_bytes,
        }


class Table:
    """Lines of equal columns, wide enough for the styles and cases that will come."""

    def __init__(self, coming: Sequence[tuple[StyleInfo, Case]]) -> None:
        named = [(style.name, style.preset, size(case), case.device) for style, case in coming]
        texts = [max(map(len, column)) for column in zip(*named, strict=True)]
        self._widths = [
            max(width, len(heading)) for width, heading in zip([*texts, *map(len, _FIGURES)], HEADINGS, strict=True)
        ]

    def head(self) -> str:
        rules = [
            "-" * width if column < _TEXTS else "-" * (width - 1) + ":" for column, width in enumerate(self._widths)
        ]
        return f"{self.line(HEADINGS)}\n{self.line(rules)}"

    def line(self, cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < _TEXTS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, self._widths, strict=False))
        ]
        return f"| {' | '.join(padded)} |"


def rate(pictures: float) -> str:
    """Pictures a second; decimals where they say something."""
    return f"{pictures:.2f}" if pictures < 100 else f"{pictures:.0f}"


def size(case: Case) -> str:
    """``WIDTHxHEIGHT``, as the option has it."""
    return f"{case.width}x{case.height}"
