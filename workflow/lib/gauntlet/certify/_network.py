"""A trained model as a list of operations, each after those that it needs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gauntlet.certify._ops import Input
from gauntlet.certify._reader import read
from gauntlet.certify._symbols import EXAMPLES, Node, refuse
from gauntlet.core.errors import Uncertifiable

CLOSE = 1e-4  # of the logits' size: how far operations and model may lie apart
DIFFERENT = (
    "The model's forward pass is not what its layers compute, so that nothing can be certified; "
    "attacks still run."
)


def read_network(model: nn.Module, images: Tensor) -> list[Node]:
    """Give the operations of a model in eval mode; the last one's results are the logits.

    Parameters are those of the model, not copies. Raises Uncertifiable for a layer that linear
    bounds do not know (it is named), or if the operations do not give the model's own logits.
    """
    for name, module in model.named_modules():
        if isinstance(module, _DropoutNd) and module.training:
            refuse(f"{name}: {type(module).__name__}", "in training, which draws random numbers")
    nodes = follow(model, images[:1])
    with torch.no_grad():
        require_close(model(images.clone()), evaluate(nodes, images))
    return nodes


def follow(model: nn.Module, image: Tensor) -> list[Node]:
    """Give the operations of a model, whose batch norm and dropout are taken as at evaluation.

    `image` is [1, C, H, W]. Raises Uncertifiable for a layer that linear bounds do not know.
    """
    draw = torch.Generator().manual_seed(0)
    others = torch.rand(EXAMPLES - 1, *image.shape[1:], generator=draw, dtype=torch.float64)
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = False
    try:
        exact = torch.autocast(image.device.type, enabled=False)
        with torch.inference_mode(False), torch.no_grad(), exact:
            examples = torch.cat([image.clone(), others.to(image.dtype).to(image.device)])
            nodes, run = read(model, examples)
            fewer = examples[: EXAMPLES - 1]
            require_close(_answer(run, fewer), evaluate(nodes, fewer))
    finally:
        for module, mode in modes:
            module.training = mode
    return nodes


def evaluate(nodes: list[Node], images: Tensor) -> Tensor:
    """Give the logits [N, K] that the operations give."""
    return evaluate_all(nodes, images)[-1]


def evaluate_all(nodes: list[Node], images: Tensor) -> list[Tensor]:
    """Give the results [N, ...] of every operation."""
    values: list[Tensor] = []
    for node in nodes:
        given = [values[parent] for parent in node.parents]
        values.append(images if isinstance(node.op, Input) else node.op.forward(*given))
    return values


def require_close(wanted: object, given: Tensor) -> None:
    """Raise Uncertifiable unless the model's answer is, but for rounding, what was computed."""
    if not isinstance(wanted, Tensor) or wanted.shape != given.shape:
        raise Uncertifiable(DIFFERENT)
    wanted = wanted.to(given.dtype)
    slack = CLOSE * max(1.0, float(wanted.abs().max())) if wanted.numel() else 0.0
    if not torch.allclose(wanted, given, rtol=0, atol=slack):
        raise Uncertifiable(DIFFERENT)


def _answer(run: Callable[[Tensor], object], images: Tensor) -> object:
    try:
        return run(images.clone())
    except Exception:  # whatever the model's own code raises for a batch of another size
        return None
