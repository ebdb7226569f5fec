"""ONNX files written by hand."""

import torch
from torch import Tensor

LAST = ("Flatten", ["h"], ["y"])  # a last node
WEIGHT = ("w", torch.arange(54.0).reshape(2, 3, 3, 3) / 54)  # of a convolution


def onnx_file(
    nodes: list[tuple],
    constants: list[tuple[str, Tensor]] = (),
    shape: tuple = ("n", 3, 8, 8),
    opset: int = 17,
) -> bytes:
    """Write a network from "x" to "y": nodes are (operator, inputs, outputs[, attributes])."""
    import onnx
    from onnx import helper, numpy_helper

    made = [numpy_helper.from_array(value.numpy(), name) for name, value in constants]
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        made,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("their.ops", 1)]
    return helper.make_model(graph, opset_imports=opsets).SerializeToString()
