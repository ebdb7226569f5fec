"""Small random networks, written in the many ways in which people write PyTorch.

Each block takes a random source and an example [N, ...] and gives a module that maps it, so that
shapes always fit. Layers, functions and methods appear side by side, also called by keyword,
shared, in residual branches, with odd attributes, and in place.
"""

import random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.helpers.random_blocks import BOTH, FLAT, IMAGE
from tests.helpers.steps import Step, len_of
from tests.helpers.strange_blocks import STRANGE


def network(seed: int, strange: float = 0.1) -> tuple[nn.Module, Tensor]:
    """Give a network in eval mode and three images; some have a block that must be refused."""
    source = random.Random(seed)
    torch.manual_seed(seed)
    images = torch.rand(
        3, source.choice((1, 2, 3)), source.choice((3, 4, 5)), source.choice((4, 5))
    )
    blocks, example = [], images.clone()
    for _ in range(source.randint(1, 4)):
        _append(blocks, source, example, IMAGE + BOTH, strange)
        example = blocks[-1](example.clone())
    blocks.append(_flattening(source, example))
    example = blocks[-1](example.clone())
    for _ in range(source.randint(0, 3)):
        _append(blocks, source, example, FLAT + BOTH, strange)
        example = blocks[-1](example.clone())
    blocks.append(nn.Linear(example.shape[1], source.choice((2, 3, 4))))
    model = nn.Sequential(*blocks).eval().requires_grad_(False)
    _unsettle(model)
    return model, images


def _append(blocks: list, source: random.Random, example: Tensor, known: list, strange: float):
    odd = source.random() < strange
    for _ in range(50):
        made = source.choice(STRANGE if odd else known)
        try:
            block = made(source, example).eval()
            given = block(example.clone())
        except (RuntimeError, ValueError, IndexError, ZeroDivisionError):
            continue  # it does not fit these shapes
        if 0 < given[0].numel() <= 160 and given.dim() == example.dim() and len(given) == 3:
            blocks.append(block)
            return
    blocks.append(nn.Identity())


def _unsettle(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)


def _flattening(source: random.Random, x: Tensor) -> nn.Module:
    return source.choice(
        (
            nn.Flatten(),
            Step(lambda s, x: x.flatten(1)),
            Step(lambda s, x: x.contiguous().view(x.size(0), -1)),
            Step(lambda s, x: torch.flatten(x, start_dim=1)),
            Step(lambda s, x: x.mean((2, 3))),
            Step(lambda s, x: torch.reshape(x, (x.shape[0], -1))),
            Step(lambda s, x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)),
            Step(lambda s, x: x.permute(0, 2, 3, 1).contiguous().view(len_of(x), -1)),
        )
    )
