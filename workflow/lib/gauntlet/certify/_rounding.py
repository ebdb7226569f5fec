"""Where single precision is too coarse to bound a network's layers."""

import torch
from torch import Tensor

from gauntlet.certify._network import evaluate_all
from gauntlet.certify._ops import Average, Convolution, Dense, Scale, Shape, Sum
from gauntlet.certify._symbols import Node

AFFINE = (Average, Convolution, Dense, Scale, Shape)
RATIO = 300.0  # float32 then costs a result some 1e-5 of its size


def cancels(nodes: list[Node], images: Tensor) -> bool:
    """Tell whether some layer's results are small beside the terms that they are sums of."""
    values = evaluate_all(nodes, images)
    for node, value in zip(nodes, values, strict=True):
        given = [values[parent] for parent in node.parents]
        if isinstance(node.op, Sum):
            terms = sum(one.abs() for one in given)
        elif isinstance(node.op, AFFINE):
            constant = node.op.forward(torch.zeros_like(given[0][:1])).abs()
            terms = node.op.spread(given[0].abs()) + constant
        else:
            continue
        if bool((_largest(terms) > RATIO * _largest(value)).any()):
            return True
    return False


def _largest(values: Tensor) -> Tensor:
    return values.abs().flatten(1).amax(1)
