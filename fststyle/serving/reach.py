"""Which pixels the elements of each tensor are computed from, operator by operator, along height and width."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, lcm
from typing import NamedTuple

from fststyle.errors import ModelError
from fststyle.serving.graph import Graph, Node
from fststyle.serving.network_file import NORM

# Operators that compute each pixel from that pixel of their inputs alone, along height and width.
# fmt: off
_POINTWISE = {
    NORM,
    "Abs", "Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Div", "Elu", "Erf", "Exp", "Floor",
    "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu",
    "Pow", "QuantizeLinear", "Relu", "Round", "Selu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh",
    "ThresholdedRelu",
}
# fmt: on
# What gives shapes, not pixels.
_SHAPELESS = {"Shape", "Size"}
_HEIGHT_WIDTH = (2, 3)


class Axis(NamedTuple):
    """Along one axis element i of a tensor depends on pixels from ``stride * i + low`` to ``stride * i + high``."""

    stride: Fraction
    low: Fraction
    high: Fraction

    def windowed(self, low: Fraction | int, high: Fraction | int, stride: Fraction | int = 1) -> Axis:
        """Of what is computed from elements ``stride * i + low`` to ``stride * i + high`` of this one."""
        return Axis(self.stride * stride, self.low + self.stride * low, self.high + self.stride * high)


SELF = Axis(Fraction(1), Fraction(0), Fraction(0))


class Map(NamedTuple):
    """A tensor of pixels: where its height and width are among its axes, and its channels where known."""

    axes: tuple[Axis, Axis]
    places: tuple[int, int]
    channels: int

    @property
    def bytes_per_pixel(self) -> float:
        return float(4 * self.channels / (self.axes[0].stride * self.axes[1].stride))


def follow(graph: Graph, nodes: list[Node], maps: dict[str, Map]) -> int:
    """Adds to ``maps`` what ``nodes`` make of those in it; the least common multiple of their strides.

    :raises ModelError: the graph has something in it that cannot be followed; the message names it.
    """
    strides = [1]
    for node in nodes:
        sources = [maps[name] for name in node.inputs if name in maps]
        if not sources or node.operator in _SHAPELESS:
            continue
        found = _through(graph, node, sources)
        maps.update(dict.fromkeys(node.outputs, found))
        strides += [axis.stride.numerator for axis in found.axes]
    return lcm(*strides)


def _through(graph: Graph, node: Node, sources: list[Map]) -> Map:
    source = sources[0]
    if node.operator in _POINTWISE or node.operator == "Concat":
        return _joined(node, sources)
    if node.operator == "Transpose":
        order = node.integers("perm") or ()
        height, width = (order.index(place) for place in source.places)
        return source._replace(places=(height, width))
    if node.operator in _FOLLOWED and source.places == _HEIGHT_WIDTH:
        return _FOLLOWED[node.operator](graph, node, source)
    raise _unknown(node)


def _joined(node: Node, sources: list[Map]) -> Map:
    first, *others = sources
    if any(other.places != first.places for other in others):
        raise _unknown(node)
    axes = []
    for axis in (0, 1):
        together = [source.axes[axis] for source in sources]
        if len({each.stride for each in together}) > 1:
            raise _unknown(node)
        low, high = min(each.low for each in together), max(each.high for each in together)
        axes.append(Axis(together[0].stride, low, high))
    channels = [source.channels for source in sources]
    if node.operator == "Concat" and node.integer("axis", 1) != 1:
        raise _unknown(node)
    return Map((axes[0], axes[1]), first.places, sum(channels) if node.operator == "Concat" else max(channels))


def _kernel(node: Node, graph: Graph) -> list[tuple[int, int, int]]:
    """Reach of the kernel in elements, stride and padding before, for height and width."""
    if node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise _unknown(node)
    weight = graph.tensors.get(node.inputs[1]) if len(node.inputs) > 1 else None
    shape = node.integers("kernel_shape") or (weight.dims[2:] if weight else None)
    if shape is None or len(shape) != 2:
        raise _unknown(node)
    strides, dilations = node.integers("strides") or (1, 1), node.integers("dilations") or (1, 1)
    pads = node.integers("pads") or (0, 0, 0, 0)
    return [((shape[axis] - 1) * dilations[axis], strides[axis], pads[axis]) for axis in (0, 1)]


def _convolution(graph: Graph, node: Node, source: Map) -> Map:
    height, width = (
        axis.windowed(-pad, reach - pad, stride)
        for axis, (reach, stride, pad) in zip(source.axes, _kernel(node, graph), strict=True)
    )
    channels = sides(graph, node.inputs[1])[0] if node.operator == "Conv" else source.channels
    return Map((height, width), source.places, channels)


def _transposed_convolution(graph: Graph, node: Node, source: Map) -> Map:
    if node.integers("output_shape"):
        raise _unknown(node)
    height, width = (
        axis.windowed(Fraction(pad - reach, stride), Fraction(pad, stride), Fraction(1, stride))
        for axis, (reach, stride, pad) in zip(source.axes, _kernel(node, graph), strict=True)
    )
    return Map((height, width), source.places, sides(graph, node.inputs[1])[1] * node.integer("group", 1))


def _pad(graph: Graph, node: Node, source: Map) -> Map:
    amounts = _values(graph, node.inputs[1])
    if amounts is None or len(amounts) != 8 or (len(node.inputs) > 3 and node.inputs[3]):
        raise _unknown(node)
    if amounts[:2] != (0, 0) or node.text("mode", "constant") == "wrap":
        raise _unknown(node)
    return _shifted(node, source, amounts[2:4])


def _slice(graph: Graph, node: Node, source: Map) -> Map:
    starts = _values(graph, node.inputs[1])
    axes = _values(graph, node.inputs[3]) if len(node.inputs) > 3 else None
    steps = _values(graph, node.inputs[4]) if len(node.inputs) > 4 else (1,)
    if starts is None or axes is None or steps is None or set(steps) != {1}:
        raise _unknown(node)
    moved = {None if axis is None else axis % 4: start for axis, start in zip(axes, starts, strict=True)}
    if any(start is None or start < 0 for axis, start in moved.items() if axis in _HEIGHT_WIDTH):
        raise _unknown(node)
    return _shifted(node, source, [None if (by := moved.get(axis, 0)) is None else -by for axis in _HEIGHT_WIDTH])


def _shifted(node: Node, source: Map, amounts: tuple[int | None, ...] | list[int | None]) -> Map:
    """Rows and columns put before the first ones; what comes after the last ones moves nothing."""
    before = [amount for amount in amounts if amount is not None]
    if len(before) != 2:
        raise _unknown(node)
    height, width = (axis.windowed(-by, -by) for axis, by in zip(source.axes, before, strict=True))
    return source._replace(axes=(height, width))


def _resize(graph: Graph, node: Node, source: Map) -> Map:
    scales = graph.tensors.get(node.inputs[2]) if len(node.inputs) > 2 else None
    values = scales.floats if scales else ()
    known = node.text("coordinate_transformation_mode", "half_pixel") in ("half_pixel", "asymmetric")
    if len(values) != 4 or not known or node.text("mode", "nearest") not in ("nearest", "linear"):
        raise _unknown(node)
    height, width = (_scaled(node, axis, scale) for axis, scale in zip(source.axes, values[2:], strict=True))
    return source._replace(axes=(height, width))


def _scaled(node: Node, axis: Axis, value: float) -> Axis:
    """Each phase of the enlargement takes a pair of neighbours of its own, of which nearest uses one."""
    scale = Fraction(value).limit_denominator(64)
    if scale < 1:
        raise _unknown(node)  # ONNX's reduction skips elements, or averages them: another window
    half = Fraction(1, 2) if node.text("coordinate_transformation_mode", "half_pixel") == "half_pixel" else Fraction(0)
    taps = []
    for phase in range(scale.numerator):
        place = (phase + half) / scale - half
        taps += [floor(place) - phase / scale, ceil(place) - phase / scale]
    return axis.windowed(min(taps), max(taps), 1 / scale)


def _depth_to_space(graph: Graph, node: Node, source: Map) -> Map:
    side = node.integer("blocksize", 1)
    height, width = (axis.windowed(Fraction(1 - side, side), 0, Fraction(1, side)) for axis in source.axes)
    return Map((height, width), source.places, source.channels // side**2)


def _space_to_depth(graph: Graph, node: Node, source: Map) -> Map:
    side = node.integer("blocksize", 1)
    height, width = (axis.windowed(0, side - 1, side) for axis in source.axes)
    return Map((height, width), source.places, source.channels * side**2)


_FOLLOWED = {
    "AveragePool": _convolution,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "MaxPool": _convolution,
    "Pad": _pad,
    "Resize": _resize,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
}


def sides(graph: Graph, name: str) -> tuple[int, ...]:
    """The shape of a weight, which may be computed from others by a last Reshape to sides that are known."""
    if name in graph.tensors:
        return graph.tensors[name].dims
    maker = graph.maker(name)
    sides = _values(graph, maker.inputs[1]) if maker and maker.operator == "Reshape" else None
    if sides is None or any(side is None or side < 1 for side in sides):
        raise ModelError(f"the network cannot be run in tiles: the shape of its tensor {name} is not told")
    return tuple(side for side in sides if side is not None)


def _values(graph: Graph, name: str) -> tuple[int | None, ...] | None:
    """Integers in a tensor, with None for each that depends on the picture's size; None if nothing is known of it."""
    if name in graph.tensors:
        return graph.tensors[name].integers
    maker = graph.maker(name)
    if maker is None or maker.operator != "Concat":
        return None
    values: list[int | None] = []
    for part in maker.inputs:
        values += _values(graph, part) or (None,)
    return tuple(values)


def _unknown(node: Node) -> ModelError:
    return ModelError(f"the network cannot be run in tiles: its operator {node.operator} cannot be followed")
