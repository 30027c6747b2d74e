"""A style's network with the statistics of its instance norms measured on one picture, and then kept.

With its means and variances given, a norm is a scale and a shift for each channel, which ONNX Runtime takes into the
convolution before it: what is left is a network of a receptive field that ends, and with nothing to compute for norms.
The file on the disk stays as it is: the graph is changed when it is loaded, for which the base install is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fststyle.serving.engine import Engine, run_bound
from fststyle.serving.graph import INT64, Graph, Node, altered, node_message, output_message, tensor_message
from fststyle.serving.network_file import NORM
from fststyle.serving.providers import INPUT, OUTPUT, Device

_MEAN, _VARIANCE = "norm_mean_{}", "norm_variance_{}"
_FLAT = "norm_flat"


class Statistics(NamedTuple):
    """Of one norm: float32 [C] each; the variance is that of a whole population, not of a sample."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


@dataclass(frozen=True)
class Runtime:
    """What the engines here are made with: the file, its graph, and where it runs."""

    model: Path
    graph: Graph
    device: Device = "auto"
    threads: int | None = None


class MeasuringEngine(Engine):
    """The plain network for one picture at a time, which also keeps what each norm measured on the last one."""

    def __init__(self, runtime: Runtime) -> None:
        """Errors are the engine's."""
        self._graph = runtime.graph
        self._norms = [node.outputs[0] for node in runtime.graph.nodes if node.operator == NORM]
        self._names = [name.format(index) for index in range(len(self._norms)) for name in (_MEAN, _VARIANCE)]
        self._additional = frozenset(self._names)
        self._found: list[Statistics] = []
        super().__init__(runtime.model, device=runtime.device, threads=runtime.threads)

    def measure(self, picture: NDArray[np.uint8]) -> list[Statistics]:
        """Of each norm in the graph's order, on one picture: uint8 [H, W, 3]; errors are the engine's."""
        self(picture[None])
        return self._found

    def _network(self, model: Path) -> bytes:
        flat = tensor_message(_FLAT, np.array([-1], "<i8").tobytes(), [1], INT64)
        outputs = [output_message(name) for name in self._names]
        return self._graph.changed(self._measured, tensors=[flat], outputs=outputs)

    def _measured(self, node: Node) -> list[bytes]:
        """A norm spelled out as far as what it measures: ONNX's own does not tell. That the result is computed from
        there makes ONNX Runtime measure at once; left for later, the inputs of all norms would be kept until then.
        """
        if node.operator != NORM:
            return [bytes(node.message)]
        index, (x, scale, bias) = self._norms.index(node.outputs[0]), node.inputs
        mean, variance = _MEAN.format(index), _VARIANCE.format(index)
        pooled, deviation, square, spread = (f"{name}_{index}" for name in ("pooled", "deviation", "square", "spread"))
        return [
            node_message("GlobalAveragePool", [x], [pooled]),
            node_message("Reshape", [pooled, _FLAT], [mean]),
            node_message("Sub", [x, pooled], [deviation]),
            node_message("Mul", [deviation, deviation], [square]),
            node_message("GlobalAveragePool", [square], [spread]),
            node_message("Reshape", [spread, _FLAT], [variance]),
            altered(node, operator="BatchNormalization", inputs=[x, scale, bias, mean, variance]),
        ]

    def _compute(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        outputs = [OUTPUT, *self._names]
        stylized, *found = run_bound(self._session, {INPUT: images}, outputs, self._run_options(images.shape))
        self._found = [Statistics(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
        return stylized


class FixedEngine(Engine):
    """The network with norms that do not measure: any part of a picture is computed as in the whole, but for what lies
    within the receptive field of the part's own borders.

    With ``borders`` false what the network pads its convolutions with is left to these, as zeros: for parts whose
    borders are cut off anyway, in a third less memory and a fifth less time.
    """

    def __init__(self, runtime: Runtime, statistics: Sequence[Statistics], *, borders: bool = True) -> None:
        """Errors are the engine's."""
        self._graph, self._statistics = runtime.graph, statistics
        self._pads = {} if borders else _pads_before_convolutions(runtime.graph)
        self._norms = [node.outputs[0] for node in runtime.graph.nodes if node.operator == NORM]
        super().__init__(runtime.model, device=runtime.device, threads=runtime.threads)

    def _network(self, model: Path) -> bytes:
        tensors = []
        for index, found in enumerate(self._statistics):
            for name, values in zip((_MEAN, _VARIANCE), found, strict=True):
                tensors.append(tensor_message(name.format(index), values.astype("<f4").tobytes(), values.shape))
        return self._graph.changed(self._fixed, tensors=tensors)

    def _fixed(self, node: Node) -> list[bytes]:
        if node.operator == NORM:
            index = self._norms.index(node.outputs[0])
            inputs = [*node.inputs, _MEAN.format(index), _VARIANCE.format(index)]
            return [altered(node, operator="BatchNormalization", inputs=inputs)]
        if node.outputs[0] in self._pads:
            return []
        if node.operator == "Conv" and node.inputs[0] in self._pads:
            source, amounts = self._pads[node.inputs[0]]
            return [altered(node, inputs=[source, *node.inputs[1:]], integers={"pads": amounts})]
        return [bytes(node.message)]

    def _run_options(self, shape: Sequence[int]) -> None:
        """Memory stays with the session: tiles are of a few sizes, and the session goes when they are done."""


def _pads_before_convolutions(graph: Graph) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By the name of its result, each Pad that a convolution alone takes, and that has padding of its own for none:
    what it pads, and rows and columns before, rows and columns after.
    """
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for pad in graph.nodes:
        if pad.operator != "Pad" or pad.inputs[1] not in graph.tensors:
            continue
        amounts = graph.tensors[pad.inputs[1]].integers
        takers = [node for node in graph.nodes if pad.outputs[0] in node.inputs]
        if amounts is None or len(amounts) != 8 or len(takers) != 1 or pad.outputs[0] in graph.outputs:
            continue
        (taker,) = takers
        spatial_only = min(amounts) >= 0 and not any(amounts[:2] + amounts[4:6])
        unpadded = not any(taker.integers("pads") or ()) and taker.text("auto_pad", "NOTSET") == "NOTSET"
        if taker.operator == "Conv" and taker.inputs[0] == pad.outputs[0] and spatial_only and unpadded:
            found[pad.outputs[0]] = (pad.inputs[0], amounts[2:4] + amounts[6:8])
    return found
