"""What a network has to compute and to move for a picture, and how fast a GPU could be at that."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from fststyle.serving.graph import Graph, Node
from fststyle.serving.network_file import INPUT, OUTPUT
from fststyle.serving.reach import SELF, Map, follow, sides

HALF = 2
"""Bytes of a number."""


class Work(NamedTuple):
    """Of one kernel: for each pixel of the picture, and ``weights`` for all of them together, in bytes."""

    operations: float
    bytes: float
    weights: int = 0


class Peak(NamedTuple):
    """The most that a GPU does in a second: operations in float16 with sums in float32, and bytes of its memory."""

    operations: float
    bytes: float


# Tensor cores without sparsity, and memory bandwidth, as the makers' data sheets and architecture papers print them
# (nvidia.com: H200, H100, A100, L4, L40S, A10, T4 and V100 tensor core GPUs; "NVIDIA Ada GPU architecture" and "NVIDIA
# Ampere GA102 GPU architecture", appendices, for the GeForce cards). Where a sheet only tells the sparse figure, half.
PEAKS = {
    "NVIDIA H200": Peak(989e12, 4.8e12),
    "NVIDIA H100 80GB HBM3": Peak(989e12, 3.35e12),
    "NVIDIA H100 NVL": Peak(835e12, 3.9e12),
    "NVIDIA H100 PCIe": Peak(756e12, 2.0e12),
    "NVIDIA A100-SXM4-80GB": Peak(312e12, 2.039e12),
    "NVIDIA A100 80GB PCIe": Peak(312e12, 1.935e12),
    "NVIDIA A100-SXM4-40GB": Peak(312e12, 1.555e12),
    "NVIDIA A100-PCIE-40GB": Peak(312e12, 1.555e12),
    "NVIDIA L40S": Peak(362e12, 864e9),
    "NVIDIA L4": Peak(121e12, 300e9),
    "NVIDIA A10": Peak(125e12, 600e9),
    "Tesla T4": Peak(65e12, 320e9),
    "Tesla V100-SXM2-16GB": Peak(125e12, 900e9),
    "Tesla V100-SXM2-32GB": Peak(125e12, 900e9),
    "NVIDIA GeForce RTX 4090": Peak(165.2e12, 1008e9),
    "NVIDIA GeForce RTX 3090": Peak(71e12, 936e9),
}


def count(graph: Graph) -> list[Work]:
    """What each kernel of the network in ``graph`` does at least, with two bytes for each number in between.

    A kernel is a convolution, or a sum of two maps, with whatever lies between it and those before it taken in:
    padding, enlarging, norms, activations. It reads once what kernels before it wrote, and writes its own result once,
    the last one as bytes. Operations are those of convolutions, an addition beside each multiplication. What is
    computed beyond the picture's edges is left out: a hundredth of a large picture at most.

    :raises ModelError: the graph has something in it that cannot be followed; the message names it.
    """
    maps = {INPUT: Map((SELF, SELF), (1, 2), 3)}
    follow(graph, graph.nodes, maps)
    origins = {INPUT: {INPUT}}
    """Of each tensor, the results of kernels that it is made of."""
    kernels: list[tuple[Node, set[str]]] = []
    for node in graph.nodes:
        sources = [name for name in node.inputs if name in maps]
        if not sources or node.outputs[0] not in maps:
            continue
        read = set().union(*(origins[name] for name in sources))
        if node.operator == "Conv" or (node.operator == "Add" and len(sources) > 1):
            kernels.append((node, read))
            read = {node.outputs[0]}
        origins.update(dict.fromkeys(node.outputs, read))

    def moved(name: str) -> float:
        return _numbers(maps[name]) * (1 if name in {INPUT} | origins[OUTPUT] else HALF)

    return [_work(graph, node, maps, sum(map(moved, {*read, node.outputs[0]}))) for node, read in kernels]


def least_seconds(kernels: Sequence[Work], pixels: int, peak: Peak) -> float:
    """For a picture of so many pixels: each kernel takes as long as the slower of its computing and its moving."""
    return sum(
        max(kernel.operations * pixels / peak.operations, (kernel.bytes * pixels + kernel.weights) / peak.bytes)
        for kernel in kernels
    )


def total(kernels: Sequence[Work], pixels: int) -> tuple[float, float]:
    """Operations and bytes of a picture of so many pixels."""
    moved = sum(kernel.bytes * pixels + kernel.weights for kernel in kernels)
    return sum(kernel.operations for kernel in kernels) * pixels, moved


def _work(graph: Graph, node: Node, maps: dict[str, Map], moved: float) -> Work:
    if node.operator != "Conv":
        return Work(0, moved)
    shape = sides(graph, node.inputs[1])
    return Work(2 * _numbers(maps[node.outputs[0]]) * prod(shape[1:]), moved, HALF * prod(shape))


def _numbers(tensor: Map) -> float:
    """Elements for each pixel of the picture."""
    return float(tensor.channels / (tensor.axes[0].stride * tensor.axes[1].stride))
