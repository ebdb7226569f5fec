"""What certificates know of PyTorch's layers, by their exact type and with every attribute."""

from collections.abc import Callable

from torch import Tensor, nn

from gauntlet.certify import _functions as functions
from gauntlet.certify import _linear as linear
from gauntlet.certify import _shaping as shaping
from gauntlet.certify._ops import Convolution, Dense, Scale
from gauntlet.certify._symbols import Program, Value, refuse

Translation = Callable[[Program, nn.Module, Value, str], Value]


def _conv2d(program: Program, layer: nn.Conv2d, value: Value, name: str) -> Value:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        refuse(f"{name} with padding {layer.padding} of {layer.padding_mode}")
    if len(value.shape) != 3:
        refuse(f"{name} of values of shape {value.shape}")
    grid = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return program.apply(Convolution(_weights(layer), grid, value.shape), value)


def _linear(program: Program, layer: nn.Linear, value: Value, name: str) -> Value:
    return program.apply(Dense(_weights(layer)), value)


def _weights(layer: nn.Module) -> Callable[[], tuple[Tensor, Tensor | None]]:
    return lambda: (layer.weight, layer.bias)


def _batch_norm(program: Program, layer: nn.BatchNorm2d, value: Value, name: str) -> Value:
    if layer.running_mean is None or layer.running_var is None:
        refuse(f"{name} of the batch's own mean")
    dimensions = len(value.shape)

    def constants() -> tuple[Tensor, Tensor]:
        held = (layer.running_mean, layer.running_var, layer.weight, layer.bias)
        return linear.folded(*held, layer.eps, dimensions)

    return program.apply(Scale(constants), value)


def _max_pool(program: Program, layer: nn.MaxPool2d, value: Value, name: str) -> Value:
    if layer.ceil_mode or layer.return_indices:
        refuse(name, "with ceil_mode or return_indices")
    window = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return linear.max_pool(program, value, *window)


def _average_pool(program: Program, layer: nn.AvgPool2d, value: Value, name: str) -> Value:
    window = (layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
    more = (layer.count_include_pad, layer.divisor_override)
    return linear.average_pool(program, value, *window, *more)


def _shaped(program: Program, layer: nn.Module, value: Value, name: str) -> Value:
    return shaping.reshape(program, value)


def _same(program: Program, layer: nn.Module, value: Value, name: str) -> Value:
    return refuse(f"{name} in training") if layer.training else value


def _constant_pad(program: Program, layer: nn.ConstantPad2d, value: Value, name: str) -> Value:
    return shaping.pad(program, value, layer.padding, "constant", layer.value)


def _zero_pad(program: Program, layer: nn.ZeroPad2d, value: Value, name: str) -> Value:
    return shaping.pad(program, value, layer.padding)


def _padded(mode: str) -> Translation:
    return lambda program, layer, value, name: shaping.pad(program, value, layer.padding, mode)


def _upsample(program: Program, layer: nn.Upsample, value: Value, name: str) -> Value:
    size = (layer.size, layer.scale_factor, layer.mode, layer.align_corners)
    return linear.interpolate(program, value, *size, layer.recompute_scale_factor)


def _as(function: Callable[..., Value], *attributes: str) -> Translation:
    """Translate a layer as a function of its value and some of its attributes."""
    return lambda program, layer, value, name: function(
        program, value, *(getattr(layer, attribute) for attribute in attributes)
    )


LAYERS: dict[type, Translation] = {
    nn.Conv2d: _conv2d,
    nn.Linear: _linear,
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm), _batch_norm),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _as(linear.adaptive_average_pool, "output_size"),
    nn.AdaptiveMaxPool2d: _as(linear.adaptive_max_pool, "output_size", "return_indices"),
    **dict.fromkeys((nn.Flatten, nn.Unflatten), _shaped),
    nn.Identity: lambda program, layer, value, name: value,
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout), _same),
    nn.ReLU: _as(functions.relu),
    nn.LeakyReLU: _as(functions.leaky_relu, "negative_slope"),
    nn.ReLU6: _as(functions.relu6),
    nn.Hardtanh: _as(functions.hardtanh, "min_val", "max_val"),
    nn.Hardsigmoid: _as(functions.hardsigmoid),
    nn.Sigmoid: lambda program, layer, value, name: functions.bent("sigmoid", program, value),
    nn.Tanh: lambda program, layer, value, name: functions.bent("tanh", program, value),
    nn.SiLU: _as(functions.silu),
    nn.GELU: _as(functions.gelu, "approximate"),
    nn.Softplus: _as(functions.softplus, "beta", "threshold"),
    nn.LogSigmoid: _as(functions.log_sigmoid),
    nn.ELU: _as(functions.elu, "alpha"),
    nn.CELU: _as(functions.celu, "alpha"),
    nn.SELU: _as(functions.selu),
    nn.ConstantPad2d: _constant_pad,
    nn.ZeroPad2d: _zero_pad,
    nn.ReflectionPad2d: _padded("reflect"),
    nn.ReplicationPad2d: _padded("replicate"),
    nn.Upsample: _upsample,
}
