"""Layers of two state dicts, set side by side by what they hold and the order that they have."""

from dataclasses import dataclass
from itertools import zip_longest

from torch import Tensor

COUNTER = "num_batches_tracked"  # of batch norm: older files lack it, and nothing depends on it
ROLES = ("weight", "bias", "running_mean", "running_var")
State = dict[str, Tensor]


@dataclass(frozen=True)
class Layer:
    """The names of the tensors that have one beginning, and their kind: each role and shape."""

    names: tuple[str, ...]
    kind: tuple[tuple[str, tuple[int, ...]], ...]


def named(state: State) -> list[str]:
    """Give the names that matter: without the counters of batch norm."""
    return [name for name in state if not name.endswith(COUNTER)]


def same_shape(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors have one shape; a nested tensor has none."""
    return shape_of(one) == shape_of(other)


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Give a tensor's shape; that of a nested tensor, which has none, is (-1,)."""
    return (-1,) if tensor.is_nested else tuple(tensor.shape)


def in_order(own: State, theirs: State) -> dict[str, str] | None:
    """Pair layers in their order, or else tensors, if all are of one kind; None otherwise."""
    return _paired(layers(own), layers(theirs)) or _paired(_singly(own), _singly(theirs))


def by_kind(own: State, theirs: State) -> dict[str, str] | None:
    """Pair the layers of each kind in their order, if there are as many; None otherwise.

    Right where two codes name the same layers in another order, but those of one kind in the same:
    a block's norms before its convolutions, or each norm before its convolution.
    """
    ours, others = layers(own), layers(theirs)
    return _paired(_sorted(ours), _sorted(others)) if len(ours) == len(others) else None


def layers(state: State) -> list[Layer]:
    """Give the layers of a state dict in their order."""
    groups: dict[str, list[str]] = {}
    for name in named(state):
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    return [_layer(state, names) for names in groups.values()]


def difference(own: State, theirs: State) -> str:
    """Say where two state dicts differ first, tensor by tensor."""
    new, old = _in_layers(own), _in_layers(theirs)
    for mine, found in zip_longest(new, old):
        fits = mine and found and same_shape(own[mine], theirs[found])
        if not fits or _role(mine) != _role(found):
            return (
                f"where the architecture has {_shown(own, mine)}, the file has "
                f"{_shown(theirs, found)} ({len(new)} tensors against {len(old)})"
            )
    return "its layers are put together otherwise"


def _in_layers(state: State) -> list[str]:
    return [name for layer in layers(state) for name in layer.names]


def _singly(state: State) -> list[Layer]:
    """Take each tensor for a layer: some files give every one a beginning of its own."""
    return [_layer(state, [name]) for name in named(state)]


def _layer(state: State, names: list[str]) -> Layer:
    ordered = tuple(sorted(names, key=lambda name: ROLES.index(_role(name))))
    return Layer(ordered, tuple((_role(name), shape_of(state[name])) for name in ordered))


def _role(name: str) -> str:
    """Give a name's last part if it says what the tensor is for; others may be called anything."""
    last = name.rpartition(".")[2]
    return last if last in ROLES else ROLES[0]


def _sorted(found: list[Layer]) -> list[Layer]:
    return sorted(found, key=lambda layer: layer.kind)  # stable: one kind stays in its order


def _paired(ours: list[Layer], others: list[Layer]) -> dict[str, str] | None:
    if not ours or [layer.kind for layer in ours] != [layer.kind for layer in others]:
        return None
    return {
        new: old
        for mine, found in zip(ours, others, strict=True)
        for new, old in zip(mine.names, found.names, strict=True)
    }


def _shown(state: State, name: str | None) -> str:
    return "nothing more" if name is None else f"'{name[:80]}' {list(shape_of(state[name]))}"
