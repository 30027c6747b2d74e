"""The styles that a server offers, and where it can put them: loaded before it listens, warm before it calls itself
ready.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fststyle.errors import FststyleError, OptionError, StyleNotFoundError, did_you_mean
from fststyle.formats import HEADER_BYTES, recognise
from fststyle.serving.masks import Mask
from fststyle.serving.segmenter import PARTS, PersonSegmenter
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.palettes import Palettes
from fststyle.serving.web.problems import logger
from fststyle.styles import DEFAULT_STYLE, StyleInfo

WARM_UP_SIDE, PHOTO_SIDE = 256, 512


class Part(NamedTuple):
    """``name`` is one of :data:`~fststyle.serving.segmenter.PARTS`, ``mask`` where that is."""

    name: str
    mask: Mask


class Gallery:
    """Loaded styles by name, in the order in which they were given; the first is the default unless
    :data:`~fststyle.styles.DEFAULT_STYLE` is there.
    """

    def __init__(self, stylizers: Sequence[Stylizer], segmenter: PersonSegmenter | None = None) -> None:
        """Runs ``segmenter`` once, as only that shows whether it gives masks; errors are those of its
        :meth:`~fststyle.serving.segmenter.PersonSegmenter.plane`.
        """
        if not stylizers:
            raise OptionError("there is no style to serve")
        self.stylizers: Mapping[str, Stylizer] = {stylizer.style.name: stylizer for stylizer in stylizers}
        if len(self.stylizers) < len(stylizers):
            raise OptionError("two of the styles have one name")
        self.palettes = Palettes(self.stylizers)
        self.default = DEFAULT_STYLE if DEFAULT_STYLE in self.stylizers else stylizers[0].style.name
        self.provider = stylizers[0].engine.provider
        self._segmenter = segmenter
        if segmenter is not None:
            segmenter.plane(np.zeros((WARM_UP_SIDE, WARM_UP_SIDE, 3), np.uint8))
        self.warm = 0
        self.failure: FststyleError | None = None

    def __getitem__(self, name: str) -> Stylizer:
        """A style in a file of its own or in a palette, or a mix of a palette's styles; names are looked up and never
        become paths.

        :raises StyleNotFoundError: there is none; the nearest name is offered.
        :raises OptionError: a mix whose weights make no sense.
        """
        found = self.stylizers.get(name) or self.palettes.find(name)
        if found is None:
            known = [*dict.fromkeys([*self.stylizers, *self.palettes.styles])]
            raise StyleNotFoundError(
                f"no style named {name[:80]!r}; styles: {', '.join(known)}{did_you_mean(name, known)}"
            )
        return found

    def loaded_name(self, stylizer: Stylizer) -> str:
        """One of the names in :attr:`stylizers`: for a mix, its palette's."""
        if stylizer in self.stylizers.values():
            return stylizer.style.name
        return self.palettes.holder(stylizer) or stylizer.style.name

    @property
    def parts(self) -> tuple[str, ...]:
        """Of a picture, that a style can be put into; none without a mask model."""
        return () if self._segmenter is None else PARTS

    def part(self, name: str) -> Part:
        """:class:`OptionError` for a name that is no part, or without a mask model."""
        if self._segmenter is None:
            raise OptionError("mask_part needs a mask model, and this server has none (fststyle serve --mask-model)")
        if name not in PARTS:
            raise OptionError(f"mask_part must be {' or '.join(PARTS)}, got {name[:80]!r}{did_you_mean(name, PARTS)}")
        return Part(name, self._segmenter.person if name == PARTS[0] else self._segmenter.background)

    @property
    def ready(self) -> bool:
        return self.warm == len(self.stylizers)

    def warm_up(self, expect: Callable[[float], None]) -> threading.Thread:
        """Runs every style, in a thread of its own: the first run takes much longer than those after it.

        ``expect`` is told the seconds that a photo of :data:`PHOTO_SIDE` may take in the slowest style.
        """
        thread = threading.Thread(target=self._warm_up, args=(expect,), name="warm-up", daemon=True)
        thread.start()
        return thread

    def _warm_up(self, expect: Callable[[float], None]) -> None:
        picture, slowest = np.zeros((1, WARM_UP_SIDE, WARM_UP_SIDE, 3), np.uint8), 0.0
        for stylizer in self.stylizers.values():
            try:
                stylizer.engine(picture)
                started = time.perf_counter()
                stylizer.engine(picture)
            except FststyleError as error:
                self.failure = error
                logger.error("%s does not run: %s", stylizer.style.name, error)
                return
            slowest = max(slowest, time.perf_counter() - started)
            expect(slowest * (PHOTO_SIDE / WARM_UP_SIDE) ** 2)
            self.warm += 1

    def describe(self) -> list[dict[str, Any]]:
        """What ``GET /v1/styles`` lists."""
        return [
            _painted(style)
            | {
                "licence": style.painting.licence,
                "preset": style.preset,
                "bytes": style.bytes,
                "sha256": style.sha256,
                "preview": f"/v1/styles/{style.name}/preview",
                "styles": self._describe_inside(style),
            }
            for style in (stylizer.style for stylizer in self.stylizers.values())
        ]

    def _describe_inside(self, palette: StyleInfo) -> list[dict[str, Any]]:
        """What can be mixed, and how much of it is in the mix that the palette's own name stands for."""
        weights = dict(zip(palette.styles, palette.weights, strict=True))
        return [
            _painted(alone.style)
            | {"weight": weights[name], "preview": f"/v1/styles/{palette.name}/styles/{name}/preview"}
            for name, alone in self.palettes.inside(palette.name).items()
        ]

    def preview(self, name: str, inside: str = "") -> tuple[bytes, str, str]:
        """The picture stored with a style, or with the style ``inside`` a palette, its media type and its digest.

        :raises StyleNotFoundError: there is no such style, or it has no picture.
        """
        style = self[name].style
        if inside:
            held = self.palettes.inside(name)
            if inside not in held:
                raise StyleNotFoundError(f"{name[:80]!r} holds no style {inside[:80]!r}{did_you_mean(inside, held)}")
            style = held[inside].style
        data = style.preview
        if not data:
            raise StyleNotFoundError(f"the style {style.name!r} has no preview")
        media_type = f"image/{recognise(data[:HEADER_BYTES], 'the preview').name.lower()}"
        return data, media_type, hashlib.sha256(data).hexdigest()


def _painted(style: StyleInfo) -> dict[str, Any]:
    painting = style.painting
    return {"name": style.name, "title": painting.title, "artist": painting.artist, "year": painting.year}
