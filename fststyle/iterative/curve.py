"""The losses of a descent, iteration by iteration, as JSON or drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from fststyle.atomic import atomic_path, atomic_write
from fststyle.errors import OptionError

SUFFIXES = (".png", ".json")


def check_curve_target(path: Path) -> None:
    """:raises OptionError: the suffix is neither .png nor .json."""
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"a curve is written as {' or '.join(SUFFIXES)}, got {path}")


def write_curve(curve: Sequence[Mapping[str, float]], path: Path) -> None:
    """By suffix; JSON is a list with one object for each iteration: ``size`` in pixels, ``total`` and its parts.

    :raises OptionError: another suffix.
    :raises OutputError: it cannot be written.
    """
    check_curve_target(path)
    if path.suffix.lower() == ".json":
        atomic_write(path, json.dumps([dict(entry) for entry in curve], indent=1).encode())
        return
    from matplotlib.figure import Figure  # only who asks for it needs it

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for name in [name for name in curve[0] if name != "size"] if curve else []:
        axes.plot([entry[name] for entry in curve], label=name.replace("_", " "), linewidth=2 if name == "total" else 1)
    for number, (before, after) in enumerate(pairwise(curve), 1):
        if before["size"] != after["size"]:
            axes.axvline(number, color="grey", linewidth=0.5)
            axes.annotate(f"{after['size']:g} px", (number, 1), xycoords=("data", "axes fraction"), va="top")
    axes.set(xlabel="iteration", ylabel="loss", yscale="log")
    if curve:
        axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
