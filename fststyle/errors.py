"""Every error that fststyle raises on purpose, and what each one means outside Python.

::

    FststyleError
    |-- OptionError             an option, an argument or a combination of them makes no sense
    |   `-- RecipeError         a recipe has an unknown key or a value out of range
    |-- InputError              a picture, photo or folder cannot be read
    |   |-- ImageTooLargeError  more pixels than the cap allows (read from the header, before decoding)
    |   `-- UnsupportedFormatError
    |-- OutputError             a result cannot be written: no permission, no space, exists already
    |-- StyleNotFoundError      no style of that name
    |-- ModelError              an ONNX file or a checkpoint is damaged or not one of ours
    |-- DeviceError             the device asked for cannot run
    |-- DependencyError         an optional package is missing or does not fit its neighbour
    |-- DownloadError           something that had to be fetched could not be, or came damaged
    |   `-- WeightsError        no source of pretrained weights worked
    |-- TrainingError           training cannot go on: the loss is not finite, no photo is readable
    |-- ParityError             an exported network does not compute what the trained one does
    `-- BatchError              a batch ended, but some of its items failed

A message says in one line what was got, what is accepted and, where there is one, the nearest valid name.
The library raises; only the command line prints and exits, only the server answers with a status: both look the class
up in :data:`OUTCOMES`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class FststyleError(Exception):
    """Base of the tree: catching it catches whatever fststyle raises on purpose."""


class OptionError(FststyleError): ...


class RecipeError(OptionError): ...


class InputError(FststyleError): ...


class ImageTooLargeError(InputError): ...


class UnsupportedFormatError(InputError): ...


class OutputError(FststyleError): ...


class StyleNotFoundError(FststyleError): ...


class ModelError(FststyleError): ...


class DeviceError(FststyleError): ...


class DependencyError(FststyleError): ...


class DownloadError(FststyleError): ...


class WeightsError(DownloadError): ...


class TrainingError(FststyleError): ...


class ParityError(FststyleError): ...


class BatchError(FststyleError): ...


@dataclass(frozen=True)
class Outcome:
    """What an error means to a shell and to an HTTP client."""

    exit_code: int
    http_status: int


# 2 is what command-line parsers use for wrong usage; 130 (interrupted) is added by the command line itself.
OUTCOMES: dict[type[FststyleError], Outcome] = {
    FststyleError: Outcome(1, 500),
    BatchError: Outcome(1, 500),
    OptionError: Outcome(2, 422),
    InputError: Outcome(3, 422),
    ImageTooLargeError: Outcome(3, 413),
    UnsupportedFormatError: Outcome(3, 415),
    OutputError: Outcome(4, 507),
    StyleNotFoundError: Outcome(5, 404),
    ModelError: Outcome(6, 500),
    DeviceError: Outcome(7, 503),
    DependencyError: Outcome(8, 500),
    DownloadError: Outcome(9, 502),
    TrainingError: Outcome(10, 500),
    ParityError: Outcome(11, 500),
}


def outcome(error: FststyleError) -> Outcome:
    """The entry of the nearest class in the error's method resolution order."""
    return next(OUTCOMES[cls] for cls in type(error).__mro__ if cls in OUTCOMES)


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest of ``choices``, or nothing when none is near."""
    by_folded = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""
