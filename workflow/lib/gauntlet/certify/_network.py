"""A trained model as a list of operations, each after those that it needs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from gauntlet.certify._ops import (
    Activation,
    Average,
    Convolution,
    Dense,
    Input,
    MaxPool,
    Scale,
    Shape,
    Sum,
)
from gauntlet.core.errors import Uncertifiable

SAME = (nn.Identity, nn.Dropout, nn.Dropout2d)
AVERAGES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
RESHAPES = {"flatten", "view", "reshape", "contiguous", "squeeze"}
CLOSE = 1e-4  # of the logits' size: how far operations and model may lie apart


@dataclass(frozen=True)
class Node:
    """One operation: whose results it takes, and its result's shape without the batch."""

    op: object
    parents: tuple[int, ...]
    shape: tuple[int, ...]


def read_network(model: nn.Module, images: Tensor) -> list[Node]:
    """Give the operations of a model in eval mode; the last one's results are the logits.

    Parameters are those of the model, not copies. Raises Uncertifiable for a layer that linear
    bounds do not know (it is named), or if the operations do not give the model's own logits.
    """
    nodes = follow(model, images[:1])
    with torch.no_grad():
        wanted, given = model(images), evaluate(nodes, images)
    if not torch.allclose(wanted, given, rtol=0, atol=CLOSE * max(1, float(wanted.abs().max()))):
        raise Uncertifiable(
            "The model's forward pass is not what its layers compute, so that nothing can be "
            "certified; attacks still run."
        )
    return nodes


def follow(model: nn.Module, image: Tensor) -> list[Node]:
    """Give the operations of a model, whose batch norm and dropout are taken as at evaluation.

    `image` is [1, C, H, W]. Raises Uncertifiable for a layer that linear bounds do not know.
    """
    try:
        traced = fx.symbolic_trace(model)
    except Exception as error:  # tracing runs the model's own code
        raise Uncertifiable(
            f"The model's forward pass cannot be followed for a certificate "
            f"({type(error).__name__}: {str(error).splitlines()[0][:120]}); attacks still run."
        ) from error
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad():
        traced.eval()
        nodes = _Reader(traced, image).nodes
    for module, mode in modes:
        module.training = mode
    return nodes


def evaluate(nodes: list[Node], images: Tensor) -> Tensor:
    """Give the logits [N, K] that the operations give."""
    values: list[Tensor] = []
    for node in nodes:
        given = [values[parent] for parent in node.parents]
        values.append(images if isinstance(node.op, Input) else node.op.forward(*given))
    return values[-1]


class _Reader(fx.Interpreter):
    """Runs the traced graph on one image, and notes an operation for each of its nodes."""

    def __init__(self, traced: fx.GraphModule, image: Tensor):
        super().__init__(traced)
        self.nodes, self.places = [], {}
        self.run(image)

    def run_node(self, node: fx.Node):
        result = super().run_node(node)
        if node.op == "placeholder":
            self._note(node, Input(), (), result)
        elif node.op in ("call_module", "call_function", "call_method"):
            inputs = [arg for arg in node.args if isinstance(arg, fx.Node) and arg in self.places]
            if inputs and torch.is_tensor(result):
                self._translate(node, inputs, result)
        elif node.op == "output" and self.places.get(node.args[0]) != len(self.nodes) - 1:
            raise _unknown("an output that is not the last layer's")
        return result

    def _note(self, node: fx.Node, op, parents, result: Tensor) -> None:
        self.places[node] = len(self.nodes)
        self.nodes.append(Node(op, parents, tuple(result.shape[1:])))

    def _translate(self, node: fx.Node, inputs: list[fx.Node], result: Tensor) -> None:
        parents = tuple(self.places[arg] for arg in inputs)
        shapes = [self.nodes[parent].shape for parent in parents]
        if node.op == "call_module":
            layer = self.fetch_attr(node.target)
            op = _of_layer(layer, shapes[0], tuple(result.shape[1:]), str(node.target))
        else:
            op = self._of_call(node, shapes, tuple(result.shape[1:]))
        if op is None:
            self.places[node] = parents[0]
            return
        self._note(node, op, parents, result)

    def _of_call(self, node: fx.Node, shapes: list, onto: tuple):
        name = node.target if isinstance(node.target, str) else node.target.__name__
        if name in ("add", "iadd") and len(shapes) == 2:
            return Sum() if shapes[0] == shapes[1] else _refuse(f"a sum of shapes {shapes}")
        if name in ("relu", "relu_"):
            return Activation()
        if name == "leaky_relu":
            return Activation(_argument(node, 1, "negative_slope", 0.01))
        if name in RESHAPES:
            return Shape(shapes[0], onto)
        if name == "dropout":
            return None
        if name in ("add", "iadd", "sub", "mul", "truediv", "imul", "isub"):
            return self._constant(node, name.removeprefix("i"), shapes)
        if name in ("adaptive_avg_pool2d", "avg_pool2d", "mean"):
            return Average(self._repeated(node), shapes[0])
        if name in ("max_pool2d", "boolean_dispatch"):
            return _pool_of_call(node, shapes[0])
        return _refuse(name)

    def _constant(self, node: fx.Node, name: str, shapes: list):
        if len(shapes) != 1:
            return _refuse(f"{name} of two layers")
        others = [arg for arg in node.args[:2] if arg not in self.places]
        if node.args[0] in others and name not in ("add", "mul"):
            return _refuse(f"{name} from a constant")
        known = others[0]
        if isinstance(known, fx.Node):
            known = self.env[known]
        return Scale(_constants(name, known))

    def _repeated(self, node: fx.Node) -> Callable[[Tensor], Tensor]:
        """Give the function that a node calls, of its first argument alone."""
        rest, named = node.args[1:], dict(node.kwargs)
        if node.op == "call_method":
            return lambda values: getattr(values, node.target)(*rest, **named)
        return lambda values: node.target(values, *rest, **named)


def _constants(name: str, known) -> Callable[[], tuple[Tensor, Tensor]]:
    value = torch.as_tensor(known)
    zero, one = torch.zeros_like(value), torch.ones_like(value)
    made = {
        "add": (one, value),
        "sub": (one, -value),
        "mul": (value, zero),
        "truediv": (1 / value, zero),
    }[name]
    return lambda: made


def _of_layer(layer: nn.Module, shape: tuple, onto: tuple, name: str):
    if isinstance(layer, nn.Conv2d):
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            return _refuse(f"{name}: Conv2d with padding {layer.padding} of {layer.padding_mode}")
        return Convolution(layer, shape)
    if isinstance(layer, nn.Linear):
        return Dense(layer, shape)
    if isinstance(layer, nn.ReLU):
        return Activation()
    if isinstance(layer, nn.LeakyReLU) and 0 <= layer.negative_slope <= 1:
        return Activation(layer.negative_slope)
    if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and layer.running_mean is not None:
        return Scale(_normalised(layer, len(shape)))
    if isinstance(layer, nn.Flatten):
        return Shape(shape, onto)
    if isinstance(layer, AVERAGES):
        return Average(layer, shape)
    if isinstance(layer, nn.MaxPool2d) and not layer.ceil_mode:
        return MaxPool(layer.kernel_size, layer.stride, layer.padding, layer.dilation, shape)
    if isinstance(layer, SAME):
        return None
    return _refuse(f"{name}: {type(layer).__name__}")


def _normalised(layer, dimensions: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """Fold batch norm at evaluation into a factor and a shift per channel."""

    def constants() -> tuple[Tensor, Tensor]:
        factor = (layer.running_var + layer.eps).rsqrt()
        factor = factor if layer.weight is None else factor * layer.weight
        shift = -layer.running_mean * factor
        shift = shift if layer.bias is None else shift + layer.bias
        shape = (1, -1, *[1] * (dimensions - 1))
        return factor.view(shape), shift.view(shape)

    return constants


def _pool_of_call(node: fx.Node, shape: tuple):
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    given = dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
    if given.get("ceil_mode") or given.get("return_indices"):
        return _refuse("max_pool2d with ceil_mode or return_indices")
    stride, padding = given.get("stride"), given.get("padding", 0)
    return MaxPool(given["kernel_size"], stride, padding, given.get("dilation", 1), shape)


def _argument(node: fx.Node, place: int, name: str, default: float) -> float:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _refuse(name: str):
    raise _unknown(name)


def _unknown(name: str) -> Uncertifiable:
    return Uncertifiable(
        f"Certificates do not know the model's layer '{name}'; attacks still run on it, and "
        f"smoothing can certify it."
    )
