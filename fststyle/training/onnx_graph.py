"""A transformer network -> an ONNX graph that takes pictures as people have them and gives pictures back."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx_ir
import torch
from onnx import ModelProto
from onnx_ir import serde
from onnx_ir.passes import Sequential
from onnx_ir.passes import common as passes
from onnxscript import optimizer, rewriter
from torch import Tensor, nn

from fststyle.nn.multi_style_net import AnyNet, MultiStyleNet

OPSET = 20
"""ONNX Runtime has it since 1.17."""
INPUT, OUTPUT, STYLES = "image", "stylized", "styles"
PREFIX = "network."
"""Of the trained tensors' names while they are in a :class:`PictureNet`."""
AXES = ("batch", "height", "width")


class PictureNet(nn.Module):
    """uint8 [N, H, W, 3] RGB in, the same out: what is around the network in the file.

    Values are clamped to 0..1 and rounded to the nearest of 255 steps (halves to even, in torch as in ONNX). A network
    of several styles takes their weights too, float32 [styles], the same for all pictures.
    """

    def __init__(self, network: AnyNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, weights: Tensor | None = None) -> Tensor:
        given = () if weights is None else (weights,)
        stylized: Tensor = self.network(images.permute(0, 3, 1, 2).float() / 255, *given)
        return (stylized.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)

    @property
    def styles(self) -> int:
        """0 for a network that takes no weights."""
        return self.network.styles if isinstance(self.network, MultiStyleNet) else 0


def on_cpu(network: AnyNet) -> PictureNet:
    """A copy in float32 and plain memory layout, for export and comparison; ``network`` is not touched."""
    single = network.architecture.network()
    plain = MultiStyleNet(single, network.styles) if isinstance(network, MultiStyleNet) else single
    plain.load_state_dict(network.state_dict())
    return PictureNet(plain).eval()


def to_onnx(pictures: PictureNet) -> ModelProto:
    """The graph with symbolic ``batch``, ``height`` and ``width``; its initialisers bear the network's tensors' names.

    Padding to the network's multiple and cropping back depend on the input's size inside the graph. Nothing in it tells
    of the machine or the source files that made it.
    """
    automatic = torch.export.Dim.AUTO  # the remainder in the padding keeps named dimensions from being accepted
    weights = (torch.eye(pictures.styles)[0],) if pictures.styles else ()
    program = torch.onnx.export(
        pictures,
        (torch.zeros(2, 33, 50, 3, dtype=torch.uint8), *weights),
        dynamo=True,
        dynamic_shapes=({0: automatic, 1: automatic, 2: automatic}, None)[: 1 + len(weights)],
        input_names=[INPUT, STYLES][: 1 + len(weights)],
        output_names=[OUTPUT],
        opset_version=OPSET,
        optimize=False,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    # torch's own optimize=True merges initialisers of equal content, under the name of one of them.
    passes.InlinePass()(program.model)
    optimizer.fold_constants(program.model, should_fold=_may_fold)
    rewriter.rewrite(program.model)
    Sequential(
        passes.RemoveUnusedNodesPass(),
        passes.RemoveUnusedOpsetsPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.CommonSubexpressionEliminationPass(),
        passes.OutputFixPass(),
        passes.NameFixPass(),
    )(program.model)
    model = serde.serialize_model(program.model)
    _clean(model)
    _name_axes(model)
    _strip_prefix(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _may_fold(node: onnx_ir.Node) -> bool | None:
    """Not a node that takes a trained tensor: the file keeps those as they are; ONNX Runtime folds at loading."""
    trained = any(value is not None and (value.name or "").startswith(PREFIX) for value in node.inputs)
    return False if trained else None


def _clean(model: ModelProto) -> None:
    """Take away what the exporter notes for debugging: stack traces with paths, shapes in terms of its own symbols."""
    graph = model.graph
    things: Iterable[object] = (model, graph, *graph.input, *graph.output, *graph.node, *graph.initializer)
    for thing in things:
        for field in ("metadata_props", "doc_string"):
            thing.ClearField(field)  # type: ignore[attr-defined]
    graph.ClearField("value_info")
    graph.name = "fststyle"


def _name_axes(model: ModelProto) -> None:
    for value in (model.graph.input[0], *model.graph.output):
        for axis, name in enumerate(AXES):
            value.type.tensor_type.shape.dim[axis].dim_param = name


def _strip_prefix(model: ModelProto) -> None:
    for initializer in model.graph.initializer:
        initializer.name = initializer.name.removeprefix(PREFIX)
    for node in model.graph.node:
        node.input[:] = [name.removeprefix(PREFIX) for name in node.input]
