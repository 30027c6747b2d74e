"""How much of the engine's frame rate is left end to end: of `fststyle video` and of `fststyle webcam`.

    python benchmarks/end_to_end.py [--style FILE.onnx | NAME] [--clip FILE] [--size 1280x720] [--frames 60]
                                    [--rounds 5] [--threads N] [--device cpu] [--json]

The three take turns, each in a process of its own: the engine alone on frames in memory; a video, from a file to a
file; and a video as a camera that waits for the network, without a window. Of the two roads the first frames do not
count; the video's time ends when its file is whole. Shares are those of the engine's frames per second: by the clock,
and by processor time for each frame, which is what the clock would tell if all cores always worked; on a busy machine
look at that one. Below them is where the time outside the engine goes: what each part of the road costs by itself.

Without --clip one is made of scikit-image's photographs, which move; without --style the network is a `realtime` one of
random weights, which takes as long as a trained one and needs the extra "train". What the encoder has to do depends on
what the network paints.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from in_turn import Racer, in_turn
from numpy.typing import NDArray
from PIL import Image
from rival import size_of, untrained
from sample_pictures import photographs

from fststyle.errors import FststyleError, InputError, outcome
from fststyle.images import MAX_PIXELS, load_rgb
from fststyle.machine import describe_machine
from fststyle.serving.camera import Wishes
from fststyle.serving.camera_loop import Controls, LiveSettings
from fststyle.serving.camera_session import Keep, open_session
from fststyle.serving.camera_styles import StyleShelf
from fststyle.serving.ffmpeg import av
from fststyle.serving.look import Look
from fststyle.serving.providers import default_threads
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.video import stylise_video
from fststyle.serving.video_formats import VideoSettings, target_for
from fststyle.serving.video_frames import made_video, write_frames
from fststyle.serving.video_picture import VideoReformatter, from_rgb, to_rgb
from fststyle.serving.video_reader import Frame, VideoReader
from fststyle.serving.video_writer import lone_encoder
from fststyle.styles import find_style

RATE = 30
LEAD_IN = 8
"""Frames of each turn that do not count: the network's memory, and queues that are still empty."""
IN_MEMORY = 12
ENGINE, VIDEO, WEBCAM, PARTS = "engine alone", "fststyle video", "fststyle webcam", "parts"


@dataclass(frozen=True)
class Setting:
    """What all racers get; ``size`` is (width, height)."""

    style: str
    clip: Path
    size: tuple[int, int]
    frames: int
    threads: int
    device: Any

    def stylizer(self) -> Stylizer:
        return Stylizer(self.style, device=self.device, threads=self.threads)


@dataclass(frozen=True)
class Turn:
    """Milliseconds a frame, by the clock and on the processor."""

    clock: float
    processor: float


@dataclass(frozen=True)
class Figure:
    """Medians over all turns, and the slowest and fastest turn in frames per second; shares are of the engine's."""

    road: str
    frames_per_second: float
    low: float
    high: float
    share: float
    processor: float
    processor_share: float


class Counted:
    """Frames between two moments."""

    def __init__(self) -> None:
        self._clock, self._processor = time.perf_counter(), time.process_time()

    def turn(self, frames: int) -> Turn:
        spent = time.perf_counter() - self._clock, time.process_time() - self._processor
        return Turn(spent[0] / frames * 1000, spent[1] / frames * 1000)


class Timed(Racer):
    def __init__(self, setting: Setting) -> None:
        self.setting, self.stylizer, self.turns = setting, setting.stylizer(), list[Turn]()

    def result(self) -> Any:
        return self.turns


class EngineAlone(Timed):
    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._frames = [pixels[None] for pixels in islice(pictures(setting), IN_MEMORY)]

    def step(self) -> None:
        for number in range(LEAD_IN):
            self.stylizer.engine(self._frames[number % len(self._frames)])
        counted, count = Counted(), self.setting.frames - LEAD_IN
        for number in range(count):
            self.stylizer.engine(self._frames[number % len(self._frames)])
        self.turns.append(counted.turn(count))


class Video(Timed):
    """From the lead-in's last frame to the whole file."""

    def step(self) -> None:
        counted = Counted()

        def note(done: int, total: int | None) -> None:
            nonlocal counted
            if done == LEAD_IN:
                counted = Counted()

        with tempfile.TemporaryDirectory() as folder:
            end = self.setting.frames / RATE if self.setting.frames else None
            report = stylise_video(
                self.stylizer,
                self.setting.clip,
                Path(folder) / "out.mp4",
                Look(),
                VideoSettings(end=end),
                progress=note,
            )
            self.turns.append(counted.turn(report.frames - LEAD_IN))


class Webcam(Timed):
    def step(self) -> None:
        settings = LiveSettings(every_frame=True, frames=self.setting.frames)
        with (
            StyleShelf(self.setting.style, lambda name: self.stylizer, names=()) as shelf,
            open_session(
                str(self.setting.clip), Wishes(paced=False), shelf, Controls(Look()), settings, Keep()
            ) as session,
        ):
            counted, shown = Counted(), 0
            for view in session.live.views(0.1):
                shown += view is not None
                if view is not None and shown == LEAD_IN:
                    counted = Counted()
            self.turns.append(counted.turn(shown - LEAD_IN))


class Parts(Racer):
    """Each part of the road for itself, one frame after the other: processor milliseconds a frame."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._spent = setting, dict[str, list[float]]()
        self._engine = setting.stylizer().engine

    def step(self) -> None:
        count = min(IN_MEMORY * 2, self._setting.frames)
        stored, spent = [], 0.0
        with av.open(str(self._setting.clip)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            decoder = container.decode(video=0)
            for _ in range(count):
                started = time.process_time()
                stored.append(next(decoder))
                spent += time.process_time() - started
        self._note("decode", spent, count)
        there, back = VideoReformatter(), VideoReformatter()
        rgb = self._each("convert to RGB", lambda frame: to_rgb(frame, self._setting.size, there, quick=True), stored)
        stylised = self._each("network", lambda pixels: self._engine(pixels[None])[0], rgb)
        info, target = made_video(self._setting.size, Fraction(RATE)), target_for(Path("out.mp4"), VideoSettings())
        self._each("convert to YUV", lambda pixels: from_rgb(pixels, "yuv420p", info.colour, back), stylised)
        encoder = lone_encoder(target, info, threads=1)
        numbered = [Frame(pixels, number, 1) for number, pixels in enumerate(stylised)]
        self._each("that and encode", encoder.encode, numbered, end=encoder.finish)

    def result(self) -> dict[str, float]:
        return {part: median(spent) for part, spent in self._spent.items()}

    def _each(self, part: str, work: Any, items: list[Any], *, end: Callable[[], Any] = tuple) -> list[Any]:
        started = time.process_time()
        made = [work(item) for item in items]
        end()
        self._note(part, time.process_time() - started, len(items))
        return made

    def _note(self, part: str, seconds: float, frames: int) -> None:
        self._spent.setdefault(part, []).append(seconds / frames * 1000)


def pictures(setting: Setting) -> Iterator[NDArray[np.uint8]]:
    reader = VideoReader(setting.clip, VideoSettings(), max_size=None, max_pixels=MAX_PIXELS, threads=1, quick=True)
    with reader:
        yield from (item.pixels for item in reader.items(()) if isinstance(item, Frame))


def moving(size: tuple[int, int], frames: int) -> Iterator[NDArray[np.uint8]]:
    """A window that slides over one photograph after the other; uint8 [H, W, 3]."""
    (width, height), sources = size, photographs()
    each = -(-frames // len(sources))
    for number in range(frames):
        if number % each == 0:
            photo = Image.fromarray(load_rgb(sources[number // each]))
            large = photo.resize((width + 4 * each, height + 2 * each), Image.Resampling.LANCZOS)
        left, top = number % each * 4, number % each * 2
        yield np.asarray(large)[top : top + height, left : left + width]


def figures(turns: dict[str, list[Turn]]) -> list[Figure]:
    reference = Turn(median(one.clock for one in turns[ENGINE]), median(one.processor for one in turns[ENGINE]))
    found = []
    for road, taken in turns.items():
        clocks, processor = [one.clock for one in taken], median(one.processor for one in taken)
        clock = median(clocks)
        shares = reference.clock / clock, reference.processor / processor
        found.append(
            Figure(road, 1000 / clock, 1000 / max(clocks), 1000 / min(clocks), shares[0], processor, shares[1])
        )
    return found


def report(machine: str, about: str, found: list[Figure], parts: dict[str, float]) -> None:
    print(f"{machine}\n{about}\n")
    print("| | frames/s | slowest to fastest turn | of the engine's | processor ms a frame | share by that |")
    print("|---|---:|---:|---:|---:|---:|")
    for one in found:
        spread = f"{one.low:.2f} to {one.high:.2f}"
        shares = f"{one.share:.0%} | {one.processor:.1f} | {one.processor_share:.0%}"
        print(f"| {one.road} | {one.frames_per_second:.2f} | {spread} | {shares} |")
    print("\nby themselves, processor ms a frame:", ", ".join(f"{part} {spent:.1f}" for part, spent in parts.items()))


def compare(options: argparse.Namespace, folder: Path) -> None:
    """``folder`` is one for throw-away files."""
    style = find_style(options.style) if options.style else untrained(["realtime"], folder)[0]
    clip, size = options.clip, options.size
    if clip is None:
        clip = folder / "clip.mp4"
        write_frames(moving(size, options.frames), clip, size, rate=RATE, force=False)
    with VideoReader(clip, VideoSettings(), max_size=None, max_pixels=MAX_PIXELS, threads=1) as reader:
        size, held = reader.info.size, reader.info.frames
    frames = min(options.frames, held or options.frames)
    if frames < 2 * LEAD_IN:
        raise InputError(f"a clip of {frames} frames is too short; {2 * LEAD_IN} are the least")
    setting = Setting(str(style.path), clip, size, frames, options.threads, options.device)
    racers = {ENGINE: EngineAlone, VIDEO: Video, WEBCAM: Webcam, PARTS: Parts}
    taken = in_turn({name: partial(racer, setting) for name, racer in racers.items()}, options.rounds)
    parts = taken.pop(PARTS).result
    found = figures({name: one.result for name, one in taken.items()})
    machine = describe_machine("fststyle", "onnxruntime-gpu", "onnxruntime", "av", "opencv-python", "numpy")
    about = (
        f"{style.name} ({style.preset}), {size[0]}x{size[1]}, {frames} frames, {options.rounds} rounds, "
        f"threads: {options.threads}, device: {options.device}"
    )
    if options.json:
        print(json.dumps({"machine": machine, "about": about, "roads": [asdict(one) for one in found], "parts": parts}))
    else:
        report(machine, about, found, parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", metavar="NAME|FILE.onnx", help="default: an untrained network, preset realtime")
    parser.add_argument("--clip", type=Path, metavar="FILE", help="default: photographs that move")
    parser.add_argument("--size", type=size_of, default=(1280, 720), metavar="WxH", help="of the clip that is made")
    parser.add_argument("--frames", type=int, default=60, help="of the clip, in each turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            compare(options, Path(folder))
    except FststyleError as error:
        print(f"end_to_end: error: {error}", file=sys.stderr)
        return outcome(error).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
