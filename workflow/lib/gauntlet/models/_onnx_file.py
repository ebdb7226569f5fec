"""An ONNX file read as data: nodes, constants, what comes in and out. Needs the package onnx."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.models._onnx_attributes import Attributes

OLDEST = 7  # opset: earlier ones have other rules of broadcasting and of training
WIDEST = 1 << 31  # bytes of one tensor: what a protocol buffer can hold


@dataclass(frozen=True)
class Node:
    """One step of a graph: an operator, names of what it takes and gives, its settings."""

    operator: str
    name: str
    inputs: list[str]
    outputs: list[str]
    settings: Attributes


@dataclass(frozen=True)
class Graph:
    """A network as a list of steps, in an order in which they can be done.

    constants: tensors by name. source, target: the names of the images and of the logits.
    batch: how many images it takes at a time, if it takes only that many.
    channels_last: whether it takes [N, H, W, C].
    """

    nodes: list[Node]
    constants: dict[str, Tensor]
    source: str
    target: str
    batch: int | None
    channels_last: bool
    opset: int


def read_graph(artefact: bytes, shape: tuple[int, int, int]) -> Graph:
    """Read an ONNX file's content; GauntletError if it is damaged or no plain classifier."""
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(artefact)
    except DecodeError as error:
        raise GauntletError("it is damaged or no ONNX file.") from error
    graph = model.graph
    if not graph.node:
        raise GauntletError("it is no ONNX file, or one without any layer.")
    constants = {tensor.name: _constant(tensor) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or not graph.output:
        raise GauntletError(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs; allowed is one input, "
            "and the logits as the first output."
        )
    sizes = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
    turned = len(sizes) == 4 and tuple(sizes[1:]) == (*shape[1:], shape[0]) != shape
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)
    if opset < OLDEST:
        raise GauntletError(
            f"it is written in opset {opset}; known are {OLDEST} and later "
            "(onnx.version_converter converts files)."
        )
    return Graph(
        nodes=[_node(node, place) for place, node in enumerate(graph.node)],
        constants=constants,
        source=inputs[0].name,
        target=graph.output[0].name,
        batch=(sizes[0] if sizes else 0) or None,
        channels_last=turned,
        opset=opset,
    )


def _node(node: Any, place: int) -> Node:
    from onnx import AttributeProto, helper

    name = node.name or f"number {place}"
    if node.domain not in ("", "ai.onnx"):
        raise GauntletError(
            f"its layer {name[:80]} is {node.op_type[:80]} of {node.domain[:80]}, an operator that "
            "is not ONNX's own; export the network without it, or set gradients: false."
        )
    graphs = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    plain = [each for each in node.attribute if each.type not in graphs]
    tensors = {each.name: _constant(each.t) for each in plain if each.type == AttributeProto.TENSOR}
    settings = {each.name: "a graph" for each in node.attribute if each.type in graphs}
    settings |= {
        each.name: tensors.get(each.name)
        if each.name in tensors
        else _decoded(helper.get_attribute_value(each))
        for each in plain
    }
    return Node(node.op_type, name, list(node.input), list(node.output), Attributes(settings))


def _decoded(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _constant(tensor: Any) -> Tensor:
    """Read a tensor that lies in the file itself."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raise GauntletError(
            f"its tensor {tensor.name[:80]} lies in another file; allowed is a file that holds all "
            "its weights (torch.onnx.export with external_data=False)."
        )
    if int(np.prod(np.array(tensor.dims, dtype=object))) * 8 > WIDEST:
        raise GauntletError(
            f"its tensor {tensor.name[:80]} says it has {list(tensor.dims)} values."
        )
    try:
        return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
    except (ValueError, TypeError) as error:
        raise GauntletError(f"its tensor {tensor.name[:80]} is damaged ({error}).") from error
