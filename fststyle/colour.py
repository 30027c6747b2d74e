"""Colour: what goes into a network is sRGB, and what comes out says that it is."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from fststyle.errors import UnsupportedFormatError

# Pillow's mode for each ICC colour space signature that a still picture may carry.
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
# ITU-R BT.601, the luma that JPEG and JFIF use.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, the same bytes at every call and in every process."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # ICC.1:2010, 7.2.8: bytes 24 to 35 hold the time of creation; fixed, so that equal pictures are equal files.
    return profile[:24] + bytes.fromhex("07e8 0001 0001 0000 0000 0000") + profile[36:]


def colour_and_alpha(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Colour (L, RGB, CMYK, LAB or YCbCr, 8 bits each) and alpha (L) of a loaded image, which messages call ``name``.

    :raises UnsupportedFormatError: its pixels are floating-point numbers.
    """
    if image.mode == "F":
        raise UnsupportedFormatError(
            f"{name} has floating-point pixels, whose range is not defined; save it with 8 or 16 bits"
        )
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        transparent = image.info.get("transparency")
        alpha = Image.fromarray(((values != transparent) * 255).astype(np.uint8)) if transparent is not None else None
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)), alpha
    if image.has_transparency_data:
        both = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        *bands, alpha = both.split()
        return bands[0] if len(bands) == 1 else Image.merge("RGB", bands), alpha
    if image.mode in ("L", "RGB", "CMYK", "LAB", "YCbCr"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """``image`` without alpha (L, RGB, CMYK, LAB, YCbCr) as RGB, through its ICC profile where it has a usable one.

    Relative colorimetric with black point compensation, as browsers and photo editors do. A picture without profile is
    taken as sRGB; so is one whose profile is damaged or describes another kind of picture, which is also what viewers
    do.
    """
    if profile and profile != srgb_profile():
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            mode = _MODES.get(source.profile.xcolor_space)
            if mode == "RGB" and image.mode in ("L", "YCbCr"):
                image = image.convert("RGB")
            if mode == image.mode:
                return _transformed(image, source)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")


def _transformed(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:  # only with inPlace=True
        raise ValueError("no picture came back from the colour transform")
    return converted


def luma(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """BT.601 luma, 0..255, of uint8 [H, W, 3] sRGB: float32 [H, W]."""
    weighted: NDArray[np.float32] = picture.astype(np.float32) @ _LUMA
    return weighted


def keep_chroma(stylised: NDArray[np.uint8], photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance of ``stylised``, chroma of ``photo``; both uint8 [H, W, 3] sRGB, and so is the result.

    In BT.601 YCbCr over gamma-encoded sRGB values (JPEG's space). With chroma fixed, R, G and B all move by the
    difference in luma, so nothing is rounded on the way there and back; values beyond 0..255 are clipped.
    """
    difference = stylised.astype(np.float32) - photo
    shifted = (difference @ _LUMA)[..., None] + photo
    return np.clip(np.rint(shifted), 0, 255).astype(np.uint8)


def blend(photo: NDArray[np.uint8], stylised: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """``photo`` at strength 0, ``stylised`` at 1, linear in the sRGB values between; uint8 [H, W, 3] all three."""
    if strength == 1:
        return stylised
    mixed = photo + (stylised.astype(np.float32) - photo) * np.float32(strength)
    return np.rint(mixed).astype(np.uint8)
