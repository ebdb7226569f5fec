"""Blocks that certificates must refuse, or read as they are."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.helpers.steps import Block, Step, step


def _strange_constant(s, x):
    held = s.each * 1.0
    held += x
    return held - s.each


def _overwritten(s, x):
    kept = x * 1.0
    return F.relu_(kept) + kept


def _half_overwritten(s, x):
    kept = x * 2.0
    kept[:, 0].mul_(0.0)
    return kept


STRANGE: list[Block] = [
    step(lambda s, x: x * x),
    step(lambda s, x: x / (x.abs() + 1)),
    step(lambda s, x: torch.softmax(x, 1)),
    step(lambda s, x: torch.sin(x)),
    step(lambda s, x: x - x.mean(0, keepdim=True)),
    step(lambda s, x: x.flip(0)),
    step(lambda s, x: x[[1, 2, 0]]),
    step(lambda s, x: x.transpose(0, 1).reshape(x.shape)),
    step(lambda s, x: x.reshape(-1).flip(0).view(x.shape)),
    step(lambda s, x: x * x.shape[0] / 3),
    step(lambda s, x: x + 1e-6 * torch.randn(1)),
    step(lambda s, x: F.dropout(x)),
    step(lambda s, x: torch.where(x > 0, x, 0.1 * x)),
    step(lambda s, x: x * (x > 0.3)),
    step(lambda s, x: x.half().float()),
    step(lambda s, x: x.round()),
    step(lambda s, x: F.normalize(x)),
    step(lambda s, x: x.detach() * 2),
    step(lambda s, x: F.softplus(x, 1.0, 1.0)),
    step(lambda s, x: x + torch.zeros_like(x)),
    step(lambda s, x: x.mul_(2.0) + x),
    step(_overwritten),
    step(_half_overwritten),
    lambda source, x: Step(_strange_constant, each=torch.randn(x.shape)),
    lambda source, x: Step(lambda s, x: x + s.each, each=torch.randn(x.shape)),
    lambda source, x: Step(lambda s, x: torch.add(x, 1.0, out=s.each), each=torch.randn(x.shape)),
    lambda source, x: Step(lambda s, x: x * torch.linalg.norm(s.each), each=torch.randn(3)),
    lambda source, x: nn.GroupNorm(1, x.shape[1]),
    lambda source, x: nn.PReLU(),
    lambda source, x: nn.Softshrink(),
    lambda source, x: nn.RReLU(),
    lambda source, x: nn.Hardswish(),
    lambda source, x: nn.Threshold(0.1, 5.0),
]
