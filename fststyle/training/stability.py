"""Whether a style keeps still: how much its result changes where the photo hardly does.

A change is a root mean square over all values; each figure is the change of the result over that of the photo. Below 1
a network calms what it is given; above, it flickers more than the video that it stylises.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fststyle.training.detectors import BORDER, Finding, Pictures

Stylise = Callable[[Pictures], Pictures]
"""uint8 [N, H, W, 3] RGB in, the same shape out."""

SHIFT_THRESHOLD = 1.0
NOISE_THRESHOLD = 3.0
NOISE = 2.0
"""Standard deviation of the noise, in steps of 1/255: that of a camera in daylight."""
_KEPT_MULTIPLE = 8
"""The shifted photos stay a multiple of this wide, so that no network pads one of them and not the other."""


def stability(stylise: Stylise, photos: Pictures, *, seed: int = 0) -> list[Finding]:
    """Shift and noise; photos are uint8 [N, H, W, 3] of at least 64 x 64 pixels, taken one by one."""
    return [shift(stylise, photos), noise(stylise, photos, seed=seed)]


def shift(stylise: Stylise, photos: Pictures) -> Finding:
    """The photo moves by one pixel; how much the result changes beyond moving along.

    A network that halves the picture sees it afresh at every other pixel, so that strokes jump. The edge, where new
    pixels come in, is left out. At 1 the result would change by as much besides moving as the photo changes by moving;
    sound styles measured 0.3 to 0.5.
    """
    ratios = []
    for photo in photos:
        width = photo.shape[1] - _KEPT_MULTIPLE
        before, after = photo[:, :width], photo[:, 1 : width + 1]
        first, second = stylise(before[None])[0], stylise(after[None])[0]
        inner = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
        ratios.append(_ratio((second[:, :-1], first[:, 1:]), (after[:, :-1], before[:, :-1]), inner))
    return Finding("shift stability", float(np.mean(ratios)), SHIFT_THRESHOLD, "change / change of the photo")


def noise(stylise: Stylise, photos: Pictures, *, seed: int = 0) -> Finding:
    """White noise of two steps of 1/255 comes into the photo; how much the result changes. Sound styles measured 0.5 to
    1.4; at 3 a camera's noise is seen to flicker like strong noise would.
    """
    random = np.random.default_rng(seed)
    ratios = []
    for photo in photos:
        noisy = np.clip(np.rint(photo + random.normal(0, NOISE, photo.shape)), 0, 255).astype(np.uint8)
        first, second = stylise(photo[None])[0], stylise(noisy[None])[0]
        ratios.append(_ratio((second, first), (noisy, photo), (slice(None), slice(None))))
    return Finding("noise stability", float(np.mean(ratios)), NOISE_THRESHOLD, "change / change of the photo")


def _ratio(
    results: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    photos: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    area: tuple[slice, slice],
) -> float:
    changes = [float(np.sqrt(np.mean((one[area].astype(float) - two[area]) ** 2))) for one, two in (results, photos)]
    return changes[0] / max(changes[1], 1e-9)
