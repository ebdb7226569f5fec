"""From an ONNX graph to PyTorch's layers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.models._frames import first_line
from gauntlet.models._onnx_attributes import require_read
from gauntlet.models._onnx_file import Graph, Node
from gauntlet.models._onnx_layers import LAYERS
from gauntlet.models._onnx_ops import OPERATIONS


class Apply(nn.Module):
    """A step without weights: a function of what flows and of constants in their places."""

    def __init__(self, operation: Callable[..., Tensor], constants: list[Tensor | None]):
        super().__init__()
        self.operation, self.count = operation, len(constants)
        self.fixed = [place for place, value in enumerate(constants) if value is not None]
        for place in self.fixed:
            self.register_buffer(f"constant{place}", constants[place])

    def forward(self, *flowing: Tensor) -> Tensor:
        rest = iter(flowing)
        values = [
            getattr(self, f"constant{place}") if place in self.fixed else next(rest)
            for place in range(self.count)
        ]
        return self.operation(*values)


@dataclass(frozen=True)
class Wire:
    """A step's name, the names of the results that it takes, and of those that it gives."""

    name: str
    taken: list[str]
    given: list[str]


class Steps(nn.Module):
    """Steps that take results of any steps before: `wiring` names what each takes and gives."""

    def __init__(self, steps: list[nn.Module], wiring: list[Wire], graph: Graph):
        super().__init__()
        self.steps, self.wiring = nn.ModuleList(steps), wiring
        self.source, self.target = graph.source, graph.target

    def results(self, images: Tensor) -> dict[str, Tensor]:
        """Give the results of all steps by name."""
        values = {self.source: images}
        for step, wire in zip(self.steps, self.wiring, strict=True):
            result = step(*(values[name] for name in wire.taken))
            results = result if isinstance(result, tuple) else (result,)
            values.update(zip(wire.given, results, strict=False))
        return values

    def forward(self, images: Tensor) -> Tensor:
        return self.results(images)[self.target]


class ToChannelsLast(nn.Module):
    """Give images as [N, H, W, C]."""

    def forward(self, images: Tensor) -> Tensor:
        return images.permute(0, 2, 3, 1)


def convert(graph: Graph, shape: tuple[int, int, int]) -> nn.Module:
    """Build the network in evaluation mode; GauntletError names the step that cannot be built.

    Steps that follow one another become an nn.Sequential. Each is tried on a black image, since
    padding and ranks are known only then.
    """
    unknown = [node for node in graph.nodes if node.operator not in OPERATIONS | LAYERS]
    if unknown:
        raise GauntletError(
            f"its layer {unknown[0].name[:80]} is {unknown[0].operator[:80]}, which has no "
            f"conversion with gradients; known are {', '.join(sorted(OPERATIONS | LAYERS))}; set "
            "gradients: false to attack it without."
        )
    network = _joined(built(graph, shape))
    return (nn.Sequential(ToChannelsLast(), network) if graph.channels_last else network).eval()


def built(graph: Graph, shape: tuple[int, int, int]) -> Steps:
    """Build the steps that depend on the images; those that do not are computed once, here."""
    image = torch.zeros(graph.batch or 1, *shape)
    values = {graph.source: image.permute(0, 2, 3, 1) if graph.channels_last else image}
    constants, steps, wiring = dict(graph.constants), [], []
    with torch.no_grad():
        for node in graph.nodes:
            step, taken = _step(node, constants, values, graph.opset)
            given = [name for name in node.outputs if name]
            results = _result(step, [values[name] for name in taken], node, graph.opset)
            (values if taken else constants).update(zip(given, results, strict=False))
            if taken:
                steps.append(step)
                wiring.append(Wire(f"{node.name[:80]} ({node.operator})", taken, given))
    if graph.target not in values:
        raise GauntletError("its output does not depend on its input.")
    return Steps(steps, wiring, graph).eval()


def _step(
    node: Node, constants: dict[str, Tensor], values: dict[str, Tensor], opset: int
) -> tuple[nn.Module, list[str]]:
    missing = [n for n in node.inputs if n and n not in constants and n not in values]
    if missing:
        raise GauntletError(
            f"its layer {node.name[:80]} takes {missing[0][:80]}, which nothing before it gives."
        )
    held = [constants.get(name) for name in node.inputs]
    taken = [name for name in node.inputs if name in values]
    try:
        made = None
        if node.operator in LAYERS and taken in ([], node.inputs[:1]):
            made = LAYERS[node.operator](held, values.get(node.inputs[0]), node.settings)
            made = Apply(made, held[:1]) if made is not None and not taken else made
        if made is None and node.operator not in OPERATIONS:
            raise GauntletError("has weights that are computed; known are constant ones.")
        if made is None:
            operation = OPERATIONS[node.operator](node.settings, opset, node)
            while held and held[-1] is None and not node.inputs[len(held) - 1]:
                held.pop()  # optional inputs that are left out
            made = Apply(
                operation, [_absent(v, n) for v, n in zip(held, node.inputs, strict=False)]
            )
        return made.eval(), taken
    except GauntletError as error:
        raise GauntletError(f"its layer {node.name[:80]} ({node.operator}) {error}") from error
    except Exception as error:  # settings of a hostile file may be anything
        raise _unfit(node, error) from error


def _absent(value: Tensor | None, name: str) -> Tensor | None:
    """Stand for an optional input that is left out between others: a tensor without values."""
    return torch.empty(0) if value is None and not name else value


def _result(step: nn.Module, taken: list[Tensor], node: Node, opset: int) -> tuple[Tensor, ...]:
    try:
        result = step(*taken)
        require_read(node.operator, node.settings, opset)
    except GauntletError as error:
        raise GauntletError(f"its layer {node.name[:80]} ({node.operator}) {error}") from error
    except Exception as error:
        raise _unfit(node, error) from error
    return result if isinstance(result, tuple) else (result,)


def _unfit(node: Node, error: Exception) -> GauntletError:
    return GauntletError(
        f"its layer {node.name[:80]} ({node.operator}) cannot be computed ({first_line(error)})."
    )


def _joined(network: Steps) -> nn.Module:
    """Make a chain of layers where every step takes what the one before gave, and nothing else."""
    before, chain = network.source, True
    for wire in network.wiring:
        chain = chain and wire.taken == [before]
        before = wire.given[0]
    return nn.Sequential(*network.steps) if chain and before == network.target else network
