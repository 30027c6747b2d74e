"""The photo's colours under the painting's strokes, both ways of Gatys et al. (2016), "Preserving Color in Neural
Artistic Style Transfer" (arXiv:1606.05897).

Both prepare the pictures before the descent; the luminance way also gives the result the photo's colours at its end
(:func:`fststyle.colour.keep_chroma`). Arrays are uint8 [H, W, 3] sRGB, and the statistics are taken over these values,
as in the paper.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fststyle.colour import luma

EPSILON = 1e-5
"""Added to covariances of values in 0..1: a uniform picture has none to divide by."""


def luminance_only(painting: NDArray[np.uint8], photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The painting in grey, its luminance shifted and scaled to the photo's mean and standard deviation."""
    own, wanted = luma(painting), luma(photo)
    scale = wanted.std() / max(float(own.std()), EPSILON * 255)
    return _grey((own - own.mean()) * scale + wanted.mean())


def grey(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance alone, in all three channels."""
    return _grey(luma(photo))


def match_histogram(painting: NDArray[np.uint8], photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The painting in colours of the photo's mean and covariance.

    The linear map is the symmetric one of Image Analogies, square root of the photo's covariance times inverse square
    root of the painting's; the paper prefers it over Cholesky factors.
    """
    own, wanted = (picture.reshape(-1, 3).astype(np.float64) / 255 for picture in (painting, photo))
    own_covariance, wanted_covariance = (np.cov(values.T) + EPSILON * np.eye(3) for values in (own, wanted))
    linear = _power(wanted_covariance, 0.5) @ _power(own_covariance, -0.5)
    mapped = (own - own.mean(axis=0)) @ linear.T + wanted.mean(axis=0)
    return _rounded((mapped * 255).reshape(painting.shape))


def _power(covariance: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    power: NDArray[np.float64] = (vectors * values**exponent) @ vectors.T
    return power


def _grey(luminance: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.repeat(_rounded(luminance)[..., None], 3, axis=2)


def _rounded(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded
