"""What certificates know of functions that move, select or repeat values."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.certify._linear import linear
from gauntlet.certify._ops import Scale, Shape, Sum
from gauntlet.certify._symbols import Known, Operand, Operands, Program, Value, refuse

REPEATS = ("reflect", "replicate", "circular")


def reshape(program: Program, input: Value, *shape, size=None) -> Value:
    """Give the same values in the shape that the model's own call gave: order is kept."""
    onto = getattr(program.result, "shape", ())
    if len(onto) < 2 or onto[0] != program.batch:
        refuse("a reshape that mixes images of a batch")
    return program.apply(Shape(input.shape, tuple(onto[1:])), input)


def reshape_as(program: Program, input: Value, other: Operand) -> Value:
    return reshape(program, input)


def flatten(program: Program, input: Value, start_dim=0, end_dim=-1) -> Value:
    return reshape(program, input)


def squeeze(program: Program, input: Value, dim=None) -> Value:
    return reshape(program, input)


def unflatten(program: Program, input: Value, dim, sizes) -> Value:
    return reshape(program, input)


def expanded(program: Program, value: Value, shape: tuple[int, ...]) -> Value:
    """Repeat values along dimensions of size 1."""
    if shape == value.shape:
        return value
    return linear(program, value, lambda values: values.expand(len(values), *shape))


def expand(program: Program, input: Value, *size) -> Value:
    onto = program.result.shape
    if onto[0] != program.batch or len(onto) != len(input.shape) + 1:
        refuse("an expand that adds dimensions or repeats images")
    return expanded(program, input, tuple(onto[1:]))


# What takes its shape from the model's own result, whatever its arguments are.
RESHAPING = (reshape, reshape_as, flatten, squeeze, unflatten, expand)


def permute(program: Program, input: Value, *order, dims=None) -> Value:
    dims = _listed(order, dims)
    if not dims or dims[0] % (len(input.shape) + 1):
        refuse("permute of the batch")
    return linear(program, input, lambda values: values.permute(*dims))


def transpose(program: Program, input: Value, dim0, dim1) -> Value:
    require_inner(input, dim0, dim1)
    return linear(program, input, lambda values: values.transpose(dim0, dim1))


def flip(program: Program, input: Value, *axes, dims=None) -> Value:
    dims = _listed(axes, dims)
    require_inner(input, *dims)
    return linear(program, input, lambda values: values.flip(*dims))


def _listed(given: tuple, named: tuple | list | None) -> tuple:
    """Give dimensions that stand one by one, in one list, or under their name."""
    if named is not None:
        return tuple(named)
    return tuple(given[0]) if given and isinstance(given[0], (tuple, list)) else given


def item(program: Program, input: Value, index) -> Value:
    """Select by slices, numbers and at most one list; the batch stays whole."""
    parts = index if isinstance(index, tuple) else (index,)
    lists = [p for p in parts if isinstance(p, (list, Tensor))]
    taken = sum(p is not None and p is not Ellipsis for p in parts)
    if parts and parts[0] is Ellipsis and taken <= len(input.shape):
        parts = (slice(None), *parts)
    whole = bool(parts) and isinstance(parts[0], slice) and parts[0] == slice(None)
    if not whole or len(lists) > 1 or any(isinstance(p, bool) for p in parts):
        refuse("an index that selects images of the batch")
    if lists and any(isinstance(p, int) for p in parts):
        refuse("an index of numbers and lists")
    return linear(program, input, lambda values: values[parts])


def index_select(program: Program, input: Value, dim, index) -> Value:
    require_inner(input, dim)
    return linear(program, input, lambda values: values.index_select(dim, index))


def select(program: Program, input: Value, dim, index) -> Value:
    require_inner(input, dim)
    return linear(program, input, lambda values: values.select(dim, index))


def narrow(program: Program, input: Value, dim, start, length) -> Value:
    require_inner(input, dim)
    return linear(program, input, lambda values: values.narrow(dim, int(start), length))


def chunk(program: Program, input: Value, chunks, dim=0) -> tuple[Value, ...]:
    return _parts(program, input, dim, lambda values: values.chunk(chunks, dim))


def split(
    program: Program, tensor: Value, split_size_or_sections=None, dim=0, split_size=None
) -> tuple[Value, ...]:
    size = split_size if split_size_or_sections is None else split_size_or_sections
    size = list(size) if isinstance(size, tuple) else size
    return _parts(program, tensor, dim, lambda values: values.split(size, dim))


def unbind(program: Program, input: Value, dim=0) -> tuple[Value, ...]:
    return _parts(program, input, dim, lambda values: values.unbind(dim))


def _parts(
    program: Program, value: Value, dim: int, cut: Callable[[Tensor], tuple[Tensor, ...]]
) -> tuple[Value, ...]:
    require_inner(value, dim)
    count = len(program.result)
    return tuple(
        linear(program, value, lambda values, number=number: cut(values)[number])
        for number in range(count)
    )


def cat(program: Program, tensors: Operands, dim=0) -> Value:
    """Put values side by side: each is surrounded by zeros, and all are added."""
    values = [tensor for tensor in tensors if isinstance(tensor, Value)]
    rank = len(values[0].shape) + 1
    require_inner(values[0], dim)
    dim %= rank
    sizes = [_width(tensor, dim, rank) for tensor in tensors]
    parts, constants = [], []
    for number, tensor in enumerate(tensors):
        edges = [0, 0] * (rank - 1 - dim) + [sum(sizes[:number]), sum(sizes[number + 1 :])]
        if isinstance(tensor, Value):
            parts.append(zeros_around(program, tensor, edges))
        else:
            constants.append(_constant(program, tensor).map(lambda t, e=edges: F.pad(t, e)))
    whole = program.apply(Sum(), *parts) if len(parts) > 1 else parts[0]
    if not constants:
        return whole
    one = torch.ones(())
    return program.apply(Scale(lambda: (one, sum(held.fresh() for held in constants))), whole)


def _width(tensor: Value | Known, dim: int, rank: int) -> int:
    shape = (0, *tensor.shape) if isinstance(tensor, Value) else tensor.value.shape
    if len(shape) != rank:
        refuse("cat of values of different dimensions")
    return shape[dim]


def _constant(program: Program, held: Known) -> Known:
    tensor = held.value
    if len(tensor) != program.batch or not torch.equal(tensor[:1].expand_as(tensor), tensor):
        refuse("cat with a constant that differs from image to image of a batch")
    return held.map(lambda tensor: tensor[:1])


def stack(program: Program, tensors: Operands, dim=0) -> Value:
    if not all(isinstance(tensor, Value) for tensor in tensors):
        refuse("stack with a constant")
    rank = len(tensors[0].shape) + 2
    dim %= rank
    if dim == 0:
        refuse("stack of batches")
    shape = tensors[0].shape
    onto = (*shape[: dim - 1], 1, *shape[dim - 1 :])
    return cat(program, [program.apply(Shape(shape, onto), value) for value in tensors], dim)


def zeros_around(program: Program, value: Value, edges: list[int]) -> Value:
    if not any(edges):
        return value
    return linear(program, value, lambda values: F.pad(values, edges))


def pad(program: Program, input: Value, pad, mode="constant", value=None) -> Value:
    edges = [pad] * 4 if isinstance(pad, int) else [int(edge) for edge in pad]
    if len(edges) > 2 * len(input.shape) or mode not in ("constant", *REPEATS):
        refuse(f"pad with mode {mode} of the batch")
    if mode != "constant":
        return linear(program, input, lambda values: F.pad(values, edges, mode))
    around, fill = zeros_around(program, input, edges), float(value or 0.0)
    if not fill:
        return around
    border = F.pad(torch.zeros(1, *input.shape, dtype=torch.float64), edges, value=fill)
    one, sample = torch.ones(()), program.result
    shift = border.to(device=sample.device, dtype=sample.dtype)
    return program.apply(Scale(lambda: (one, shift)), around)


def require_inner(value: Value, *dims: int) -> None:
    """Refuse a dimension that is the batch's."""
    rank = len(value.shape) + 1
    if any(not isinstance(dim, int) or dim % rank == 0 for dim in dims):
        refuse("a call that moves or cuts the batch")
