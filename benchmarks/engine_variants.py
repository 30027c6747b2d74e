"""What makes a network faster or smaller on the processor, and what else might: shorter ends, float16 weights, int8,
norms that do not measure.

    python benchmarks/engine_variants.py [--style NAME|FILE.onnx] [--size 1280x720] [--threads N] [--steps 10]
                                         [--calibrate DIR] [--count 8]

All run in ONNX Runtime, in turn, each in a process of its own:

- ``plain``: the file as fststyle runs it, with fewer passes over all pixels at both ends
  (:mod:`fststyle.serving.cpu_network`);
- ``as exported``: the file as it is, as any program would run it;
- ``float16 weights``: weights are stored as float16 and cast when the file is loaded;
- ``int8``: convolutions quantized statically, each channel's weights by a scale of their own, activations calibrated on
  ``--count`` photos;
- ``kept statistics``: instance norms with the means and variances of a frame before built into the graph, which is what
  carrying them over from frame to frame could save at most.

Beside the time stand the size of the file and how far results are from the plain ones: mean and largest difference in
steps of 1/255.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from in_turn import Racer, in_turn
from onnx import TensorProto, helper, numpy_helper
from rival import WARM_UP, picture, size_of

from fststyle.machine import describe_machine
from fststyle.serving.engine import Engine
from fststyle.serving.fixed_norms import FixedEngine, MeasuringEngine, Runtime
from fststyle.serving.graph import read_graph
from fststyle.serving.network_file import INPUT
from fststyle.serving.providers import cpu_session, default_threads
from fststyle.styles import find_style
from fststyle.training.evaluate import load_photos

Network = Callable[[np.ndarray], np.ndarray]
"""uint8 [N, H, W, 3] to the same."""
CALIBRATED_AT = 256
SMALLEST = 64
"""Elements of a weight below which storing it as float16 is not worth a node."""


def float16_weights(model: Path, output: Path) -> None:
    network = onnx.load(model)
    graph, casts = network.graph, []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALLEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
        casts.append(helper.make_node("Cast", [f"{name}_float16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(network, output)


def int8(model: Path, output: Path, photos: np.ndarray) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Photos(CalibrationDataReader):
        def __init__(self) -> None:
            self._photos: Iterator[np.ndarray] = iter(photos)

        def get_next(self) -> dict[str, np.ndarray] | None:
            photo = next(self._photos, None)
            return None if photo is None else {"image": photo[None]}

    logging.getLogger().setLevel(logging.ERROR)  # advice on preparing the model, which is prepared
    quantize_static(
        str(model),
        str(output),
        Photos(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


class Variant(Racer):
    def __init__(self, make: Callable[[], Network], size: tuple[int, int]) -> None:
        self._network, self._picture = make(), picture(size)[None]

    def step(self) -> None:
        self._made = self._network(self._picture)

    def result(self) -> np.ndarray:
        """uint8 [1, H, W, 3]: what the last step made."""
        return self._made


def exported(model: Path, threads: int) -> Network:
    session = cpu_session(model, threads)
    return lambda pictures: session.run(None, {INPUT: pictures})[0]


def kept_statistics(model: Path, size: tuple[int, int], threads: int) -> Engine:
    runtime = Runtime(model, read_graph(model), "cpu", threads)
    return FixedEngine(runtime, MeasuringEngine(runtime).measure(picture(size)))


def racers(model: Path, folder: Path, photos: np.ndarray, arguments: argparse.Namespace) -> dict[str, Any]:
    """How each engine is made, by name."""
    halved, quantized = (folder / f"{name}.onnx" for name in ("float16", "int8"))
    float16_weights(model, halved)
    int8(model, quantized, photos)
    files = {"plain": model, "float16 weights": halved, "int8": quantized}
    made: dict[str, Any] = {
        name: partial(Engine, file, device="cpu", threads=arguments.threads) for name, file in files.items()
    }
    made["kept statistics"] = partial(kept_statistics, model, arguments.size, arguments.threads)
    made["as exported"] = partial(exported, model, arguments.threads)
    for name, file in files.items():
        print(f"  {name:<16} {file.stat().st_size / 1e3:8.0f} kB")
    return {name: partial(Variant, make, arguments.size) for name, make in made.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry_night_realtime")
    parser.add_argument("--size", type=size_of, default=(1280, 720), metavar="WxH")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--calibrate", type=Path, required=True, help="folder or list of photos")
    parser.add_argument("--count", type=int, default=8)
    arguments = parser.parse_args()
    style = find_style(arguments.style)
    _, photos = load_photos(arguments.calibrate, count=arguments.count, size=CALIBRATED_AT)
    print(f"{describe_machine('onnxruntime-gpu', 'onnxruntime', 'onnx')}; threads: {arguments.threads}")
    print(f"{style.name} ({style.preset}) at {arguments.size[0]}x{arguments.size[1]}")
    with tempfile.TemporaryDirectory() as folder:
        taken = in_turn(racers(style.path, Path(folder), photos, arguments), arguments.steps + WARM_UP)
    reference = taken["plain"].result.astype(int)
    base = float(np.median(taken["plain"].seconds[WARM_UP:]))
    for name, one in taken.items():
        median, apart = float(np.median(one.seconds[WARM_UP:])), np.abs(one.result - reference)
        print(
            f"  {name:<16} {1000 * median:8.1f} ms, ratio {median / base:.2f}; from the plain one {apart.mean():.2f} on"
            f" average, {apart.max()} at most"
        )


if __name__ == "__main__":
    main()
