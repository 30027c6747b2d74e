"""What a worker thread does with a picture, and with the mask that came along: check the header, decode, stylise,
encode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from fststyle.errors import UnsupportedFormatError
from fststyle.formats import HEADER_BYTES, recognise
from fststyle.images import Picture, decode, encode
from fststyle.serving.masks import Mask, PictureMask, decode_mask, fitted
from fststyle.serving.regions import MaskedStylizer
from fststyle.serving.stages import Stages
from fststyle.serving.web.budgets import PixelBudget
from fststyle.serving.web.negotiation import Wish, choose_format
from fststyle.serving.web.parameters import Choice
from fststyle.serving.web.pool import Job

NAME, MASK_NAME = "the picture", "the mask"


@dataclass(frozen=True)
class Stylised:
    """An encoded result. ``milliseconds`` are those of ``decode``, ``mask`` if there was one, ``inference`` and
    ``encode``.
    """

    data: bytes
    format: str
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class Workshop:
    """What all pictures share: how many pixels may be decoded at once, how many may be in the network at once, which
    takes a thousand bytes for each, and which formats are accepted.
    """

    pixels: PixelBudget
    network: PixelBudget
    formats: Sequence[str]

    def photo(
        self, data: bytes, choice: Choice, wishes: Sequence[Wish], mask: bytes | None = None
    ) -> Callable[[Job[Stylised]], Stylised]:
        """Work for the pool; its errors are those of :func:`~fststyle.images.decode`, of masks and of the network."""

        def work(job: Job[Stylised]) -> Stylised:
            stages = Stages()
            picture = self._stylise(data, choice, stages, job, mask)
            name = choose_format(wishes, picture)
            with stages.measure("encode"):
                encoded = encode(picture, name)
            return Stylised(encoded, name, _told(stages))

        return work

    def frame(self, data: bytes, choice: Choice, quality: int) -> Callable[[Job[Stylised]], Stylised]:
        """The same for a live frame, whose result is a smaller JPEG: it is shown for a moment."""

        def work(job: Job[Stylised]) -> Stylised:
            stages = Stages()
            picture = self._stylise(data, choice, stages, job)
            buffer = BytesIO()
            with stages.measure("encode"):
                Image.fromarray(picture.pixels).save(buffer, "JPEG", quality=quality)
            return Stylised(buffer.getvalue(), "JPEG", _told(stages))

        return work

    def _stylise(
        self, data: bytes, choice: Choice, stages: Stages, job: Job[Stylised], mask: bytes | None = None
    ) -> Picture:
        job.check()
        with self.pixels.reserved(self._claimed_pixels(data, NAME)):
            job.check()
            with stages.measure("decode"):
                picture = decode(data, name=NAME, max_pixels=self.pixels.limit, max_size=choice.look.max_size)
        job.check()
        stylizer, where = choice.stylizer, choice.part and choice.part.mask
        if mask is not None:
            where = self._mask(mask, picture, stages, job)
        if where is not None:
            stylizer = MaskedStylizer(stylizer, where, feather=choice.feather)
        with self.network.reserved(picture.size[0] * picture.size[1]):
            picture = stylizer.stylise(picture, choice.look, stages)
        job.check()
        return picture

    def _mask(self, data: bytes, photo: Picture, stages: Stages, job: Job[Stylised]) -> Mask:
        """At the photo's size, so that a large one is not held while the photo waits for the network."""
        with self.pixels.reserved(self._claimed_pixels(data, MASK_NAME)):
            job.check()
            with stages.measure("mask"):
                mask = decode_mask(data, name=MASK_NAME, max_pixels=self.pixels.limit)
                plane = fitted(mask.source.plane(photo.pixels), photo.size, 0)
        job.check()
        return Mask(PictureMask(plane, MASK_NAME))

    def _claimed_pixels(self, data: bytes, name: str) -> int:
        """Width times height as the header has it; what is wrong with it is for :func:`decode` to say."""
        if not data:
            return 0
        accepted = f"accepted: {', '.join(self.formats)}"
        try:
            source = recognise(data[:HEADER_BYTES], name)
        except UnsupportedFormatError:
            raise UnsupportedFormatError(f"{name} is of no known format; {accepted}") from None
        if source.name not in self.formats:
            raise UnsupportedFormatError(f"{name} is {source.name}; {accepted}")
        try:
            with source.open(BytesIO(data)) as image:
                return image.width * image.height
        except Exception:  # decoders raise nearly anything on damaged data
            return 0


def _told(stages: Stages) -> dict[str, float]:
    took = stages.milliseconds
    mask = {"mask": took["mask"] + took.get("compose", 0.0)} if "mask" in took else {}
    return {
        "decode": took.get("decode", 0.0),
        **mask,
        "inference": sum(took.get(stage, 0.0) for stage in ("resize", "network", "colour")),
        "encode": took.get("encode", 0.0),
    }
