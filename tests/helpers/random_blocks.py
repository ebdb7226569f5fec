"""Blocks of random networks, written in the many ways in which people write PyTorch."""

import random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.helpers.steps import Block, Step

SLOPES = (-1.5, -1.0, -0.3, 0.0, 0.01, 0.5, 1.0, 1.7)


def _conv(source: random.Random, x: Tensor) -> nn.Module:
    groups = source.choice([g for g in (1, x.shape[1]) if x.shape[1] % g == 0])
    out = groups * source.choice((1, 2))
    size, stride = source.choice((1, 2, 3)), source.choice((1, 2))
    more = {"stride": stride, "padding": source.choice((1, (1, 2))), "groups": groups}
    more["dilation"] = source.choice((1, 1, (1, 2)))
    layer = nn.Conv2d(x.shape[1], out, size, bias=source.random() < 0.7, **more)
    how = source.randrange(4)
    if how == 0:
        return Step(lambda s, x: s.parts[0](input=x), layer)
    if how == 1:
        grid = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return Step(lambda s, x: F.conv2d(x, s.parts[0].weight, s.parts[0].bias, *grid), layer)
    if how == 2:
        return Step(lambda s, x: F.conv2d(weight=s.parts[0].weight * 2, input=x, **more), layer)
    return layer


def _linear(source: random.Random, x: Tensor) -> nn.Module:
    layer = nn.Linear(x.shape[1], source.randint(2, 8), bias=source.random() < 0.7)
    return source.choice(
        (
            layer,
            Step(lambda s, x: s.parts[0](input=x), layer),
            Step(lambda s, x: F.linear(x, s.parts[0].weight, bias=s.parts[0].bias), layer),
            Step(
                lambda s, x: F.linear(x, weight=s.parts[0].weight - s.parts[0].weight.mean()), layer
            ),
            Step(lambda s, x: x @ s.parts[0].weight.t(), layer),
            Step(lambda s, x: torch.matmul(x, s.matrix), matrix=torch.randn(x.shape[1], 4)),
        )
    )


def _activation(source: random.Random, x: Tensor) -> nn.Module:
    slope, low, high = source.choice(SLOPES), source.uniform(-1, 0), source.uniform(0, 1)
    alpha, beta = source.choice((0.5, 1.0, 2.0)), source.choice((0.5, 1.0, 3.0))
    return source.choice(
        (
            nn.ReLU(),
            nn.ReLU(inplace=True),
            nn.LeakyReLU(slope),
            nn.ReLU6(),
            nn.Hardtanh(low, high),
            nn.Hardsigmoid(),
            nn.Sigmoid(),
            nn.Tanh(),
            nn.SiLU(),
            nn.GELU(),
            nn.GELU(approximate="tanh"),
            nn.Softplus(beta),
            nn.ELU(alpha),
            nn.CELU(alpha),
            nn.SELU(),
            nn.LogSigmoid(),
            Step(lambda s, x: F.leaky_relu(x, slope)),
            Step(lambda s, x: F.leaky_relu(input=x, negative_slope=slope)),
            Step(lambda s, x: F.relu(x)),
            Step(lambda s, x: x.relu_()),
            Step(lambda s, x: torch.relu(input=x)),
            Step(lambda s, x: x.clamp(min=low)),
            Step(lambda s, x: x.clamp(low, high)),
            Step(lambda s, x: torch.clamp(x, max=high)),
            Step(lambda s, x: torch.clip(x, high, low)),
            Step(lambda s, x: F.hardtanh(x, min_val=low, max_val=high)),
            Step(lambda s, x: F.relu6(x)),
            Step(lambda s, x: x.sigmoid()),
            Step(lambda s, x: torch.tanh(x)),
            Step(lambda s, x: F.softplus(x, beta=beta)),
            Step(lambda s, x: F.elu(x, alpha)),
            Step(lambda s, x: F.gelu(x)),
            Step(lambda s, x: F.gelu(x, approximate="tanh")),
            Step(lambda s, x: F.silu(x)),
            Step(lambda s, x: x.abs()),
            Step(lambda s, x: abs(x)),
            Step(lambda s, x: torch.maximum(x, s.other), other=torch.randn(x.shape[1:]) / 4),
            Step(lambda s, x: torch.min(other=s.other, input=x), other=torch.zeros(())),
        )
    )


def _arithmetic(source: random.Random, x: Tensor) -> nn.Module:
    one, two = source.uniform(-2, 2), source.choice((-3.0, -0.5, 0.3, 2))
    each = torch.randn(x.shape[1:])
    return source.choice(
        (
            Step(lambda s, x: -x),
            Step(lambda s, x: one - x),
            Step(lambda s, x: x / two + one),
            Step(lambda s, x: torch.sub(x, one, alpha=2)),
            Step(lambda s, x: torch.rsub(x, one, alpha=two)),
            Step(lambda s, x: torch.add(s.each, x, alpha=-0.7), each=each),
            Step(lambda s, x: x.mul(s.each.abs() + 0.1).sub_(one), each=each),
            Step(lambda s, x: s.each * x, each=each[:1]),
            Step(lambda s, x: (x + s.each[None]) * two, each=each),
            Step(lambda s, x: x * x.shape[1]),
            Step(lambda s, x: torch.neg(x).add(other=one)),
            Step(lambda s, x: (x + 300.0) - 300.0),
            Step(lambda s, x: x - s.each, each=torch.randn(1, *x.shape[1:])),
            Step(lambda s, x: x.div(two).add_(one)),
            nn.Dropout(0.5),
            nn.Identity(),
            Step(lambda s, x: F.dropout(x, 0.5, s.training)),
            Step(lambda s, x: x.clone().mul_(two)),
            Step(lambda s, x: x.float()),
        )
    )


def _joined(source: random.Random, x: Tensor) -> nn.Module:
    """Branches that come together again; a module may stand in several of them."""
    shared = (
        nn.Conv2d(x.shape[1], x.shape[1], 3, padding=1)
        if x.dim() == 4
        else nn.Linear(x.shape[1], x.shape[1])
    )
    bend = source.choice((nn.ReLU(), nn.Tanh(), nn.LeakyReLU(-0.5), nn.GELU()))
    mean = source.choice((1, -1))
    return source.choice(
        (
            Step(lambda s, x: x + s.parts[0](x), shared),
            Step(lambda s, x: s.parts[1](s.parts[0](x)) - x, shared, bend),
            Step(lambda s, x: s.parts[0](s.parts[1](s.parts[0](x))), shared, bend),
            Step(lambda s, x: s.parts[0](x) + s.parts[0](-x), shared),
            Step(lambda s, x: torch.cat([x, s.parts[0](x)], 1), shared),
            Step(lambda s, x: torch.cat((s.parts[0](input=x), -x), dim=1), shared),
            Step(lambda s, x: torch.cat(dim=-1, tensors=[x, s.parts[1](x)]), shared, bend),
            Step(lambda s, x: torch.maximum(x, s.parts[0](x)), shared),
            Step(lambda s, x: torch.minimum(s.parts[0](x), other=x), shared),
            Step(lambda s, x: torch.max(x, s.parts[1](x)), shared, bend),
            Step(lambda s, x: torch.cat([torch.zeros_like(x)[:, :1] + 0.5, x], 1)),
            Step(lambda s, x: torch.stack([x, s.parts[0](x)], 1).mean(1), shared),
            Step(lambda s, x: x - x.mean(mean, keepdim=True)),
            Step(lambda s, x: torch.add(x, s.parts[0](x), alpha=-0.5), shared),
            Step(lambda s, x: torch.sub(input=s.parts[0](x), other=x), shared),
            Step(_halves),
            Step(_third),
        )
    )


def _halves(step: Step, x):
    width = x.shape[1] // 2
    one, two = x[:, : width + 1], x[:, x.size(1) - width - 1 :]
    return torch.maximum(one, two) - one


def _third(step: Step, x):
    parts = x.chunk(2, dim=-1)
    return torch.cat([parts[0].relu(), parts[0] * 2], dim=-1)


def _norm(source: random.Random, x: Tensor) -> nn.Module:
    kind = nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d
    layer = kind(x.shape[1], affine=source.random() < 0.7)

    def called(s, x):
        own = s.parts[0]
        return F.batch_norm(x, own.running_mean, own.running_var, weight=own.weight, bias=own.bias)

    return source.choice((layer, Step(called, layer)))


def _window(source: random.Random, x: Tensor) -> nn.Module:
    pad, stride = source.choice((0, 1)), source.choice((1, 2))
    return source.choice(
        (
            nn.MaxPool2d(2),
            nn.MaxPool2d(3, stride, pad),
            nn.AvgPool2d(2, stride, pad, ceil_mode=True),
            nn.AvgPool2d(2, stride, pad, count_include_pad=False, divisor_override=3),
            nn.AdaptiveAvgPool2d((2, 3)),
            Step(lambda s, x: F.max_pool2d(x, 2, stride=stride, padding=pad)),
            Step(lambda s, x: F.max_pool2d(x, kernel_size=(1, 2))),
            Step(lambda s, x: F.avg_pool2d(x, 2, ceil_mode=True)),
            Step(lambda s, x: F.adaptive_avg_pool2d(output_size=2, input=x)),
            Step(lambda s, x: F.adaptive_max_pool2d(x, 1)),
            nn.Upsample(scale_factor=2),
            Step(lambda s, x: F.interpolate(x, size=(3, 5))),
            Step(lambda s, x: F.interpolate(x, scale_factor=1.5, mode="bilinear")),
        )
    )


def _moved(source: random.Random, x: Tensor) -> nn.Module:
    edge, fill = source.choice((-1, 0, 1)), source.choice((0.0, -0.4, 1.0))
    order = torch.randperm(x.shape[1])
    return source.choice(
        (
            Step(lambda s, x: x.flip(-1)),
            Step(lambda s, x: torch.flip(x, (2, 3))),
            Step(lambda s, x: torch.flip(x, dims=[1])),
            Step(lambda s, x: x.transpose(2, 3)),
            Step(lambda s, x: x.permute(0, 1, 3, 2)),
            Step(lambda s, x: torch.permute(x, (0, 3, 2, 1))),
            Step(lambda s, x: x[:, :, 1:, ::2]),
            Step(lambda s, x: x[:, s.order], order=order),
            Step(lambda s, x: x[..., [0, 0, 2]]),
            Step(lambda s, x: x.index_select(1, s.order), order=order),
            Step(lambda s, x: x[:, 0].unsqueeze(1)),
            Step(lambda s, x: F.pad(x, (edge, 1, 0, 2), value=fill)),
            Step(lambda s, x: F.pad(x, (1, 1), mode="reflect")),
            nn.ZeroPad2d(1),
            nn.ConstantPad2d((1, 0, edge, 1), fill),
            nn.ReflectionPad2d(1),
            nn.ReplicationPad2d(2),
            Step(lambda s, x: x.reshape(x.shape[0], x.shape[1], -1).view(x.shape)),
            Step(lambda s, x: x.view(x.size(0), -1).view_as(x)),
            Step(lambda s, x: torch.split(x, [1, x.shape[2] - 1], dim=2)[1]),
            Step(lambda s, x: x.narrow(3, 1, 2) + x.narrow(3, 0, 2)),
            Step(lambda s, x: x.mean(1, keepdim=True).expand(-1, 2, -1, -1)),
        )
    )


IMAGE: list[Block] = [_conv, _conv, _norm, _window, _moved]

FLAT: list[Block] = [_linear, _linear, _norm]

BOTH: list[Block] = [_activation, _activation, _arithmetic, _joined]
