"""How much a style flickers, as it comes and with ``--stabilize``: a still scene with a sensor's noise, and a slow pan.

    python benchmarks/flicker.py [--style starry_night] [--frames 24] [--size 320] [--noise 3] [--speed 1]

The figure is fststyle.serving.stabilize.flicker: the mean change of the output from frame to frame beyond the change of
the input, in levels of 0..255: ``before``, with ``norms`` that remember, and ``after`` the output is smoothed as well.
``lag`` is how far that takes a frame from what the network alone made of it, on average: on the pan it should stay
below what flickered. The scene is a photograph of scikit-image's; noise is normal, in levels, drawn anew for each
frame; the pan moves by whole pixels; something bright comes in from the left and covers a third; light falls by a third
and comes back.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sample_pictures import photographs

from fststyle import Stylizer
from fststyle.errors import FststyleError, outcome
from fststyle.images import load_rgb
from fststyle.machine import describe_machine
from fststyle.serving.stabilize import Stabilizer, flicker
from fststyle.styles import DEFAULT_STYLE

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Figures:
    """``before``, ``norms``, ``after`` and ``lag`` in levels of 0..255, times in milliseconds a frame."""

    before: float
    norms: float
    after: float
    lag: float
    network: float
    steady: float
    smoothing: float


def noisy(picture: Pixels, sigma: float, random: np.random.Generator) -> Pixels:
    noise = random.normal(0, sigma, picture.shape)
    return (picture + noise).clip(0, 255).round().astype(np.uint8)


def still(scene: Pixels, size: int, frames: int, sigma: float) -> Iterator[Pixels]:
    random = np.random.default_rng(0)
    window = scene[: size * 3 // 4, :size]
    return (noisy(window, sigma, random) for _ in range(frames))


def pan(scene: Pixels, size: int, frames: int, speed: int, sigma: float) -> Iterator[Pixels]:
    random = np.random.default_rng(1)
    windows = (scene[: size * 3 // 4, number * speed : number * speed + size] for number in range(frames))
    return (noisy(window, sigma, random) for window in windows)


def dimmed(scene: Pixels, size: int, frames: int, share: float, sigma: float) -> Iterator[Pixels]:
    """The still scene while something dark passes the lamp: down to 1 - ``share`` of the light half-way, and back."""
    random = np.random.default_rng(2)
    window = scene[: size * 3 // 4, :size].astype(np.float32)
    lights = 1 - share * np.sin(np.linspace(0, np.pi, frames))
    return (noisy(window * light, sigma, random) for light in lights)


def entered(scene: Pixels, size: int, frames: int, sigma: float) -> Iterator[Pixels]:
    """The still scene while something bright comes in from the left."""
    random = np.random.default_rng(3)
    for number in range(frames):
        window = scene[: size * 3 // 4, :size].copy()
        window[:, : round(size / 3 * number / (frames - 1))] = (250, 240, 200)
        yield noisy(window, sigma, random)


def measure(photos: list[Pixels], stylizer: Stylizer) -> Figures:
    started = time.perf_counter()
    plain = [stylizer(photo) for photo in photos]
    styled = time.perf_counter()
    remembering = stylizer.steady()
    began = time.perf_counter()
    steady = [remembering(photo) for photo in photos]
    steadied = time.perf_counter()
    stabilizer = Stabilizer()
    smooth = [stabilizer(photo, picture) for photo, picture in zip(photos, steady, strict=True)]
    ended = time.perf_counter()
    lag = [float(np.abs(a.astype(int) - b).mean()) for a, b in zip(plain, smooth, strict=True)]
    return Figures(
        before=flicker(photos, plain),
        norms=flicker(photos, steady),
        after=flicker(photos, smooth),
        lag=sum(lag) / len(lag),
        network=(styled - started) / len(photos) * 1000,
        steady=(steadied - began) / len(photos) * 1000,
        smoothing=(ended - steadied) / len(photos) * 1000,
    )


def run(style: str, frames: int, size: int, noise: float, speed: int) -> None:
    stylizer = Stylizer(style)
    photo = Image.fromarray(load_rgb(photographs()[0]))
    side = size + frames * speed
    scene = np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS))
    print(
        f"{describe_machine('fststyle', 'onnxruntime', 'onnxruntime-gpu', 'numpy')}, {stylizer.engine.threads} threads"
    )
    print(f"{stylizer.style.name} on {stylizer.engine.provider}, {frames} frames of {size} x {size * 3 // 4}\n")
    columns = ("scene", "before", "norms", "after", "after/before", "lag", "network ms", "steady ms", "smoothing ms")
    print(f"| {' | '.join(columns)} |\n|---{'|---:' * (len(columns) - 1)}|")
    scenes = {
        f"still, noise {noise:g}": still(scene, size, frames, noise),
        f"pan of {speed} px a frame": pan(scene, size, frames, speed, 0),
        f"the pan, noise {noise:g}": pan(scene, size, frames, speed, noise),
        f"something bright comes in, noise {noise:g}": entered(scene, size, frames, noise),
        f"a third less light and back, noise {noise:g}": dimmed(scene, size, frames, 1 / 3, noise),
    }
    for name, photos in scenes.items():
        got = measure(list(photos), stylizer)
        ratio = got.after / got.before if got.before else 1.0
        figures = f"{got.before:.2f} | {got.norms:.2f} | {got.after:.2f} | {ratio:.2f} | {got.lag:.2f}"
        print(f"| {name} | {figures} | {got.network:.0f} | {got.steady:.0f} | {got.smoothing:.0f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--noise", type=float, default=3.0)
    parser.add_argument("--speed", type=int, default=1)
    options = parser.parse_args()
    try:
        run(options.style, options.frames, options.size, options.noise, options.speed)
    except FststyleError as error:
        print(f"flicker: error: {error}", file=sys.stderr)
        return outcome(error).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
