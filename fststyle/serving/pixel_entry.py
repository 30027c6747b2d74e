"""The way from the picture to a network's first convolutions, with fewer passes over all pixels.

It is scaled, padded and normalised. Convolutions are linear, so that scale and shift can be in their weights; and what
is padded by its own mirror image can be padded as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fststyle.serving.graph import FLOAT, Graph, Node, altered, integers_message, node_message, tensor_message
from fststyle.serving.network_file import INPUT

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_COPYING_PADS = ("reflect", "edge")
"""Modes of Pad that put no value of their own around a picture."""
_BEHIND = {
    "Add": lambda scale, shift, value: (scale, shift + value),
    "Sub": lambda scale, shift, value: (scale, shift - value),
    "Mul": lambda scale, shift, value: (scale * value, shift * value),
    "Div": lambda scale, shift, value: (scale / value, shift / value),
}
"""What becomes of ``scale * x + shift`` behind each operator with a constant."""
_PIXELS = "pixels"
_SCALE, _SHIFT = "pixel_scale", "pixel_shift"
_KERNEL_AXES, _FLAT = "kernel_axes", "bias_flat"


@dataclass
class _Entry:
    """``nodes`` from the picture, channels first, to the ``convolutions``, which get ``scale * pixel + shift``."""

    nodes: list[Node] = field(default_factory=list)
    convolutions: list[Node] = field(default_factory=list)
    scale: NDArray[np.float64] = field(default_factory=lambda: np.ones(3))
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))


def with_short_entry(graph: Graph) -> bytes | None:
    """The network with its scaling in its first weights; None if it does not begin as is known here."""
    first = [node for node in graph.takers(INPUT) if node.operator != "Shape"]
    if [(node.operator, node.integers("perm")) for node in first] != [("Transpose", _TO_CHANNELS_FIRST)]:
        return None
    (picture,) = first[0].outputs
    entry = _entry(graph, picture)
    if entry is None:
        return None
    replaced = _padded_bytes(entry, picture)
    replaced |= {node.outputs[0]: _scaled(node) for node in entry.convolutions}
    columns = {_SCALE: entry.scale, _SHIFT: entry.shift}
    tensors = [tensor_message(name, values.astype("<f4").tobytes(), [1, 3, 1, 1]) for name, values in columns.items()]
    tensors += [integers_message(_KERNEL_AXES, [1, 2, 3]), integers_message(_FLAT, [-1])]
    return graph.replaced(replaced, tensors=tensors)


def _entry(graph: Graph, name: str) -> _Entry | None:
    entry = _Entry()
    while not all(_takes_as_it_is(node, name) for node in graph.takers(name)):
        node, *others = graph.takers(name)
        if others or not _followed(graph, node, name, entry):
            return None
        entry.nodes.append(node)
        name = node.outputs[0]
    entry.convolutions = graph.takers(name)
    casts = [node for node in entry.nodes if node.operator == "Cast"]
    return entry if entry.convolutions and len(casts) == 1 else None


def _takes_as_it_is(node: Node, name: str) -> bool:
    """Zeros around a picture of normalised pixels are no zeros around the pixels."""
    alone = node.inputs[0] == name and node.inputs.count(name) == 1
    return node.operator == "Conv" and alone and node.integer("group", 1) == 1 and not node.pads


def _followed(graph: Graph, node: Node, name: str, entry: _Entry) -> bool:
    """Whether ``entry`` goes on through ``node``, whose scale and shift it then has."""
    if node.operator == "Cast":
        return node.integer("to", 0) == FLOAT
    if node.operator == "Pad":
        return node.text("mode", "constant") in _COPYING_PADS
    value = _of_channels(graph, node.inputs[1]) if node.operator in _BEHIND and node.inputs[0] == name else None
    if value is None:
        return False
    entry.scale, entry.shift = _BEHIND[node.operator](entry.scale, entry.shift, value)
    return True


def _of_channels(graph: Graph, name: str) -> NDArray[np.float64] | None:
    """A constant that is one number, or one for each of three channels that are first."""
    tensor = graph.tensors.get(name)
    if tensor is None or (set(tensor.dims) - {1} and tensor.dims[-3:] != (3, 1, 1)):
        return None
    return np.array(tensor.floats) if len(tensor.floats) in (1, 3) else None


def _padded_bytes(entry: _Entry, source: str) -> dict[str, list[bytes]]:
    """By the name of its result, what each node of the entry becomes: pads stay, and the cast comes last."""
    replaced: dict[str, list[bytes]] = {node.outputs[0]: [] for node in entry.nodes}
    for node in entry.nodes:
        if node.operator == "Pad":
            replaced[node.outputs[0]] = [altered(node, inputs=[source, *node.inputs[1:]])]
            source = node.outputs[0]
    replaced[entry.nodes[-1].outputs[0]].append(node_message("Cast", [source], [_PIXELS], {"to": FLOAT}))
    return replaced


def _scaled(convolution: Node) -> list[bytes]:
    """With the entry's scale and shift in its weights, which ONNX Runtime computes once, when it loads them."""
    _, weight, *biases = convolution.inputs
    scaled, shifted, summed, bias, total = (
        f"{convolution.outputs[0]}_{what}" for what in ("scaled", "shifted", "summed", "bias", "total")
    )
    messages = [
        node_message("Mul", [weight, _SCALE], [scaled]),
        node_message("Mul", [weight, _SHIFT], [shifted]),
        node_message("ReduceSum", [shifted, _KERNEL_AXES], [summed]),
        node_message("Reshape", [summed, _FLAT], [bias]),
    ]
    if biases:
        messages.append(node_message("Add", [bias, *biases], [total]))
    return [*messages, altered(convolution, inputs=[_PIXELS, scaled, total if biases else bias])]
