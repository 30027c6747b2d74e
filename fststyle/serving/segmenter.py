"""Masks of persons, from a segmentation network that the user has: an ONNX file of one of the usual layouts.

In: one picture, RGB, [1, 3, H, W] or [1, H, W, 3], float32, float16 or uint8, of a fixed size or any. Out: the first
output that is a plane of probabilities or logits, [1, 1, H, W], [1, H, W, 1] or [1, H, W], a plane for each class,
[1, C, H, W] or [1, H, W, C], or a plane of integers, each the number of a class.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import DeviceError, ModelError, OptionError, did_you_mean
from fststyle.serving.masks import Mask
from fststyle.serving.providers import cpu_session, default_threads, first_line
from fststyle.serving.segmentation import class_planes, levels, person_classes, person_probability
from fststyle.strips import resized

PARTS = ("person", "background")
"""What a segmenter tells apart, by the names of its masks."""

Normalize = Literal["auto", "imagenet", "signed", "centred", "unit", "bytes"]

# What is taken from values of 0..255, and what the difference is divided by.
_RANGES: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "signed": ((127.5,), (127.5,)),
    "centred": ((127.5,), (255.0,)),
    "unit": ((0.0,), (255.0,)),
    "bytes": ((0.0,), (1.0,)),
}
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
_INTEGERS = (np.int32, np.int64)
_MOST_ALONE = 64
"""From so many on, the one known side of an output may be the planes'."""

FREE_SIDE, FREE_MULTIPLE = 512, 32
"""Pixels: the shorter side of what a network that takes any size is given, and what both sides are a multiple of."""


@dataclass(frozen=True)
class _Input:
    """``height`` and ``width`` are None where any will do."""

    name: str
    dtype: type[np.generic]
    channels_last: bool
    height: int | None
    width: int | None

    def size(self, photo: tuple[int, int]) -> tuple[int, int]:
        """Width and height of what is given of a photo of that width and height."""
        scale = FREE_SIDE / min(photo) / FREE_MULTIPLE
        most = 4 * FREE_SIDE // FREE_MULTIPLE  # of a panorama
        free = [min(most, round(side * scale)) * FREE_MULTIPLE for side in photo]
        return self.width or free[0], self.height or free[1]


@dataclass(frozen=True)
class _Output:
    """``classes`` is None where the file does not say how many there are."""

    name: str
    dtype: type[np.generic]
    classes: int | None


class PersonSegmenter:
    """A segmentation network on the processor: :attr:`person` and :attr:`background` are masks for any photo.

    Using it is safe from several threads at once.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        normalize: Normalize = "auto",
        classes: Sequence[int] = (),
        threads: int | None = None,
    ) -> None:
        """``normalize`` is the range of values that the network wants: ``imagenet`` (less ImageNet's mean, divided by
        its deviation), ``signed`` (-1..1), ``centred`` (-0.5..0.5), ``unit`` (0..1) or ``bytes`` (0..255); ``auto``
        takes bytes for uint8, unit for channels last, signed for two classes and for one plane at any size, and
        imagenet for all others. ``classes`` are the numbers, from 0, of those that count as persons; needed only where
        :data:`~fststyle.serving.segmentation.PERSON_CLASSES` does not know them.

        :raises ModelError: the file is damaged, or no network of the layouts above.
        :raises OptionError: a value that is not accepted, or ``classes`` is needed.
        """
        if normalize not in get_args(Normalize):
            near = did_you_mean(str(normalize), get_args(Normalize))
            raise OptionError(
                f"a mask model's range is one of {', '.join(get_args(Normalize))}; got {normalize!r}{near}"
            )
        if any(number < 0 for number in classes):
            raise OptionError(f"classes are numbered from 0, got {', '.join(map(str, classes))}")
        self.path = Path(model)
        self.digest = segmenter_digest(self.path, normalize, classes)
        self._classes, self._threads = tuple(classes), threads or default_threads()
        self._session = cpu_session(self.path, self._threads)
        self._input, self._output = self._signature()
        if self._output.classes is not None or self._output.dtype in _INTEGERS:
            person_classes(None if self._output.dtype in _INTEGERS else self._output.classes, classes)
        self.normalize: Normalize = self._likely_range() if normalize == "auto" else normalize

    @property
    def person(self) -> Mask:
        return Mask(self)

    @property
    def background(self) -> Mask:
        return Mask(self, inverted=True)

    def plane(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Where persons are: uint8 [h, w] of the network's own size.

        :raises ModelError: what the network gives is no mask.
        :raises DeviceError: there is not enough memory.
        """
        size = self._input.size((photo.shape[1], photo.shape[0]))
        found = self._run(self._tensor(resized(photo, size)))
        planes = class_planes(found, size)
        if planes is None:
            shape = " x ".join(map(str, found.shape))
            raise ModelError(f"{self._misfit()}; of a picture of {size[0]} x {size[1]} it made {shape}")
        if not np.isfinite(planes).all():
            raise ModelError(f"the mask model {self.path} gives values that are no numbers; try another range")
        return levels(person_probability(planes, self._classes))

    def side_by_side(self, pictures: int) -> PersonSegmenter:
        """The same network for so many calls at a time, with as many threads in all as this one has."""
        twin, threads = copy(self), max(1, self._threads - pictures + 1)
        twin._session = cpu_session(self.path, threads)
        return twin

    def _run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        try:
            found: list[NDArray[Any]] = self._session.run([self._output.name], {self._input.name: tensor})
        except Exception as error:  # ONNX Runtime's errors have no common base
            reason = first_line(error)
            if isinstance(error, MemoryError) or "alloc" in reason.lower():
                raise DeviceError(f"not enough memory for the mask model {self.path}") from error
            raise ModelError(f"the mask model {self.path} failed: {reason}") from error
        return found[0]

    def _tensor(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        mean, deviation = (np.array(values, np.float32) for values in _RANGES[self.normalize])
        values = ((pixels - mean) / deviation).astype(self._input.dtype)[None]
        return values if self._input.channels_last else np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def _signature(self) -> tuple[_Input, _Output]:
        inputs = self._session.get_inputs()
        taken = [_read_input(value) for value in inputs]
        outputs = (_read_output(value) for value in self._session.get_outputs())
        given = next((output for output in outputs if output), None)
        if len(taken) != 1 or taken[0] is None or given is None:
            raise ModelError(self._misfit())
        return taken[0], given

    def _likely_range(self) -> Normalize:
        if self._input.dtype == np.uint8:
            return "bytes"
        if self._input.channels_last:
            return "unit"
        any_size = self._input.width is None
        return "signed" if self._output.classes == 2 or (self._output.classes == 1 and any_size) else "imagenet"

    def _misfit(self) -> str:
        session = self._session
        has, gives = ((_told(value) for value in values) for values in (session.get_inputs(), session.get_outputs()))
        return (
            f"the mask model {self.path} takes {', '.join(has)} and gives {', '.join(gives)}; accepted are networks "
            "that take one picture, float32, float16 or uint8 [1, 3, H, W] or [1, H, W, 3], and give a mask of its "
            "shape, [1, 1, H, W], [1, H, W, 1] or [1, H, W], or so many classes, [1, C, H, W] or [1, H, W, C]"
        )


def segmenter_digest(model: Path, normalize: str, classes: Sequence[int]) -> str:
    """Of all that decides its masks; :class:`~fststyle.errors.ModelError` if the file cannot be read."""
    try:
        with model.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read the mask model {model}: {error.strerror or error}") from error
    return hashlib.sha256(json.dumps([content, normalize, list(classes)]).encode("ascii")).hexdigest()


def _read_input(value: Any) -> _Input | None:
    dtype, shape = _TYPES.get(value.type), value.shape
    if dtype is None or dtype in _INTEGERS or len(shape) != 4 or _number(shape[0]) not in (None, 1):
        return None
    if 3 not in (shape[1], shape[3]):
        return None
    channels_last = shape[1] != 3
    height, width = shape[1:3] if channels_last else shape[2:4]
    return _Input(value.name, dtype, channels_last, _number(height), _number(width))


def _read_output(value: Any) -> _Output | None:
    dtype, shape = _TYPES.get(value.type), value.shape
    if dtype is None or len(shape) not in (3, 4) or _number(shape[0]) not in (None, 1):
        return None
    if len(shape) == 3:
        return _Output(value.name, dtype, 1)
    sides = [_number(side) for side in shape[1:]]
    # Planes are larger than there are classes, and in some files only the number of these is known.
    known = [side for side in (sides[0], sides[2]) if side is not None]
    count = min(known, default=_MOST_ALONE)
    classes = count if len(known) == 2 or count < _MOST_ALONE else None
    if dtype == np.uint8 and classes == 3:  # a picture, as a style gives one
        return None
    return _Output(value.name, dtype, classes)


def _number(side: Any) -> int | None:
    """A fixed side; None for one that has a name, or nothing, instead."""
    return side if isinstance(side, int) and side > 0 else None


def _told(value: Any) -> str:
    sides = ", ".join("any" if _number(side) is None else str(side) for side in value.shape)
    return f"{value.name} {value.type} [{sides}]"
