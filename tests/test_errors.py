import re

import pytest

from fststyle import errors
from fststyle.errors import OUTCOMES, FststyleError, did_you_mean, outcome


def classes(base: type[FststyleError] = FststyleError) -> list[type[FststyleError]]:
    return [base, *(found for child in base.__subclasses__() for found in classes(child))]


def test_the_docstring_draws_the_tree_that_there_is() -> None:
    drawn = re.findall(r"\w+Error", (errors.__doc__ or "").partition("A message says")[0])
    assert sorted(drawn) == sorted(found.__name__ for found in classes())


@pytest.mark.parametrize(
    ("raised", "exit_code", "http_status"),
    [
        (errors.RecipeError, 2, 422),
        (errors.ImageTooLargeError, 3, 413),
        (errors.UnsupportedFormatError, 3, 415),
        (errors.WeightsError, 9, 502),
        (FststyleError, 1, 500),
    ],
)
def test_the_nearest_class_with_an_entry_decides(raised: type[FststyleError], exit_code: int, http_status: int) -> None:
    found = outcome(raised("text"))
    assert (found.exit_code, found.http_status) == (exit_code, http_status)


def test_a_class_made_elsewhere_has_its_parents_outcome() -> None:
    class CameraError(errors.DeviceError): ...

    assert outcome(CameraError("text")) == OUTCOMES[errors.DeviceError]


def test_no_error_exits_as_success_or_as_an_interruption() -> None:
    assert all(0 < entry.exit_code < 126 for entry in OUTCOMES.values())


@pytest.mark.parametrize("name", ["stary_night", "Starry_Night", "starry-night"])
def test_the_nearest_name_is_offered(name: str) -> None:
    assert did_you_mean(name, ["great_wave", "starry_night"]) == "; did you mean 'starry_night'?"


@pytest.mark.parametrize("choices", [[], ["great_wave"]])
def test_nothing_is_offered_when_nothing_is_near(choices: list[str]) -> None:
    assert did_you_mean("starry_night", choices) == ""
