"""The reader of networks: what it does not positively know, it refuses by name.

The model's forward pass is traced by torch.fx and run on a few examples. Each layer, function and
method that an image reaches is translated by the one entry that knows it, with every argument
checked; what the translation gives for the examples must be what the model itself computed there.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from gauntlet.certify import _binding, _layers, _shaping, _tables
from gauntlet.certify._binding import name_of, version, versions
from gauntlet.certify._ops import Input
from gauntlet.certify._runner import Runner, SmallerBatches
from gauntlet.certify._symbols import EXAMPLES, Known, Node, Value, refuse
from gauntlet.core.errors import Uncertifiable

NEAR = 1e-4  # of a result's size: how far a translation and the model's own layer may lie apart
SEEN = ("shape", "dtype", "device", "ndim")  # attributes of a tensor that no pixel changes
MEASURES = ("size", "dim", "stride", "is_floating_point", "new_zeros", "new_ones", "new_full")
ALIKE = (torch.zeros_like, torch.ones_like)  # functions, as the methods above, of a tensor's shape
CANNOT = "The model's forward pass cannot be followed for a certificate: {}; attacks still run."


class _Call(nn.Module):
    """Call a model with images alone, so that its hooks and default arguments are followed."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images)


def read(model: nn.Module, examples: Tensor) -> tuple[list[Node], Callable[[Tensor], object]]:
    """Give the operations of a model in eval mode, and its traced forward pass.

    `examples` is [EXAMPLES, C, H, W]. Raises Uncertifiable, in one sentence, for all that is not
    known.
    """
    before = [(held, version(held)) for held in [*model.parameters(), *model.buffers()]]
    with torch.random.fork_rng(devices=[]):
        state = torch.random.get_rng_state()
        traced = _traced(model)
        reader = _Reader(traced, examples)
        drawn = not torch.equal(state, torch.random.get_rng_state())
    if drawn:
        raise Uncertifiable(CANNOT.format("it draws random numbers"))
    if any(count != version(held) for held, count in before):
        raise Uncertifiable(CANNOT.format("it changes its own parameters or buffers"))
    return _needed(reader.nodes, reader.output.place), Runner(traced, examples.dtype).run


def _traced(model: nn.Module) -> fx.GraphModule:
    call = _Call(model)
    call.training = False
    try:
        return fx.GraphModule(call, fx.Tracer().trace(call))
    except Exception as error:  # tracing runs the model's own code
        reason = "it decides by values or sizes of an image, or computes outside of PyTorch"
        raise Uncertifiable(CANNOT.format(reason)) from error


def _needed(nodes: list[Node], last: int) -> list[Node]:
    """Keep an operation and those before it that it needs, in their order."""
    kept, todo = set(), [last]
    while todo:
        here = todo.pop()
        if here not in kept:
            kept.add(here)
            todo += nodes[here].parents
    places = {old: new for new, old in enumerate(sorted(kept | {0}))}
    return [
        Node(nodes[old].op, tuple(places[p] for p in nodes[old].parents), nodes[old].shape)
        for old in places
    ]


class _Reader(Runner):
    """Runs the traced graph on the examples, and notes the operations of each of its nodes."""

    def __init__(self, traced: fx.GraphModule, examples: Tensor):
        super().__init__(traced, examples.dtype)
        self.batch = EXAMPLES
        self.nodes: list[Node] = []
        self.samples: list[Tensor] = []  # results of the operations for the examples
        self.found: dict[fx.Node, Any] = {}  # Value, or tuple of Values, where images have a say
        self.constants: dict[fx.Node, object] = {}  # sizes and types of values
        self.known: dict[fx.Node, object] = {}  # results that no pixel changes
        self.uses: list[tuple[fx.Node, str]] = []  # arguments of layers, with the layer's name
        self.versions: dict[fx.Node, list[int]] = {}
        self.result: object = None
        self.output: Value
        try:
            self.run(examples.clone())
        except Uncertifiable:
            raise
        except Exception as error:  # whatever the model's own code raises
            reason = f"a batch of {EXAMPLES} images fails in it"
            raise Uncertifiable(CANNOT.format(reason)) from error
        self._require_no_counts(SmallerBatches(traced, examples))

    def apply(self, op: object, *values: Value) -> Value:
        """Append an operation; its results for the examples give its shape."""
        sample = op.forward(*(self.samples[value.place] for value in values))
        if not bool(sample.isfinite().all()):
            refuse("a computation whose values are not finite")
        self.nodes.append(Node(op, tuple(v.place for v in values), tuple(sample.shape[1:])))
        self.samples.append(sample)
        return Value(len(self.nodes) - 1, tuple(sample.shape[1:]))

    def run_node(self, node: fx.Node):
        for given in node.all_input_nodes:
            if self.versions[given] != versions(self.env[given]):
                refuse(f"{name_of(node)} of values that were overwritten in place")
        result = super().run_node(node)
        self._note(node, result)
        if node not in self.found:
            self.known[node] = result.clone() if isinstance(result, Tensor) else result
        self.versions[node] = versions(result)
        return result

    def _note(self, node: fx.Node, result: object) -> None:
        if node.op == "placeholder":
            self.nodes, self.samples = (
                [Node(Input(), (), tuple(result.shape[1:]))],
                [result.clone()],
            )
            self.found[node] = Value(0, tuple(result.shape[1:]))
        elif node.op == "output":
            self.output = self._answer(node.args[0])
        elif any(given in self.found for given in node.all_input_nodes):
            found = self._translated(node, result)
            if found is None:
                self.constants[node] = result
                return
            self._require_same(node, found, result)
            self.found[node] = found

    def _answer(self, given: object) -> Value:
        value = self.found.get(given) if isinstance(given, fx.Node) else None
        if not isinstance(value, Value):
            refuse("an output that is not one tensor computed from the image")
        if len(value.shape) != 1 or value.shape[0] < 2:
            refuse(f"an output of shape {value.shape} for an image, not of two or more logits")
        return value

    def _translated(self, node: fx.Node, result: object):
        """Give the Value or Values of a node, or None where no pixel has a say."""
        self.result, name = result, name_of(node)
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._symbol)
        if node.op == "call_module":
            return self._layer(self.fetch_attr(node.target), name, args, kwargs)
        if node.op == "call_method":
            if node.target in MEASURES:
                return None
            handler = _tables.METHODS.get(node.target)
        elif node.target is getattr:
            return None if args[1] in SEEN else refuse(f"attribute {args[1]} of a tensor")
        elif node.target in ALIKE:
            return None
        else:
            handler = _tables.FUNCTIONS.get(node.target)
        if isinstance(args[0] if args else None, (tuple, torch.Size)) and name == "getitem":
            return args[0][args[1]]
        if handler is None:
            refuse(name)
        if handler not in _shaping.RESHAPING:
            self.uses += [(given, name) for given in node.all_input_nodes]
        return _binding.call(handler, name, self, args, kwargs)

    def _require_no_counts(self, smaller: SmallerBatches) -> None:
        """Refuse what depends on how many images there are, besides shapes that keep them apart."""
        for given, name in self.uses:
            if given in self.known and smaller.change(given, self.known[given]):
                refuse(f"{name} with a value that depends on the number of images")
        for node, found in self.found.items():
            if isinstance(found, Value) and smaller.reshape(node, found.shape):
                refuse(f"{name_of(node)} to a shape that depends on the number of images")

    def _layer(self, layer: nn.Module, name: str, args: tuple, kwargs: dict):
        kind = type(layer).__mro__[1] if parametrize.is_parametrized(layer) else type(layer)
        handler, name = _layers.LAYERS.get(kind), f"{name}: {kind.__name__}"
        if handler is None:
            refuse(name)
        if layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer):
            refuse(f"{name} with a hook or a replaced forward pass")
        given = _binding.values_of(layer.forward, name, args, kwargs)
        if len(given) != 1 or not isinstance(given[0], Value):
            refuse(f"{name} of anything but one tensor")
        return handler(self, layer, given[0], name)

    def _symbol(self, given: fx.Node):
        if given in self.found:
            return self.found[given]
        held = self.env[given]
        return Known(held, lambda: self._fresh(given)) if isinstance(held, Tensor) else held

    def _fresh(self, node: fx.Node):
        """Compute again what no image changes."""
        if node.op == "get_attr":
            return self.fetch_attr(node.target)
        if node in self.constants:
            return self.constants[node]
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._fresh)
        if node.op == "call_module":
            return self.fetch_attr(node.target)(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], node.target)(*args[1:], **kwargs)
        return node.target(*args, **kwargs)

    def _require_same(self, node: fx.Node, found: object, result: object) -> None:
        """Hold what was translated against what the model computed for the examples."""
        pairs = (
            [(found, result)] if isinstance(found, Value) else list(zip(found, result, strict=True))
        )
        for value, own in pairs:
            mine = self.samples[value.place]
            if not isinstance(own, Tensor) or own.dtype != self.dtype or own.shape != mine.shape:
                refuse(f"{name_of(node)} to another type, or that mixes images of a batch")
            if not torch.allclose(own, mine, rtol=0, atol=NEAR * float(own.abs().amax())):
                refuse(f"{name_of(node)} as it is called here")
