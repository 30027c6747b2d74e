"""The styles that a server offers: loaded before it listens, warm before it calls itself ready."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fststyle.errors import FststyleError, OptionError, StyleNotFoundError, did_you_mean
from fststyle.formats import HEADER_BYTES, recognise
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.web.problems import logger
from fststyle.styles import DEFAULT_STYLE

WARM_UP_SIDE, PHOTO_SIDE = 256, 512


class Gallery:
    """Loaded styles by name, in the order in which they were given; the first is the default unless
    :data:`~fststyle.styles.DEFAULT_STYLE` is there.
    """

    def __init__(self, stylizers: Sequence[Stylizer]) -> None:
        if not stylizers:
            raise OptionError("there is no style to serve")
        self.stylizers: Mapping[str, Stylizer] = {stylizer.style.name: stylizer for stylizer in stylizers}
        if len(self.stylizers) < len(stylizers):
            raise OptionError("two of the styles have one name")
        self.default = DEFAULT_STYLE if DEFAULT_STYLE in self.stylizers else stylizers[0].style.name
        self.provider = stylizers[0].engine.provider
        self.warm = 0
        self.failure: FststyleError | None = None

    def __getitem__(self, name: str) -> Stylizer:
        """:class:`StyleNotFoundError` if there is none; names are looked up and never become paths."""
        if name not in self.stylizers:
            listed, near = ", ".join(self.stylizers), did_you_mean(name, self.stylizers)
            raise StyleNotFoundError(f"no style named {name[:80]!r}; styles: {listed}{near}")
        return self.stylizers[name]

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
            {
                "name": style.name,
                "title": style.painting.title,
                "artist": style.painting.artist,
                "year": style.painting.year,
                "licence": style.painting.licence,
                "preset": style.preset,
                "bytes": style.bytes,
                "sha256": style.sha256,
                "preview": f"/v1/styles/{style.name}/preview",
            }
            for style in (stylizer.style for stylizer in self.stylizers.values())
        ]

    def preview(self, name: str) -> tuple[bytes, str, str]:
        """The picture stored with a style, its media type and its digest; StyleNotFoundError if it has none."""
        data = self[name].style.preview
        if not data:
            raise StyleNotFoundError(f"the style {name!r} has no preview")
        media_type = f"image/{recognise(data[:HEADER_BYTES], 'the preview').name.lower()}"
        return data, media_type, hashlib.sha256(data).hexdigest()
