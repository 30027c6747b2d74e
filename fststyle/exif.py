"""EXIF: what of it describes the photo, and which way up that is."""

from __future__ import annotations

from PIL import ExifTags, Image

# What EXIF says about the photo. Everything else in its first directory describes how the old file stored its pixels,
# and the second directory is a thumbnail of the photo before stylising.
_KEPT_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
)
_STALE_TAGS = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.Base.ExifInteroperabilityOffset)


def read_exif(image: Image.Image) -> tuple[bytes | None, int]:
    """What to keep of the EXIF, and the orientation (1 when there is none). Damaged EXIF counts as none, as it does in
    viewers.
    """
    try:
        original = image.getexif()
        if not original:
            return None, 1
        kept = Image.Exif()
        for tag in _KEPT_TAGS:
            if tag in original:
                kept[tag] = original[tag]
        kept[ExifTags.Base.Orientation] = 1
        details = {tag: value for tag, value in original.get_ifd(ExifTags.IFD.Exif).items() if tag not in _STALE_TAGS}
        if ExifTags.Base.ColorSpace in details:
            details[ExifTags.Base.ColorSpace] = 1  # sRGB
        kept.get_ifd(ExifTags.IFD.Exif).update(details)
        kept.get_ifd(ExifTags.IFD.GPSInfo).update(original.get_ifd(ExifTags.IFD.GPSInfo))
        return kept.tobytes(), int(original.get(ExifTags.Base.Orientation, 1))
    except Exception:  # the parser raises nearly anything on damaged data
        return None, 1
