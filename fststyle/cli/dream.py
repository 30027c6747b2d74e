"""``fststyle dream``: what a network sees in a photo, made visible in the photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fststyle.atomic import check_output, make_folder
from fststyle.cli.looking import ascent_options, looking_options, open_network, weighted_layers
from fststyle.errors import OptionError
from fststyle.formats import WRITABLE_SUFFIXES
from fststyle.images import read_picture
from fststyle.serving.picture_file import check_target, write
from fststyle.serving.video_formats import CONTAINERS, VideoSettings, target_for

if TYPE_CHECKING:
    from fststyle.nn.devices import Device

DEFAULT_SIZE = 512
FRAMES_PER_SECOND = 25


class Shift(click.ParamType[tuple[float, float]]):
    """X,Y in pixels."""

    name = "shift"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            right, down = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a shift such as 2,-1.5", param, ctx)
        return right, down


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="File.  [default: PHOTO-dream]")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    required=True,
    metavar="NAME[:WEIGHT]",
    help="Layer that is to see more of what it sees, such as relu4_3; may be repeated.",
)
@click.option("--channel", type=int, metavar="N", help="Only this channel of the layers, from 0.")
@click.option("--guide", type=click.Path(path_type=Path), metavar="PICTURE", help="Dream of what this picture shows.")
@click.option("--size", type=int, default=DEFAULT_SIZE, show_default=True, help="Scale down if a side is longer.")
@ascent_options(octaves=4, steps=10, step_size=0.006, step_unit="Mean", jitter=32, normalization="mean-absolute")
@click.option("--max-loss", type=float, help="End an octave where the activation passes this value.")
@click.option("--first", metavar="STYLE", help="Stylise the photo before it is dreamt of.")
@click.option("--then", metavar="STYLE", help="Stylise the dream.")
@click.option("--zoom-frames", type=int, metavar="N", help="Write a video of N frames, each dreamt from the last.")
@click.option("--frame-steps", type=int, default=3, show_default=True, help="Steps per octave after the first frame.")
@click.option("--zoom", type=float, default=1.03, show_default=True, help="From frame to frame; above 1 goes in.")
@click.option("--rotate", type=float, default=0.0, show_default=True, help="Degrees per frame, clockwise.")
@click.option("--shift", type=Shift(), default="0,0", show_default=True, help="Pixels per frame, right and down.")
@looking_options
def dream(
    photo: Path,
    output: Path | None,
    layers: tuple[str, ...],
    channel: int | None,
    guide: Path | None,
    size: int,
    octaves: int,
    octave_scale: float,
    steps: int,
    step_size: float,
    jitter: int,
    normalize: str,
    max_loss: float | None,
    first: str | None,
    then: str | None,
    zoom_frames: int | None,
    frame_steps: int,
    zoom: float,
    rotate: float,
    shift: tuple[float, float],
    network: str,
    weights: Path | None,
    device: Device,
    seed: int,
    force: bool,
) -> None:
    """Change PHOTO so that layers of a network see more of what they see in it: DeepDream.

    Early layers (relu2_2) bring out strokes and textures, later ones (relu4_3, relu5_1) eyes, animals and buildings.
    """
    from fststyle.cli.dreaming import Journey, Wish, dreamt, dreamt_frames, styler
    from fststyle.iterative.ascent import Ascent
    from fststyle.iterative.dream import DreamSettings
    from fststyle.iterative.zoom import Motion

    ascent = Ascent(steps=steps, step_size=step_size, jitter=jitter, normalization=normalize, max_loss=max_loss)
    settings = DreamSettings(octaves=octaves, octave_scale=octave_scale, ascent=ascent, seed=seed)
    motion = Motion(zoom=zoom, rotate=rotate, shift=shift)
    journey = None if zoom_frames is None else Journey(frames=zoom_frames, frame_steps=frame_steps, motion=motion)
    if channel is not None and guide is not None:
        raise OptionError("--channel and --guide each say what to dream of; give one of them")
    if size < 1:
        raise OptionError(f"--size is at least 1 pixel, got {size}")
    wanted = weighted_layers(network, layers)
    target = output or default_target(photo, video=journey is not None)
    check(target, video=journey is not None, force=force)
    before, after = styler(first), styler(then)
    picture = before(read_picture(photo, max_size=size))
    wish = Wish(weights=wanted, channel=channel, guide=read_picture(guide, max_size=size) if guide else None)
    looking = open_network(network, list(wanted), weights, device)
    if journey is None:
        write(after(dreamt(picture, looking, wish, settings)), target, force=force, keep_metadata=False)
    else:
        from fststyle.serving.video_frames import write_frames

        make_folder(target.parent)
        frames = dreamt_frames(picture, looking, wish, settings, journey)
        pixels = (after(frame).pixels for frame in frames)
        write_frames(pixels, target, picture.size, rate=FRAMES_PER_SECOND, force=force)
    click.echo(f"{click.format_filename(target)} ({picture.size[0]} x {picture.size[1]})")


def default_target(photo: Path, *, video: bool) -> Path:
    """Beside the photo and in its format, as ``stylize`` has it; a video is an MP4."""
    if video:
        return photo.with_name(f"{photo.stem}-dream.mp4")
    suffix = photo.suffix if photo.suffix.lower() in WRITABLE_SUFFIXES else ".png"
    return photo.with_name(f"{photo.stem}-dream{suffix}")


def check(target: Path, *, video: bool, force: bool) -> None:
    """Everything about the file to be written that can be known before the work.

    :raises OptionError: no format has that suffix, or a video's stands for a picture or a picture's for a video.
    :raises OutputError: it exists and ``force`` is false.
    :raises DependencyError: a video is asked for, and PyAV is missing.
    """
    if not video:
        if target.suffix.lower() in CONTAINERS:
            raise OptionError(f"{target} is a video, which needs --zoom-frames N")
        check_target(target, force=force)
        return
    target_for(target, VideoSettings())
    check_output(target, overwrite=force)

    from fststyle.serving import ffmpeg  # noqa: F401  (raises where PyAV is missing: before the work, not after it)
