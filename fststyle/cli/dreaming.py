"""Pictures in, dreams out: between the options of ``fststyle dream`` and the tensors of a dream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from fststyle.cli.looking import ascent_progress
from fststyle.errors import OptionError
from fststyle.images import Picture
from fststyle.iterative.dream import DreamSettings, dream
from fststyle.iterative.footprint import enough_memory
from fststyle.iterative.objectives import LayerActivation, Objective, guide_activation
from fststyle.iterative.zoom import Motion, dream_frames
from fststyle.nn.feature_networks import FeatureNetwork
from fststyle.nn.pixels import to_image, to_pixels
from fststyle.serving.look import Look
from fststyle.serving.stylizer import Stylizer


@dataclass(frozen=True, kw_only=True)
class Journey:
    """``frames`` pictures, with ``frame_steps`` steps per octave after the first, each ``motion`` away from the last.

    :raises OptionError: fewer than one frame, or a negative number of steps.
    """

    frames: int
    frame_steps: int
    motion: Motion

    def __post_init__(self) -> None:
        if self.frames < 1 or self.frame_steps < 0:
            raise OptionError(f"--zoom-frames is at least 1 and --frame-steps 0, got {self.frames}, {self.frame_steps}")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to dream of: ``weights`` of layers, of all their channels, of ``channel``, or of what ``guide`` shows."""

    weights: dict[str, float]
    channel: int | None = None
    guide: Picture | None = None

    def objective(self, network: FeatureNetwork) -> Objective:
        if self.guide is None:
            return LayerActivation(self.weights, self.channel)
        return guide_activation(network, _tensor(self.guide, network), self.weights)


def dreamt(photo: Picture, network: FeatureNetwork, wish: Wish, settings: DreamSettings) -> Picture:
    """One dream, with the photo's alpha and format; errors are those of
    :func:`~fststyle.iterative.dream.dream` and :func:`~fststyle.iterative.footprint.enough_memory`.
    """
    steps = settings.octaves * settings.ascent.steps
    with enough_memory(network, wish.weights, _largest(photo, wish)), ascent_progress(steps, "Dreaming") as tell:
        result = dream(_tensor(photo, network), network, wish.objective(network), settings, progress=tell)
    return replace(photo, pixels=to_pixels(result))


def dreamt_frames(
    photo: Picture, network: FeatureNetwork, wish: Wish, settings: DreamSettings, journey: Journey
) -> Iterator[Picture]:
    """The frames of a journey, without alpha; errors are those of :func:`dreamt`."""
    steps = settings.octaves * (settings.ascent.steps + (journey.frames - 1) * journey.frame_steps)
    with enough_memory(network, wish.weights, _largest(photo, wish)), ascent_progress(steps, "Dreaming") as tell:
        for frame in dream_frames(
            _tensor(photo, network),
            network,
            wish.objective(network),
            settings,
            frames=journey.frames,
            frame_steps=journey.frame_steps,
            motion=journey.motion,
            progress=tell,
        ):
            yield Picture(to_pixels(frame))


def styler(style: str | None) -> Callable[[Picture], Picture]:
    """Applies a fast style, or nothing at all; the errors of :class:`~fststyle.serving.stylizer.Stylizer` come now."""
    if style is None:
        return lambda picture: picture
    stylizer = Stylizer(style)
    return lambda picture: stylizer.stylise(picture, Look())


def _largest(photo: Picture, wish: Wish) -> tuple[int, int]:
    sizes = [photo.size, *([wish.guide.size] if wish.guide else [])]
    return max(sizes, key=lambda size: size[0] * size[1])


def _tensor(picture: Picture, network: FeatureNetwork) -> Tensor:
    return to_image(picture.pixels).to(next(network.buffers()).device)
