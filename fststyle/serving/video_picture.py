"""Between FFmpeg's frames and RGB arrays: the colour matrix and range, and which way up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from fststyle.errors import UnsupportedFormatError
from fststyle.serving.ffmpeg import av

if TYPE_CHECKING:
    from av.buffer import Buffer

VideoReformatter = av.video.reformatter.VideoReformatter
ColorRange = av.video.reformatter.ColorRange
_Flags = av.video.reformatter.Interpolation
_SCALING = _Flags.BICUBIC | _Flags.ACCURATE_RND | _Flags.FULL_CHR_H_INT | _Flags.FULL_CHR_H_INP
# Of YUV with halved chroma FFmpeg makes RGB in a loop of its own then, in a twentieth of the time.
_QUICK = _Flags.BICUBIC
# On the way back exact rounding would move chroma by a sixteenth of a level, and takes two fifths of the time.
_BACK = _Flags.BICUBIC | _Flags.FULL_CHR_H_INP
# ITU-T H.273 codes of matrix coefficients, as FFmpeg's frames carry them.
_RGB, _BT709, _UNSPECIFIED, _BT601 = 0, 1, 2, 6
# The same for FFmpeg's scaler, which has numbers of its own.
_SCALER_MATRICES = {_BT709: 1, 4: 4, 5: 5, _BT601: 5, 7: 7, 9: 9}
_HD_HEIGHT = 577
_ONE = 1 << 16  # display matrices are 16.16 fixed point


@dataclass(frozen=True)
class Colour:
    """How YUV values stand for colours: H.273 code numbers of matrix, primaries and transfer, and FFmpeg's range (1
    limited, 2 full).
    """

    matrix: int
    range: int
    primaries: int
    transfer: int


def colour_of(frame: av.VideoFrame) -> Colour:
    """What the frame says, completed as players do: without a matrix BT.709 from 577 rows on and BT.601 below, without
    a range the limited one. RGB frames get the matrix and range that a result made from them is written with.

    :raises UnsupportedFormatError: a matrix that FFmpeg's scaler does not know (YCgCo, ICtCp, constant luminance).
    """
    matrix, value_range = int(frame.colorspace), int(frame.color_range)
    if frame.format.is_rgb:
        matrix, value_range = _UNSPECIFIED, ColorRange.MPEG
    elif frame.format.name.startswith("yuvj"):
        value_range = ColorRange.JPEG
    if matrix in (_UNSPECIFIED, _RGB, 3):
        matrix = _BT709 if frame.height >= _HD_HEIGHT else _BT601
    if matrix not in _SCALER_MATRICES:
        raise UnsupportedFormatError(f"its colour matrix (H.273 code {matrix}) is not supported")
    return Colour(matrix, value_range or ColorRange.MPEG, int(frame.color_primaries), int(frame.color_trc))


@dataclass(frozen=True)
class Orientation:
    """Transpose first (if ``turned``), then reverse the rows, then the columns."""

    turned: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [H, W, 3] in, upright and contiguous out."""
        if self.turned:
            pixels = pixels.transpose(1, 0, 2)
        pixels = pixels[:: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1]
        return np.ascontiguousarray(pixels)


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """From the display matrix that the container gave the frame; without one the frame is upright.

    The matrix maps stored column x and row y to shown x' = a x + c y and y' = b x + d y (ISO/IEC 14496-12, 6.2.2).

    :raises UnsupportedFormatError: it is no combination of quarter turns and mirrors.
    """
    a, b, c, d = (round(value, 3) for value in _display_matrix(frame))
    if (abs(a), abs(b), abs(c), abs(d)) == (1, 0, 0, 1):
        return Orientation(False, d < 0, a < 0)
    if (abs(a), abs(b), abs(c), abs(d)) == (0, 1, 1, 0):
        return Orientation(True, b < 0, c < 0)
    raise UnsupportedFormatError(f"its display matrix [{a:g} {b:g}; {c:g} {d:g}] is no quarter turn or mirror image")


def _display_matrix(frame: av.VideoFrame) -> tuple[float, float, float, float]:
    try:
        matrix = cast("Mapping[str, Buffer]", frame.side_data).get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know every kind of side data that FFmpeg has, and then gives none
        angle = math.radians(frame.rotation)
        return math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (int(value) / _ONE for value in np.frombuffer(bytes(matrix), np.int32)[:5])
    return a, b, c, d


def to_rgb(
    frame: av.VideoFrame,
    size: tuple[int, int],
    reformatter: av.video.reformatter.VideoReformatter,
    *,
    quick: bool = False,
) -> NDArray[np.uint8]:
    """uint8 [height, width, 3], scaled (bicubic) to ``size`` = (width, height) of the stored picture, not yet upright.

    Alpha is dropped and more than 8 bits are rounded. Transfer and primaries stay those of the video. ``quick``, which
    has no effect where there is anything to scale: chroma is repeated and not interpolated, and values are rounded
    down, by a level or so; that is no difference to a network.
    """
    colour = colour_of(frame)
    quick = quick and size == (frame.width, frame.height)
    rgb = reformatter.reformat(
        frame,
        width=size[0],
        height=size[1],
        format="rgb24",
        src_colorspace=None if frame.format.is_rgb else _SCALER_MATRICES[colour.matrix],
        src_color_range=None if frame.format.is_rgb else colour.range,
        dst_color_range=ColorRange.JPEG,
        interpolation=_QUICK if quick else _SCALING,
        threads=1,
    )
    pixels: NDArray[np.uint8] = rgb.to_ndarray().astype(np.uint8, copy=False)
    return pixels


def from_rgb(
    pixels: NDArray[np.uint8], pixel_format: str, colour: Colour, reformatter: av.video.reformatter.VideoReformatter
) -> av.VideoFrame:
    """The inverse of :func:`to_rgb`: uint8 [H, W, 3] to a frame in ``pixel_format`` that is tagged with ``colour``."""
    frame = reformatter.reformat(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"),
        format=pixel_format,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=_SCALER_MATRICES[colour.matrix],
        dst_color_range=colour.range,
        interpolation=_BACK,
        threads=1,
    )
    frame.colorspace, frame.color_range = colour.matrix, colour.range
    frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
    return frame
