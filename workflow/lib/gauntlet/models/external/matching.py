"""Which of a file's tensors is which of a network's: by name, usual names, or kind and order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.models.external import layer_order
from gauntlet.models.external.layer_order import COUNTER, State, named, same_shape
from gauntlet.models.external.normalization import Normalization, without_normalization

ASIDE_NOTE = "left aside, not in the architecture"
START = 4  # parts of a name that are tried as the beginning of all names
Aliases = Mapping[str, Sequence[str]]


@dataclass
class Matched:
    """A network's state under its own names, and the file's own normalization, if it has one."""

    state: State
    normalization: Normalization | None = None


def matched(
    own: State,
    theirs: State,
    path: str,
    notes: list[str],
    aliases: Aliases | None = None,
    channels: int | None = None,
    ordered: bool = True,
) -> Matched:
    """Find a network's state in a file's; `notes` say how.

    `aliases` gives, for parts of the network's names, those that public code uses. With `channels`,
    a mean and a standard deviation beside the network are taken for its normalization. `ordered`
    tells that the file's tensors are in the order of the code that wrote it.

    Raises GauntletError if a tensor is missing, has another shape or kind, or holds values that are
    no finite numbers, with both names and shapes.
    """
    normalization, rest = None, theirs
    if channels is not None and not theirs.keys() >= set(named(own)):
        normalization, rest = without_normalization(theirs, channels)
    start, pairs = _pairs(own, rest, path, notes, aliases or {}, ordered)
    notes += _left_out(start, rest, {start + old for old in pairs.values()})
    if normalization is not None:
        notes.append(f"normalization read from the file: {normalization.text}")
    found = {name: value for name, value in own.items() if name.endswith(COUNTER)}
    for new, old in pairs.items():
        found[new] = _fitted(new, own[new], start + old, rest[start + old], path)
    return Matched(found, normalization)


def _left_out(start: str, theirs: State, used: set[str]) -> Iterator[str]:
    """Say what of a file's names was left out, and which tensors were left aside."""
    if start:
        every = all(name.startswith(start) for name in theirs)
        yield (
            f"'{start}' before every name is left out" if every else f"taken is what {start}* holds"
        )
    extra = sorted(set(named(theirs)) - used)
    if extra:
        yield f"{ASIDE_NOTE}: {', '.join(extra[:8])}"


def _pairs(
    own: State, theirs: State, path: str, notes: list[str], aliases: Aliases, ordered: bool
) -> tuple[str, dict[str, str]]:
    """Give what stands before the names of the network, and the file's name for each of its own."""
    places = {start: _under(theirs, start) for start in _starts(theirs)}
    places = {start: part for start, part in places.items() if len(part) >= len(named(own))}
    for how, note in (
        (_same_names, ""),
        (partial(_usual_names, aliases), "names are those of public code: "),
        (layer_order.in_order, "names differ, shapes match one to one in order: "),
        (
            layer_order.by_kind if ordered else lambda own, theirs: None,
            "names and order differ, layers of one kind and shape are taken in their order: ",
        ),
    ):
        found = {start: pairs for start, part in places.items() if (pairs := how(own, part))}
        if found:
            start = _chosen(own, theirs, found, path)
            notes += [note + _renamed(found[start])] if note else []
            return start, found[start]
    raise GauntletError(
        f"{path} is of another architecture: {layer_order.difference(own, theirs)}."
    )


def _chosen(own: State, theirs: State, found: dict[str, dict[str, str]], path: str) -> str:
    """Choose the place where a network fits; GauntletError if there are several of its shapes."""
    fitting = [
        start
        for start, pairs in found.items()
        if all(same_shape(own[new], theirs[start + old]) for new, old in pairs.items())
    ]
    if len(fitting) > 1 and "" not in fitting:
        named_places = [start.rstrip(".")[:40] for start in fitting]
        raise GauntletError(
            f"{path} holds several networks that fit, under {', '.join(named_places[:4])}; name "
            f"one by weights_key, such as weights_key: {named_places[0]}."
        )
    return "" if "" in found else (fitting or list(found))[0]


def _starts(theirs: State) -> list[str]:
    """Give the first parts of names that may stand before a network's own, shortest first."""
    parts = [name.split(".")[:-1][:START] for name in theirs]
    found = {".".join(each[:count]) for each in parts for count in range(1, len(each) + 1)}
    return ["", *sorted((f"{start}." for start in found), key=lambda s: (s.count("."), s))]


def _under(theirs: State, start: str) -> State:
    return {
        name.removeprefix(start): value for name, value in theirs.items() if name.startswith(start)
    }


def _same_names(own: State, theirs: State) -> dict[str, str] | None:
    names = named(own)
    return {name: name for name in names} if all(name in theirs for name in names) else None


def _usual_names(aliases: Aliases, own: State, theirs: State) -> dict[str, str] | None:
    """Find each tensor under a name in which parts are those of public code, with its shape."""
    if not aliases:
        return None
    pairs = {}
    for name in named(own):
        known = [old for old in _spellings(name, aliases) if old in theirs]
        if len(known) != 1 or not same_shape(own[name], theirs[known[0]]):
            return None
        pairs[name] = known[0]
    return pairs if len(set(pairs.values())) == len(pairs) else None


def _spellings(name: str, aliases: Aliases) -> Iterator[str]:
    return (".".join(parts) for parts in product(*(aliases.get(p, (p,)) for p in name.split("."))))


def _renamed(pairs: dict[str, str]) -> str:
    return ", ".join(f"{new} = {old}" for new, old in pairs.items() if new != old)


def _fitted(new: str, ours: Tensor, old: str, given: Tensor, path: str) -> Tensor:
    """Give a tensor in the number format of ours, if it has our shape and finite values."""
    if given.layout != torch.strided or given.is_meta or given.is_nested:
        kind = "without values" if given.is_meta else "sparse" if not given.is_nested else "nested"
        raise GauntletError(
            f"{path} holds '{old}' as a tensor that is {kind}; allowed are plain ones, such as "
            "to_dense() gives."
        )
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
