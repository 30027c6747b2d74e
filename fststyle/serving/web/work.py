"""What a worker thread does with a picture: check the header, decode, stylise, encode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from fststyle.errors import UnsupportedFormatError
from fststyle.formats import HEADER_BYTES, recognise
from fststyle.images import Picture, decode, encode
from fststyle.serving.stages import Stages
from fststyle.serving.web.budgets import PixelBudget
from fststyle.serving.web.negotiation import Wish, choose_format
from fststyle.serving.web.parameters import Choice
from fststyle.serving.web.pool import Job

NAME = "the picture"


@dataclass(frozen=True)
class Stylised:
    """An encoded result. ``milliseconds`` are those of ``decode``, ``inference`` and ``encode``."""

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

    def photo(self, data: bytes, choice: Choice, wishes: Sequence[Wish]) -> Callable[[Job[Stylised]], Stylised]:
        """Work for the pool; its errors are those of :func:`~fststyle.images.decode` and of the network."""

        def work(job: Job[Stylised]) -> Stylised:
            stages = Stages()
            picture = self._stylise(data, choice, stages, job)
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

    def _stylise(self, data: bytes, choice: Choice, stages: Stages, job: Job[Stylised]) -> Picture:
        job.check()
        with self.pixels.reserved(self._claimed_pixels(data)):
            job.check()
            with stages.measure("decode"):
                picture = decode(data, name=NAME, max_pixels=self.pixels.limit, max_size=choice.look.max_size)
        job.check()
        with self.network.reserved(picture.size[0] * picture.size[1]):
            picture = choice.stylizer.stylise(picture, choice.look, stages)
        job.check()
        return picture

    def _claimed_pixels(self, data: bytes) -> int:
        """Width times height as the header has it; what is wrong with it is for :func:`decode` to say."""
        if not data:
            return 0
        accepted = f"accepted: {', '.join(self.formats)}"
        try:
            source = recognise(data[:HEADER_BYTES], NAME)
        except UnsupportedFormatError:
            raise UnsupportedFormatError(f"{NAME} is of no known format; {accepted}") from None
        if source.name not in self.formats:
            raise UnsupportedFormatError(f"{NAME} is {source.name}; {accepted}")
        try:
            with source.open(BytesIO(data)) as image:
                return image.width * image.height
        except Exception:  # decoders raise nearly anything on damaged data
            return 0


def _told(stages: Stages) -> dict[str, float]:
    took = stages.milliseconds
    return {
        "decode": took.get("decode", 0.0),
        "inference": sum(took.get(stage, 0.0) for stage in ("resize", "network", "colour")),
        "encode": took.get("encode", 0.0),
    }
