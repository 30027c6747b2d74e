"""A style's network with the statistics of its instance norms measured on one picture, and then kept.

With its means and variances given, a norm is a scale and a shift for each channel, which ONNX Runtime takes into the
convolution before it: what is left is a network of a receptive field that ends, and with nothing to compute for norms.
The file on the disk stays as it is: the graph is changed when it is loaded, for which the base install is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fststyle.serving.engine import Engine, run_bound
from fststyle.serving.graph import (
    INT64,
    Graph,
    Node,
    altered,
    integers_message,
    node_message,
    tensor_message,
    value_message,
)
from fststyle.serving.network_file import INPUT, NORM, OUTPUT
from fststyle.serving.providers import Device
from fststyle.serving.receptive_field import Neck

_MEAN, _VARIANCE = "norm_mean_{}", "norm_variance_{}"
_FLAT = "norm_flat"
_STARTS, _ENDS, _AXES, _TRIMMED = "trim_starts", "trim_ends", "trim_axes", "trimmed"
_TO_THE_END = 2**62


class Statistics(NamedTuple):
    """Of one norm: float32 [C] each; the variance is that of a whole population, not of a sample."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


@dataclass(frozen=True)
class Runtime:
    """What the engines here are made with: the file, its graph, and where it runs. A palette's graph has the mix of
    its styles built in.
    """

    model: Path
    graph: Graph
    device: Device = "auto"
    threads: int | None = None


class MeasuringEngine(Engine):
    """The plain network for one picture at a time, which also keeps what each norm measured on the last one."""

    _takes_weights = False

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
        flat = integers_message(_FLAT, [-1])
        outputs = [value_message(name) for name in self._names]
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


class Trim(NamedTuple):
    """What is cut off at the network's neck, in its elements."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0


class FixedEngine(Engine):
    """The network with norms that do not measure: any part of a picture is computed as in the whole, but for what lies
    within the receptive field of the part's own borders. For one picture at a time, and one thread.

    With ``borders`` false what the network pads its convolutions with is left to these, as zeros: for parts whose
    borders are cut off anyway, in less memory and less time. With a ``neck`` they can be cut off there.
    """

    _additional = frozenset({_STARTS, _ENDS})
    _takes_weights = False

    def __init__(
        self, runtime: Runtime, statistics: Sequence[Statistics], *, borders: bool = True, neck: Neck | None = None
    ) -> None:
        """Errors are the engine's."""
        self._graph, self._statistics, self._neck = runtime.graph, statistics, neck
        self._pads = {} if borders else _pads_before_convolutions(runtime.graph)
        self._norms = [node.outputs[0] for node in runtime.graph.nodes if node.operator == NORM]
        self._trim = Trim()
        super().__init__(runtime.model, device=runtime.device, threads=runtime.threads)

    def trimmed(self, part: NDArray[np.uint8], trim: Trim) -> NDArray[np.uint8]:
        """uint8 [H, W, 3] in; what comes out is smaller by what ``trim`` cuts off, which takes a neck."""
        self._trim = trim
        stylised: NDArray[np.uint8] = self(part[None])[0]
        return stylised

    def _network(self, model: Path) -> bytes:
        tensors = [integers_message(_AXES, [2, 3])] if self._neck else []
        for index, found in enumerate(self._statistics):
            for name, values in zip((_MEAN, _VARIANCE), found, strict=True):
                tensors.append(tensor_message(name.format(index), values.astype("<f4").tobytes(), values.shape))
        inputs = [value_message(name, [2], INT64) for name in (_STARTS, _ENDS)] if self._neck else []
        return self._graph.changed(self._fixed, tensors=tensors, inputs=inputs)

    def _fixed(self, node: Node) -> list[bytes]:
        if node.operator == NORM:
            index = self._norms.index(node.outputs[0])
            inputs = [*node.inputs, _MEAN.format(index), _VARIANCE.format(index)]
            return [altered(node, operator="BatchNormalization", inputs=inputs)]
        if node.outputs[0] in self._pads:
            return []
        first, *others = node.inputs or ("",)
        if node.operator == "Conv" and first in self._pads:
            source, amounts = self._pads[first]
            return [altered(node, inputs=[source, *others], integers={"pads": amounts})]
        if self._neck and first == self._neck.tensor:
            cut = node_message("Slice", [first, _STARTS, _ENDS, _AXES], [_TRIMMED])
            return [cut, altered(node, inputs=[_TRIMMED, *others])]
        return [bytes(node.message)]

    def _compute(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        inputs: dict[str, NDArray[Any]] = {INPUT: images}
        if self._neck:
            top, left, bottom, right = self._trim
            inputs[_STARTS] = np.array([top, left], np.int64)
            # Counted from the end, nothing to cut off is not zero.
            inputs[_ENDS] = np.array([-bottom or _TO_THE_END, -right or _TO_THE_END], np.int64)
        return run_bound(self._session, inputs, [OUTPUT])[0]


def _pads_before_convolutions(graph: Graph) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By the name of its result, each Pad that a convolution alone takes, and that has padding of its own for none:
    what it pads, and rows and columns before, rows and columns after.
    """
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for pad in graph.nodes:
        if pad.operator != "Pad" or pad.inputs[1] not in graph.tensors:
            continue
        amounts = graph.tensors[pad.inputs[1]].integers
        takers = graph.takers(pad.outputs[0])
        if amounts is None or len(amounts) != 8 or len(takers) != 1 or pad.outputs[0] in graph.outputs:
            continue
        (taker,) = takers
        spatial_only = min(amounts) >= 0 and not any(amounts[:2] + amounts[4:6])
        if taker.operator == "Conv" and taker.inputs[0] == pad.outputs[0] and spatial_only and not taker.pads:
            found[pad.outputs[0]] = (pad.inputs[0], amounts[2:4] + amounts[6:8])
    return found
