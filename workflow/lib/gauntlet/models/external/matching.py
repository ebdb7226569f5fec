"""Which of a file's tensors is which of a network's, by name or else by order and shape."""

from itertools import zip_longest

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError

COUNTER = "num_batches_tracked"  # of batch norm: older files lack it, and nothing depends on it
START = 4  # parts of a name that are tried
ROLES = ("weight", "bias", "running_mean", "running_var")
State = dict[str, Tensor]


def matched(own: State, theirs: State, path: str, notes: list[str]) -> State:
    """Give a network's state from a file's, under the network's names; `notes` say how.

    Raises GauntletError if a tensor is missing, has another shape or kind, or holds values that
    are no finite numbers, with both names and shapes.
    """
    theirs = _without_common_start(own, theirs, notes)
    if _named(own) <= theirs.keys():
        pairs = {name: name for name in _named(own)}
        extra = sorted(theirs.keys() - own.keys())
        if extra:
            notes.append(f"left aside, not in the architecture: {', '.join(extra[:8])}")
    else:
        pairs = _by_order(own, theirs, path)
        notes.append(
            "names differ, shapes match one to one in order: "
            + ", ".join(f"{new} = {old}" for new, old in pairs.items() if new != old)
        )
    found = {name: value for name, value in own.items() if name.endswith(COUNTER)}
    for new, old in pairs.items():
        found[new] = _fitted(new, own[new], old, theirs[old], path)
    return found


def _named(state: State) -> set[str]:
    return {name for name in state if not name.endswith(COUNTER)}


def _without_common_start(own: State, theirs: State, notes: list[str]) -> State:
    """Leave out first parts that all names have, where the rest are the names looked for."""
    shorter, start = theirs, ""
    for _ in range(START):
        if _named(own) <= shorter.keys():
            if start:
                notes.append(f"'{start}' before every name is left out")
            return shorter
        firsts = {name.partition(".")[0] for name in shorter}
        if len(firsts) != 1:
            break
        first = f"{firsts.pop()}."
        start += first
        shorter = {name.removeprefix(first): value for name, value in shorter.items()}
    return theirs


def _by_order(own: State, theirs: State, path: str) -> dict[str, str]:
    new = [name for name in own if not name.endswith(COUNTER)]
    old = [name for name in theirs if not name.endswith(COUNTER)]
    for mine, found in zip_longest(new, old):
        fits = mine and found and own[mine].shape == theirs[found].shape
        if not fits or _role(mine) != _role(found):
            wanted, given = _shown(own, mine), _shown(theirs, found)
            raise GauntletError(
                f"{path} is of another architecture: where the architecture has {wanted}, the file "
                f"has {given} ({len(new)} tensors against {len(old)})."
            )
    return dict(zip(new, old, strict=True))


def _shown(state: State, name: str | None) -> str:
    return "nothing more" if name is None else f"'{name[:80]}' {list(state[name].shape)}"


def _role(name: str) -> str:
    """Give a name's last part if it says what the tensor is for; others may be called anything."""
    last = name.rpartition(".")[2]
    return last if last in ROLES else ROLES[0]


def _fitted(new: str, ours: Tensor, old: str, given: Tensor, path: str) -> Tensor:
    """Give a tensor in the number format of ours, if it has our shape and finite values."""
    if ours.shape != given.shape:
        raise GauntletError(
            f"{path} is of another architecture: '{old}' has shape {list(given.shape)}, and the "
            f"architecture's '{new}' has {list(ours.shape)}."
        )
    if ours.is_floating_point() != given.is_floating_point() or given.is_quantized:
        raise GauntletError(
            f"{path} holds '{old}' as {given.dtype}; allowed are floating-point numbers."
        )
    value = given.to(ours.dtype)
    wrong = int((~torch.isfinite(value)).sum())
    if wrong:
        raise GauntletError(
            f"{path} holds {wrong} values that are no finite numbers among the {value.numel()} of "
            f"'{old}'; allowed are finite weights."
        )
    return value
