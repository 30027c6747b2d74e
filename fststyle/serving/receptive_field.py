"""How far the network looks: which pixels of the picture a pixel of the result depends on, read from the graph."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from fststyle.errors import ModelError
from fststyle.serving.graph import Graph, Node
from fststyle.serving.network_file import INPUT, OUTPUT
from fststyle.serving.reach import SELF, Map, follow


@dataclass(frozen=True)
class Neck:
    """The tensor through which all goes before the network enlarges again: what lies further out there than the rest of
    the network looks can be cut off.

    An element of ``tensor`` stands for ``stride`` x ``stride`` pixels. The rest of the network looks ``reach`` elements
    far, and must be given parts that begin at multiples of ``multiple`` elements. What tensors take at most at one
    time is told apart before and after it, in bytes per pixel of float32.
    """

    tensor: str
    stride: int
    reach: int
    multiple: int
    bytes_before: float
    bytes_after: float


@dataclass(frozen=True)
class ReceptiveField:
    """``radius``: a pixel of the result depends on none that is further away than so many rows or columns, where the
    norms' statistics are given. ``multiple``: parts of a picture must begin at multiples of it to be computed as they
    are in the whole. ``bytes_per_pixel``: what the network's tensors take at most at one time, in float32. ``neck`` is
    None for a network that has none.
    """

    radius: int
    multiple: int
    bytes_per_pixel: float
    neck: Neck | None = None


def receptive_field(graph: Graph) -> ReceptiveField:
    """Of the network in ``graph``.

    :raises ModelError: the graph has something in it that cannot be followed; the message names it.
    """
    maps = {INPUT: Map((SELF, SELF), (1, 2), 3)}
    multiple = follow(graph, graph.nodes, maps)
    result = maps.get(OUTPUT)
    if result is None or any(axis.stride != 1 for axis in result.axes):
        raise ModelError("the network cannot be run in tiles: its result has not the picture's size")
    taken = _taken(graph, maps)
    return ReceptiveField(_reach(result), multiple, max(taken), _neck(graph, maps, taken))


def _reach(result: Map) -> int:
    return ceil(max(max(-axis.low, axis.high) for axis in result.axes))


def _taken(graph: Graph, maps: dict[str, Map]) -> list[float]:
    """While each node runs: bytes per pixel of the tensors that are alive, from the node that makes each to the last
    that takes it.
    """
    last = _last_taker(graph)
    alive, taken = {INPUT: maps[INPUT]}, []
    for step, node in enumerate(graph.nodes):
        alive.update({name: maps[name] for name in node.outputs if name in maps})
        taken.append(sum(tensor.bytes_per_pixel for tensor in alive.values()))
        alive = {name: tensor for name, tensor in alive.items() if last.get(name, step) > step}
    return taken


def _last_taker(graph: Graph) -> dict[str, int]:
    return {name: step for step, node in enumerate(graph.nodes) for name in node.inputs}


def _neck(graph: Graph, maps: dict[str, Map], taken: list[float]) -> Neck | None:
    """Before the first node that enlarges, if nothing goes past it."""
    enlarging = (step for step, node in enumerate(graph.nodes) if _enlarges(node) and node.inputs[0] in maps)
    step = next(enlarging, None)
    if step is None:
        return None
    name, last = graph.nodes[step].inputs[0], _last_taker(graph)
    made = {INPUT, *(output for node in graph.nodes[:step] for output in node.outputs)}
    stride = maps[name].axes[0].stride
    if last[name] != step or stride.denominator > 1 or maps[name].axes[1].stride != stride:
        return None
    if {other for other in made if other in maps and last.get(other, 0) >= step} != {name}:
        return None
    rest = {name: Map((SELF, SELF), maps[name].places, maps[name].channels)}
    multiple = follow(graph, graph.nodes[step:], rest)
    reach = _reach(rest[OUTPUT])
    return Neck(name, int(stride), reach, multiple, max(taken[:step]), max(taken[step:]))


def _enlarges(node: Node) -> bool:
    return node.operator in ("ConvTranspose", "DepthToSpace", "Resize")
