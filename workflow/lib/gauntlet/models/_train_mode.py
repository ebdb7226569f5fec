"""Programs that were written in train mode: dropout or batch norm that no `eval` turns off."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gauntlet.core.errors import GauntletError

FLAGS = ("train", "training")  # arguments of PyTorch's operators that say so
SHARE = "p"  # of values that dropout leaves out: with 0 it does nothing
STATISTICS = "norm"  # in the names of operators that normalize by the batch


def require_script_in_eval_mode(script: nn.Module) -> None:
    """Raise GauntletError for a TorchScript program in which an operator is in train mode.

    Operators inside branches are passed over: which of them runs is known only when it runs.
    """
    for node in script.inlined_graph.nodes():
        if node.kind().startswith("aten::") and node.schema() != "(no schema)":
            names = [each.name for each in torch._C.parse_schema(node.schema()).arguments]
            values = dict(zip(names, (each.toIValue() for each in node.inputs()), strict=False))
            if SHARE not in values or values[SHARE] is not None:  # None: known when it runs
                _require(node.kind().removeprefix("aten::"), values.get)


def require_program_in_eval_mode(program: nn.Module) -> None:
    """Raise GauntletError for a torch.export program in which an operator is in train mode."""
    for node in program.graph.nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            arguments = node.target._schema.arguments
            values = {each.name: each.default_value for each in arguments if each.has_default_value}
            values |= dict(zip((each.name for each in arguments), node.args, strict=False))
            _require(str(node.target).removeprefix("aten."), (values | node.kwargs).get)


def _require(operator: str, value: Callable[[str], Any]) -> None:
    if not any(value(flag) is True for flag in FLAGS) or value(SHARE) == 0:
        return
    effect = "an image's answer depends on the others beside it"
    effect = effect if STATISTICS in operator else "its answers are random"
    raise GauntletError(
        f"it was written in train mode ({operator}), so that {effect}; call eval() on the network "
        "and write the file again."
    )
