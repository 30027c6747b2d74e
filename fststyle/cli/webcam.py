"""``fststyle webcam``: a camera in, its picture in a style out, live."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from fststyle.cli.masking import Masking, mask_options
from fststyle.cli.sizes import Size
from fststyle.cli.stylize import blend_option, device_options
from fststyle.cli.timelines import MIX, style_and_timeline, timeline_option
from fststyle.images import MAX_PIXELS
from fststyle.serving.look import Look
from fststyle.serving.stylizer import Stylizer
from fststyle.signals import Terminated, signals_handled
from fststyle.styles import DEFAULT_STYLE, find_style

if TYPE_CHECKING:
    from fststyle.cli.masking import Masks
    from fststyle.serving.camera import Wishes
    from fststyle.serving.camera_session import Session
    from fststyle.serving.look import Blend
    from fststyle.serving.providers import Device
    from fststyle.serving.regions import MaskedStylizer


class _Signals:
    """SIGINT and SIGTERM ask the session to end, which finishes its recording; a second one ends at once."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.got: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        again, self.got = self.got is not None, number
        if self.session is None or again:
            self.check()
        else:
            self.session.leave()

    def check(self) -> None:
        """Raises what stands for the signal that came, if one did."""
        if self.got is not None:
            raise Terminated if self.got == signal.SIGTERM else KeyboardInterrupt


@click.command()
@click.option(
    "--camera",
    "source",
    default="0",
    show_default=True,
    metavar="N|FILE|URL",
    help="A camera's number, a video that plays once, a stream's address, or synthetic: a generated feed.",
)
@click.option("--size", type=Size(), help="Ask the camera for frames of so many pixels.")
@click.option("--camera-fps", type=float, help="Ask the camera for so many frames per second.")
@click.option(
    "--style", default=DEFAULT_STYLE, show_default=True, metavar=MIX, help="Which style, or a mix of a palette's."
)
@timeline_option("since the first picture; at its last time it begins again")
@click.option(
    "--strength", type=float, default=Look.strength, show_default=True, help="0 the camera, 1 the full style."
)
@blend_option
@mask_options
@click.option("--keep-color", is_flag=True, help="Keep the camera's colours, take the style's light and strokes.")
@click.option("--mirror", is_flag=True, help="Show it as a mirror would.")
@click.option("--stabilize", is_flag=True, help="Less flicker: smooth over time where the picture stands still.")
@click.option("--max-size", type=int, metavar="PIXELS", help="Let the network work on no more than this, longer side.")
@click.option("--target-fps", type=float, help="Lower the size at which the network works as far as this needs.")
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE", help="Record from the start, into FILE.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="Where the keys put snapshots and recordings.",
)
@click.option("--virtual-camera", is_flag=True, help="Also send the picture to a virtual camera, for video calls.")
@click.option("--headless", is_flag=True, help="Open no window.")
@click.option("--frames", type=int, help="End after so many pictures.")
@click.option("--seconds", type=float, help="End after so long.")
@click.option("--every-frame", is_flag=True, help="Drop no frame: the file given as camera waits for the network.")
@device_options
@click.option("--json", "as_json", is_flag=True, help="Print what happened as a JSON object.")
@click.option("--force", is_flag=True, help="Replace the file to record into if it exists.")
def webcam(
    source: str,
    size: tuple[int, int] | None,
    camera_fps: float | None,
    style: str,
    timeline: str | None,
    strength: float,
    blend: Blend,
    keep_color: bool,
    mirror: bool,
    stabilize: bool,
    max_size: int | None,
    target_fps: float | None,
    record: Path | None,
    folder: Path,
    virtual_camera: bool,
    headless: bool,
    frames: int | None,
    seconds: float | None,
    every_frame: bool,
    device: Device,
    threads: int | None,
    as_json: bool,
    force: bool,
    masking: Masking,
) -> None:
    """Stylise a camera live, in a window; the key h lists the others.

    Always the newest frame: what a slow network has no time for is dropped and never queued. A mask is laid over the
    picture as it is shown, in the mirror too.
    """
    from fststyle.serving.camera import Wishes, check_every_frame
    from fststyle.serving.camera_loop import Controls, LiveSettings
    from fststyle.serving.camera_record import check_recording
    from fststyle.serving.camera_session import Keep, open_session, run_headless
    from fststyle.serving.camera_styles import StyleShelf, opening_key, style_key
    from fststyle.serving.camera_window import check_display, run_window
    from fststyle.serving.shared_network import check_blend

    controls = Controls(Look(strength=strength, blend=blend, keep_color=keep_color), mirror)
    style, moments = style_and_timeline(style, timeline)
    masks, main = masking.read(MAX_PIXELS), masking.main((style,))
    wishes = Wishes(size=size, rate=camera_fps, paced=not every_frame)
    settings = LiveSettings(
        max_size=max_size,
        target_fps=target_fps,
        stabilize=stabilize,
        frames=frames,
        seconds=seconds,
        every_frame=every_frame,
        timeline=moments,
    )
    if every_frame:
        check_every_frame(source)
    if record is not None:
        check_recording(record, force=force)
    if not headless:
        check_display()

    def load(name: str | Path) -> Stylizer:
        return Stylizer(name, device=device, threads=threads)

    for each in masks.styles([find_style(name) for name in main]):
        check_blend(each, controls.look)
    # Where no style is for all that no region covers, the first region's is shown when a key takes the masks away.
    wanted = main[0] if main else masking.region_styles[0]
    first = opening_key(moments) if moments is not None else style_key(wanted)
    signals = _Signals()
    with signals_handled(signals.handle), StyleShelf(first, load) as shelf:
        if device == "auto" and not as_json:
            click.echo(f"fststyle: {shelf.current.engine.note}", err=True)
        keep = Keep(folder=folder, record=record, force=force, virtual_camera=virtual_camera)
        masked = _masked(masks, shelf.current, main, load, threads) if masking else None
        try:
            with open_session(source, wishes, shelf, controls, settings, keep, masked) as session:
                signals.session = session
                (run_headless if headless else run_window)(session)
        finally:
            if signals.session is not None:  # a camera that was unplugged has a tale to tell, too
                _report(signals.session, wishes, masking, as_json=as_json)
    signals.check()


def _masked(
    masks: Masks, current: Stylizer, main: tuple[str, ...], load: Callable[[Path], Stylizer], threads: int | None
) -> MaskedStylizer:
    """The regions, over the ``current`` style if there is a ``main`` one."""
    (masked,) = masks.masked(
        [current] if main else [], lambda path: current if path == current.style.path else load(path), threads
    )
    return masked


def _report(session: Session, wishes: Wishes, masking: Masking, *, as_json: bool) -> None:
    figures = session.live.figures.to_dict()
    camera, shelf = session.live.camera, session.live.shelf
    if as_json:
        style = session.live.shown(shelf.current).style.name
        facts = {"camera": camera.name, "size": camera.size, "style": style, **masking.as_json()}
        if session.live.timeline is not None:
            facts["timeline"] = str(session.live.timeline)
        kept = {
            "working_size": session.last.worked_at if session.last else None,
            "recordings": [asdict(made) | {"path": str(made.path)} for made in session.recordings],
            "snapshots": [str(path) for path in session.snapshots],
            "provider": shelf.current.engine.provider,
        }
        click.echo(json.dumps(facts | figures | kept))
        return
    width, height = camera.size
    if wishes.size not in (None, camera.size):
        click.echo(f"fststyle: {camera.name} gives {width} x {height} and not the size asked for", err=True)
    latency = figures["latency"]
    times = f"; latency {latency['mean']:.0f} ms, p95 {latency['p95']:.0f} ms" if figures["shown"] else ""
    click.echo(
        f"{camera.name}, {width} x {height}: {figures['stylised']} pictures in {figures['seconds']:.1f} s "
        f"({figures['fps']:.1f} fps), {figures['dropped']} of {figures['captured']} frames dropped{times}"
    )
    for made in session.recordings:
        lost = f", {made.dropped} dropped as the encoder was behind" if made.dropped else ""
        click.echo(f"{click.format_filename(made.path)}: {made.frames} frames, {made.seconds:.2f} s{lost}")
    for path in session.snapshots:
        click.echo(click.format_filename(path))
