"""Masks of the frames of one video that do not flicker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fststyle.serving.masks import MaskSource
from fststyle.serving.stabilize import Stabilizer
from fststyle.strips import resized


class SteadyMask:
    """The masks of ``source``, smoothed over time where the picture stands still; where something moves they are the
    frame's own, so that no mask drags behind a person. Takes the frames of one video in order, from one thread.
    """

    def __init__(self, source: MaskSource) -> None:
        self._source, self._stabilizer = source, Stabilizer()

    @property
    def digest(self) -> str:
        return self._source.digest

    def plane(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As :meth:`~fststyle.serving.masks.MaskSource.plane`."""
        plane = self._source.plane(photo)
        picture = resized(photo, (plane.shape[1], plane.shape[0]))
        return self._stabilizer(picture, np.repeat(plane[..., None], 3, axis=2))[..., 0]
