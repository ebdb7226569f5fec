"""What certificates know of functions that are linear in the image: layers, pooling, means."""

from torch import Tensor
from torch.nn import functional as F

from gauntlet.certify._ops import Average, Convolution, Dense, MaxPool, Scale
from gauntlet.certify._symbols import Known, Program, Value, number, refuse


def convolution(
    program: Program,
    input: Value,
    weight: Known,
    bias: Known | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
) -> Value:
    if isinstance(padding, str):
        refuse(f"conv2d with padding {padding}")
    if len(input.shape) != 3:
        refuse(f"conv2d of values of shape {input.shape}")
    grid = (stride, padding, dilation, groups)
    return program.apply(Convolution(weights(weight, bias), grid, input.shape), input)


def dense(program: Program, input: Value, weight: Known, bias: Known | None = None) -> Value:
    if weight.value.dim() != 2:
        refuse(f"linear with weights of {weight.value.dim()} dimensions")
    return program.apply(Dense(weights(weight, bias)), input)


def product(program: Program, input: Value, other: Known) -> Value:
    if other.value.dim() != 2:
        refuse(f"matmul with a matrix of {other.value.dim()} dimensions")
    return program.apply(Dense(weights(other.map(Tensor.t), None)), input)


def batch_norm(
    program: Program,
    input: Value,
    running_mean: Known | None,
    running_var: Known | None,
    weight: Known | None = None,
    bias: Known | None = None,
    training=False,
    momentum=0.1,
    eps=1e-5,
) -> Value:
    if training or running_mean is None or running_var is None:
        refuse("batch_norm of the batch's own mean")
    dimensions = len(input.shape)

    def constants() -> tuple[Tensor, Tensor]:
        held = [None if part is None else part.fresh() for part in (weight, bias)]
        return folded(running_mean.fresh(), running_var.fresh(), *held, eps, dimensions)

    return program.apply(Scale(constants), input)


def folded(
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    dimensions: int,
) -> tuple[Tensor, Tensor]:
    """Fold batch norm at evaluation into a factor and a shift per channel."""
    factor = (variance + eps).rsqrt()
    factor = factor if weight is None else factor * weight
    shift = -mean * factor
    shift = shift if bias is None else shift + bias
    shape = (1, -1, *[1] * (dimensions - 1))
    return factor.view(shape), shift.view(shape)


def weights(weight: Known, bias: Known | None):
    """Give a function that gives weight and bias as they are now."""
    return lambda: (weight.fresh(), None if bias is None else bias.fresh())


def dropout(program: Program, input: Value, p=0.5, training=True, inplace=False) -> Value:
    return refuse("dropout in training") if training else input


def average_pool(
    program: Program,
    input: Value,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
) -> Value:
    if len(input.shape) != 3 or (divisor_override is not None and divisor_override <= 0):
        refuse("avg_pool2d as it is called here")
    stride = kernel_size if stride in (None, (), []) else stride
    rest = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return linear(program, input, lambda values: F.avg_pool2d(values, *rest))


def adaptive_average_pool(program: Program, input: Value, output_size) -> Value:
    if len(input.shape) != 3:
        refuse(f"adaptive_avg_pool2d of values of shape {input.shape}")
    return linear(program, input, lambda values: F.adaptive_avg_pool2d(values, output_size))


def max_pool(
    program: Program,
    input: Value,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
) -> Value:
    if ceil_mode or return_indices:
        refuse("MaxPool2d with ceil_mode or return_indices")
    if len(input.shape) != 3:
        refuse(f"max_pool2d of values of shape {input.shape}")
    return program.apply(MaxPool(kernel_size, stride, padding, dilation, input.shape), input)


def adaptive_max_pool(program: Program, input: Value, output_size, return_indices=False) -> Value:
    if output_size not in (1, (1, 1), [1, 1]) or return_indices or len(input.shape) != 3:
        refuse("adaptive_max_pool2d to more than one value")
    return max_pool(program, input, input.shape[1:])


def mean(program: Program, input: Value, dim=None, keepdim=False, dtype=None) -> Value:
    dims = _dims(input, dim, dtype, "mean")
    return linear(program, input, lambda values: values.mean(dims, keepdim))


def total(program: Program, input: Value, dim=None, keepdim=False, dtype=None) -> Value:
    dims = _dims(input, dim, dtype, "sum")
    return linear(program, input, lambda values: values.sum(dims, keepdim))


def _dims(value: Value, dim, dtype, name: str) -> list[int]:
    rank = len(value.shape) + 1
    given = [dim] if isinstance(dim, int) else list(dim or ())
    if not given or any(d % rank == 0 for d in given) or dtype is not None:
        refuse(f"{name} over the batch")
    return [d % rank for d in given]


def linear(program: Program, value: Value, function) -> Value:
    """Append a linear map without constant whose weights are 0 or more."""
    return program.apply(Average(function, value.shape), value)


def interpolate(
    program: Program,
    input: Value,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
) -> Value:
    if mode not in ("nearest", "nearest-exact", "bilinear", "area") or antialias:
        refuse(f"interpolate with mode {mode}")
    if scale_factor is not None and not isinstance(scale_factor, (tuple, list)):
        scale_factor = number(scale_factor, "interpolate")
    rest = (size, scale_factor, mode, align_corners, recompute_scale_factor)
    return linear(program, input, lambda values: F.interpolate(values, *rest))
