"""How late a live picture is: from taking a frame to having shown what the network made of it.

    python benchmarks/camera_latency.py [--style starry_night] [--size 320x240] [--camera-fps 30] [--pictures 40]
                                        [--strength 1] [--window] [--record]

The generated feed draws the time into every frame as light and dark blocks. They are read back from each picture that
is shown, strokes and all, after it was handed over (with ``--window``: after OpenCV's window has painted it), and
compared with the time at that moment. The result is the ratio of two medians: this latency, and the time of the engine
alone on frames of the same size. The two are measured in turns, a few seconds each, since what else a machine does
changes. Pictures whose clock the strokes made unreadable are counted and left out.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from fststyle import Stylizer
from fststyle.errors import FststyleError, OptionError, outcome
from fststyle.machine import describe_machine
from fststyle.serving.camera import Wishes
from fststyle.serving.camera_clock import SyntheticScene, read, seconds_between, ticks
from fststyle.serving.camera_loop import Controls, LiveSettings
from fststyle.serving.camera_session import Keep, Session, open_session
from fststyle.serving.camera_styles import StyleShelf
from fststyle.serving.camera_window import Window, check_display, status
from fststyle.serving.look import Look
from fststyle.styles import DEFAULT_STYLE

_LEAD_IN = 3  # pictures of each turn, until the pace has settled
_TURNS = 4


@dataclass
class Times:
    """Seconds: of the engine alone, of the engine beside the camera, and from frame to picture. ``unreadable`` counts
    clocks.
    """

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    unreadable: int = 0
    dropped: int = 0
    rates: list[float] = field(default_factory=list)


def engine_alone(stylizer: Stylizer, size: tuple[int, int], times: int) -> list[float]:
    scene = SyntheticScene(size)
    spent = []
    for number in range(times + 1):
        pixels, _ = scene.draw()
        started = time.perf_counter()
        stylizer.engine(pixels[None])
        if number:
            spent.append(time.perf_counter() - started)
    return spent


def watch(session: Session, pictures: int, window: Window | None, times: Times) -> None:
    seen = 0
    for view in session.live.views(0.02):
        if view is None:
            continue
        session.last = view
        if window is not None:
            window.show(view.pixels, status(session), [])
            window.key()
        now = ticks(time.perf_counter())
        seen += 1
        if seen <= _LEAD_IN:
            continue
        reading = read(view.pixels)
        if reading is None:
            times.unreadable += 1
        else:
            times.latency.append(seconds_between(reading, now))
            times.beside.append(view.network)
        if seen == pictures + _LEAD_IN:
            return


def run(options: argparse.Namespace) -> None:
    width, height = (int(side) for side in options.size.split("x"))
    size, times = (width, height), Times()
    if options.window:
        check_display()
    window = Window(size) if options.window else None
    wishes = Wishes(size=size, rate=options.camera_fps)
    stylizer = Stylizer(options.style)
    for _ in range(_TURNS):
        times.alone += engine_alone(stylizer, size, options.pictures // _TURNS)
        with (
            tempfile.TemporaryDirectory() as folder,
            StyleShelf(options.style, lambda name: stylizer, names=()) as shelf,
        ):
            keep = Keep(folder=Path(folder), record=Path(folder) / "live.mp4" if options.record else None)
            with open_session(
                "synthetic", wishes, shelf, Controls(Look(strength=options.strength)), LiveSettings(), keep
            ) as session:
                watch(session, options.pictures // _TURNS, window, times)
            times.dropped += session.live.figures.dropped
            times.rates.append(session.live.figures.to_dict()["fps"])
    if window is not None:
        window.close()
    report(options, stylizer, times)


def report(options: argparse.Namespace, stylizer: Stylizer, times: Times) -> None:
    if len(times.latency) < 2:
        raise OptionError(f"{len(times.latency)} clocks were readable; a larger --size gives them more room")
    engine, p95 = median(times.alone), quantiles(times.latency, n=20, method="inclusive")[-1]
    print(f"{describe_machine('fststyle', 'onnxruntime', 'onnxruntime-gpu', 'opencv-python', 'numpy')}")
    print(f"{stylizer.style.name} on {stylizer.engine.provider}, {stylizer.engine.threads} threads")
    shown = "shown in a window" if options.window else "not shown"
    print(f"{options.size} at {options.camera_fps:g} frames/s, {shown}{', recorded' if options.record else ''}\n")
    print("| | ms | of the engine's time |\n|---|---:|---:|")
    rows = {
        "engine alone, median": engine,
        "engine beside the camera, median": median(times.beside),
        "latency, median": median(times.latency),
        "latency, 95 %": p95,
    }
    for name, seconds in rows.items():
        print(f"| {name} | {seconds * 1000:.1f} | {seconds / engine:.2f} |")
    rate = median(times.rates)
    print(
        f"\n{len(times.latency)} pictures, {times.unreadable} more unreadable; {rate:.1f} fps, {times.dropped} dropped"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--size", default="320x240", metavar="WxH")
    parser.add_argument("--camera-fps", type=float, default=30.0)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--strength", type=float, default=1.0, help="lower if strokes make the clock unreadable")
    parser.add_argument("--window", action="store_true", help="show the pictures in a real window")
    parser.add_argument("--record", action="store_true", help="record them, too")
    try:
        run(parser.parse_args())
    except FststyleError as error:
        print(f"camera_latency: error: {error}", file=sys.stderr)
        return outcome(error).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
