"""What else might make a network faster or smaller on the processor: float16 weights, int8, norms that do not measure,
pixels scaled inside convolutions.

    python benchmarks/engine_variants.py [--style NAME|FILE.onnx] [--size 1280x720] [--threads N] [--steps 10]
                                         [--calibrate DIR] [--count 8]

All run in ONNX Runtime, in turn, each in a process of its own:

- ``plain``: the file as it is;
- ``float16 weights``: weights are stored as float16 and cast when the file is loaded;
- ``int8``: convolutions quantized statically, each channel's weights by a scale of their own, activations calibrated on
  ``--count`` photos;
- ``kept statistics``: instance norms with the means and variances of a frame before built into the graph, which is what
  carrying them over from frame to frame could save at most;
- ``fused pixels``: the passes over all pixels that bring 0..255 to normalised values and back become factors of the
  first and last convolutions' weights. For networks that pad before they normalise: ``realtime`` and ``balanced``.

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
from fststyle.serving.providers import default_threads
from fststyle.styles import find_style
from fststyle.training.evaluate import load_photos

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


def fused_pixels(model: Path, output: Path) -> None:
    """Convolutions are linear: what scales and shifts their input, or scales their output, can act on their weights."""
    network = onnx.load(model)
    graph = network.graph
    makers = {node.output[0]: node for node in graph.node}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    added: list[onnx.NodeProto] = []
    gone: list[str] = []

    def constant(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def replace(old: str, new: str) -> None:
        for user in users[old]:
            user.input[:] = [new if name == old else name for name in user.input]

    # uint8 -> / 255 -> pad -> - mean -> * factor -> convolutions
    (divide,) = (node for node in graph.node if node.op_type == "Div")
    (pad,) = users[divide.output[0]]
    (subtract,) = users[pad.output[0]]
    (multiply,) = users[subtract.output[0]]
    mean, factor = (values[node.input[1]].reshape(1, -1, 1, 1) for node in (subtract, multiply))
    scale = constant("fused_scale", (factor / 255).astype(np.float32))
    offset = constant("fused_offset", (-mean * factor).astype(np.float32))
    axes = constant("fused_axes", np.array([1, 2, 3]))
    for node in users[multiply.output[0]]:
        weight, scaled, shifted, bias = node.input[1], *(f"{node.output[0]}_{part}" for part in ("w", "s", "b"))
        added.append(helper.make_node("Mul", [weight, scale], [scaled]))
        added.append(helper.make_node("Mul", [weight, offset], [shifted]))
        added.append(helper.make_node("ReduceSum", [shifted, axes], [bias], keepdims=0))
        if len(node.input) > 2:
            added.append(helper.make_node("Add", [bias, node.input[2]], [f"{bias}_all"]))
            bias = f"{bias}_all"
        node.input[:] = [pad.output[0], scaled, bias]
    replace(divide.output[0], divide.input[0])
    gone += [divide.output[0], subtract.output[0], multiply.output[0]]

    # convolutions -> sum -> ... -> clip to 0..1 -> * 255
    (clip,) = (node for node in graph.node if node.op_type == "Clip")
    (times,) = users[clip.output[0]]
    white = constant("fused_white", np.array(255, np.float32))
    before = makers[clip.input[0]]
    while before.op_type != "Add":
        before = makers[before.input[0]]
    for name in before.input:
        node = makers[name]
        for place, value in enumerate(node.input[1:], 1):
            added.append(helper.make_node("Mul", [value, white], [f"{name}_white_{place}"]))
            node.input[place] = f"{name}_white_{place}"
    clip.input[2] = white
    replace(times.output[0], clip.output[0])
    gone.append(times.output[0])

    nodes = [node for node in graph.node if node.output[0] not in gone]
    del graph.node[:]
    graph.node.extend(in_order([*added, *nodes], {entry.name for entry in (*graph.initializer, *graph.input)}))
    onnx.checker.check_model(network)
    onnx.save(network, output)


def in_order(nodes: list[onnx.NodeProto], known: set[str]) -> Iterator[onnx.NodeProto]:
    """Each after those whose outputs it takes."""
    while nodes:
        ready = [node for node in nodes if all(name in known or not name for name in node.input)]
        known.update(name for node in ready for name in node.output)
        nodes = [node for node in nodes if node not in ready]
        yield from ready


class Variant(Racer):
    def __init__(self, make: Callable[[], Engine], size: tuple[int, int]) -> None:
        self._engine, self._picture = make(), picture(size)[None]

    def step(self) -> None:
        self._made = self._engine(self._picture)

    def result(self) -> np.ndarray:
        """uint8 [1, H, W, 3]: what the last step made."""
        return self._made


def kept_statistics(model: Path, size: tuple[int, int], threads: int) -> Engine:
    runtime = Runtime(model, read_graph(model), "cpu", threads)
    return FixedEngine(runtime, MeasuringEngine(runtime).measure(picture(size)))


def racers(model: Path, folder: Path, photos: np.ndarray, arguments: argparse.Namespace) -> dict[str, Any]:
    """How each engine is made, by name."""
    halved, quantized, fused = (folder / f"{name}.onnx" for name in ("float16", "int8", "fused"))
    float16_weights(model, halved)
    int8(model, quantized, photos)
    fused_pixels(model, fused)
    files = {"plain": model, "float16 weights": halved, "int8": quantized, "fused pixels": fused}
    made: dict[str, Any] = {
        name: partial(Engine, file, device="cpu", threads=arguments.threads) for name, file in files.items()
    }
    made["kept statistics"] = partial(kept_statistics, model, arguments.size, arguments.threads)
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
