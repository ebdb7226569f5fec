"""Lower slopes of ReLU that are improved for the bound at hand (alpha-CROWN).

Source: Xu et al. 2021, "Fast and Complete: Enabling Complete Verification with Massively Parallel
Incomplete Verifiers".
"""

from dataclasses import replace

import torch
from torch import Tensor

from gauntlet.certify._bounds import Bounds
from gauntlet.certify._margins import linear_margins
from gauntlet.certify._ops import Activation
from gauntlet.certify._relaxed import Lines


def improved_margins(
    bounds: Bounds, labels: Tensor, start: Tensor, steps: int, learning_rate: float
) -> Tensor:
    """Give the best margins [N, K - 1] found; any slope between the sides of a kink is sound.

    Each example has its own slopes, shared by its margins; Adam raises the sum of the margins that
    are not above 0 yet, and every margin keeps its best.
    """
    lines = {
        n: line for n, line in bounds.lines.items() if isinstance(bounds.nodes[n].op, Activation)
    }
    with torch.enable_grad():
        slopes = {n: line.low.detach().clone().requires_grad_(True) for n, line in lines.items()}
        if not slopes:
            return start
        optimizer, best = torch.optim.Adam(slopes.values(), lr=learning_rate), start
        for _ in range(steps):
            found = linear_margins(_with(bounds, lines, slopes), labels)
            best = torch.maximum(best, found.detach())
            if bool((best > 0).all()):
                break
            optimizer.zero_grad()
            (-found * (best <= 0)).sum().backward()
            optimizer.step()
            _project(bounds, slopes)
        return torch.maximum(best, linear_margins(_with(bounds, lines, slopes), labels).detach())


def _with(bounds: Bounds, lines: dict[int, Lines], slopes: dict[int, Tensor]) -> Bounds:
    changed = {
        n: replace(line, low=torch.where(line.free, slopes[n], line.low))
        for n, line in lines.items()
    }
    return replace(bounds, lines=bounds.lines | changed)


def _project(bounds: Bounds, slopes: dict[int, Tensor]) -> None:
    with torch.no_grad():
        for number, slope in slopes.items():
            slope.clamp_(bounds.nodes[number].op.slope, 1.0)
