"""The whole road of one picture: decode, network, colour, strength, encode."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fststyle.errors import DeviceError, ModelError, OptionError
from fststyle.images import MAX_PIXELS, Picture, encode, to_pillow
from fststyle.mixes import Mix
from fststyle.serving.engine import Engine
from fststyle.serving.given import as_picture
from fststyle.serving.look import Blend, Look
from fststyle.serving.picture_file import check_target, write
from fststyle.serving.providers import CPU, Device
from fststyle.serving.stages import Stages
from fststyle.serving.tile_choice import DEFAULT_TILE, Progress, Tile, wants_tiles
from fststyle.strips import resized
from fststyle.styles import DEFAULT_STYLE, PHOTO, StyleInfo, choose_palette, find_style


class Stylizer:
    """One style, loaded once, for any number of pictures; calling it is safe from several threads at once.

    >>> stylizer = Stylizer("starry_night")
    >>> stylizer("photo.jpg", output="stylised.jpg", strength=0.8)
    """

    def __init__(
        self,
        style: str | Path = DEFAULT_STYLE,
        *,
        device: Device = "auto",
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        progress: Progress | None = None,
    ) -> None:
        """``style`` is a name or the path of an ONNX file; ``max_pixels`` caps width times height of what is decoded.
        ``progress`` is told of pictures that are run in tiles, with a
        :class:`~fststyle.serving.tile_choice.Tiling` and how many of its tiles are done: 0 before the first.

        :raises StyleNotFoundError: there is no such style.
        :raises ModelError: its file is damaged or not one of ours.
        :raises DeviceError: ``device="cuda"`` and the GPU cannot be used.
        :raises OptionError: a value out of range.
        """
        if max_pixels < 1:
            raise OptionError(f"max_pixels must be at least 1, got {max_pixels}")
        self.style = find_style(style)
        self.style.verify()
        self.engine = Engine(self.style.path, device=device, threads=threads, weights=self.style.weights)
        self.max_pixels = max_pixels
        self.progress = progress

    @overload
    def __call__(
        self,
        image: str | Path | bytes | Image.Image | NDArray[np.uint8],
        *,
        strength: float = ...,
        blend: Blend = ...,
        keep_color: bool = ...,
        max_size: int | None = ...,
        stroke_size: float | None = ...,
        tile: Tile = ...,
        output: str | Path,
        force: bool = ...,
        keep_metadata: bool = ...,
    ) -> Path: ...

    @overload
    def __call__(
        self,
        image: str | Path | Image.Image,
        *,
        strength: float = ...,
        blend: Blend = ...,
        keep_color: bool = ...,
        max_size: int | None = ...,
        stroke_size: float | None = ...,
        tile: Tile = ...,
    ) -> Image.Image: ...

    @overload
    def __call__(
        self,
        image: bytes,
        *,
        strength: float = ...,
        blend: Blend = ...,
        keep_color: bool = ...,
        max_size: int | None = ...,
        stroke_size: float | None = ...,
        tile: Tile = ...,
        keep_metadata: bool = ...,
    ) -> bytes: ...

    @overload
    def __call__(
        self,
        image: NDArray[np.uint8],
        *,
        strength: float = ...,
        blend: Blend = ...,
        keep_color: bool = ...,
        max_size: int | None = ...,
        stroke_size: float | None = ...,
        tile: Tile = ...,
    ) -> NDArray[np.uint8]: ...

    def __call__(
        self,
        image: str | Path | bytes | Image.Image | NDArray[np.uint8],
        *,
        strength: float = Look.strength,
        blend: Blend = Look.blend,
        keep_color: bool = Look.keep_color,
        max_size: int | None = Look.max_size,
        stroke_size: float | None = Look.stroke_size,
        tile: Tile = DEFAULT_TILE,
        output: str | Path | None = None,
        force: bool = False,
        keep_metadata: bool = False,
    ) -> Path | Image.Image | bytes | NDArray[np.uint8]:
        """Stylise a picture and give back the like.

        A Pillow image or a path gives a Pillow image (RGB, or RGBA where there was transparency), encoded bytes give
        bytes of the same format (PNG for one that is only read, JPEG for HEIC), an array uint8 [H, W, 3], [H, W, 4]
        (RGB or RGBA, sRGB) or [H, W] (grey) gives uint8 [H, W, 3] or [H, W, 4]. With ``output`` the result is written
        there, in the format of the suffix, and the path comes back. :class:`Look` says what ``strength``, ``blend``,
        ``keep_color``, ``max_size``, ``stroke_size`` and ``tile`` do. Metadata are left out unless ``keep_metadata``.

        :raises InputError: the picture cannot be read; its subclasses: too many pixels, not a picture.
        :raises OutputError: ``output`` cannot be written, or exists and ``force`` is false.
        :raises OptionError: a value out of range, or a suffix that stands for no format.
        :raises DeviceError: there is not enough memory for that size.
        """
        look = Look(
            strength=strength,
            blend=blend,
            keep_color=keep_color,
            max_size=max_size,
            stroke_size=stroke_size,
            tile=tile,
        )
        if output is not None:
            check_target(Path(output), force=force)
        picture = self.stylise(as_picture(image, max_pixels=self.max_pixels, max_size=look.max_size), look)
        if output is not None:
            write(picture, Path(output), force=force, keep_metadata=keep_metadata)
            return Path(output)
        if isinstance(image, bytes):
            return encode(picture, picture.result_format, keep_metadata=keep_metadata)
        if isinstance(image, np.ndarray):
            return picture.pixels if picture.alpha is None else np.dstack((picture.pixels, picture.alpha))
        return to_pillow(picture)

    @property
    def parts(self) -> tuple[Stylizer, ...]:
        """Those of a network each that it is made of; here itself."""
        return (self,)

    @property
    def shows_photo(self) -> bool:
        """Whether pixels of the photo itself may be seen at full strength and with the style's colours."""
        return self.photo_share > 0

    @property
    def masks_digest(self) -> str:
        """Hexadecimal, of all that masks do to a result; empty where there are none."""
        return ""

    def mixed(self, mix: Mix) -> Stylizer:
        """The same network with another mix of its styles; nothing is loaded for it.

        :raises StyleNotFoundError: the network has no such style, or is no palette.
        """
        return self.with_style(choose_palette(mix, [self.style]).mixed(mix))

    def with_style(self, style: StyleInfo) -> Stylizer:
        """The same network for another mix of its styles; ``style`` must be of the same file."""
        twin = copy(self)
        twin.style, twin.engine = style, self.engine.mixed(style.weights)
        return twin

    def towards_photo(self, strength: float) -> Stylizer:
        """The same mix with the photo itself as one more style, of weight 1 - ``strength``.

        :raises OptionError: the network has no style that gives the photo back.
        """
        names, weights = self.style.styles, self.engine.weights
        if PHOTO not in names:
            raise OptionError(f"{self.style.name} is a network of one style, so that blend must be pixels, not network")
        twin = copy(self)
        photo = np.array([name == PHOTO for name in names], np.float32)
        twin.engine = self.engine.mixed(tuple(strength * weights + (1 - strength) * photo))
        return twin

    def steady(self) -> Stylizer:
        """The same style for the frames of one video, in order and from one thread; see
        :class:`~fststyle.serving.steady.SteadyEngine`.
        """
        from fststyle.serving.steady import SteadyEngine

        device: Device = "cpu" if self.engine.provider == CPU else "cuda"
        twin = copy(self)
        engine = self.engine
        twin.engine = SteadyEngine(self.style.path, device=device, threads=engine.threads, weights=engine.weights)
        return twin

    def side_by_side(self, pictures: int) -> Stylizer:
        """The same style on the processor for so many calls at a time, with as many threads in all as this one has.

        Each picture takes longer, all together take less: threads that share one wait for each other at every layer.
        """
        twin = copy(self)
        engine, threads = self.engine, max(1, self.engine.threads - pictures + 1)
        twin.engine = Engine(self.style.path, device="cpu", threads=threads, weights=engine.weights)
        return twin

    def stylise(self, photo: Picture, look: Look, stages: Stages | None = None) -> Picture:
        """The step between decoding and encoding; alpha, format and EXIF pass through unchanged."""
        stages = stages or Stages()
        with stages.measure("resize"):
            photo = photo.limited(look.max_size)
        if look.strength == 0:
            return photo
        if look.blend == "network":
            return self.towards_photo(look.strength).stylise(photo, replace(look, strength=1, blend="pixels"), stages)
        with stages.measure("network"):
            given = resized(photo.pixels, look.network_size(photo.size))
            pixels = resized(self._stylised(given, look.tile), photo.size)
        # A network of instance norms gives back no photo's brightness: the nearer a mix comes to the photo, the more of
        # its own pixels it gets, so that the end is the photo itself.
        with_photo = replace(look, strength=look.strength * (1 - self.photo_share**2))
        with stages.measure("colour"):
            return replace(photo, pixels=with_photo.finished(photo.pixels, pixels))

    @property
    def photo_share(self) -> float:
        """Weight of the photo itself in the mix, 0 to 1."""
        return sum(
            float(share) for name, share in zip(self.style.styles, self.engine.weights, strict=True) if name == PHOTO
        )

    def _stylised(self, pixels: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
        """What the network makes of uint8 [H, W, 3], whole or in tiles."""
        count, held = pixels.shape[0] * pixels.shape[1], self.engine.held_pixels
        if wants_tiles(tile, count, self.style.path, held_pixels=held):
            try:
                return self._tiled(pixels, tile)
            except ModelError:
                if tile != "auto":  # a network that does not work in tiles may still work without
                    raise
                return self._whole(pixels)
        try:
            return self._whole(pixels)
        except DeviceError:
            if tile != "auto":
                raise
        return self._tiled(pixels, tile)

    def _tiled(self, pixels: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
        from fststyle.serving.tiles import stylise_tiled

        side = tile if isinstance(tile, int) else None
        return stylise_tiled(self.engine, self.style.path, pixels, side, self.progress)

    def _whole(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        try:
            stylised: NDArray[np.uint8] = self.engine(pixels[None])[0]
            return stylised
        except MemoryError as error:
            height, width = pixels.shape[:2]
            advice = "set --max-size or --tile"
            raise DeviceError(f"not enough memory for a picture of {width} x {height}; {advice}") from error
