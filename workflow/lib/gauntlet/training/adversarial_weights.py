"""Adversarial weight perturbation: a loss is taken where weights were moved to raise it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def perturbed(step, batch: tuple, gamma: float) -> Iterator[None]:
    """Move a step's weights for a while so that the loss of a batch rises, by gamma of their norm.

    Source: Wu et al. 2020, "Adversarial Weight Perturbation Helps Robust Generalization": one step
    along the gradient, for each weight of more than one dimension. Inside the context the step
    computes its loss on the same examples; afterwards weights are as they were, to the bit, and
    buffers (batch norm's statistics) as after one pass.
    """
    *_, stream, done = batch
    weights = [w for w in step.model.parameters() if w.requires_grad and w.dim() > 1]
    before, buffers = stream.get_state(), [b.clone() for b in step.model.buffers()]
    step.given = inner = step.inner(stream, done)
    loss = step(*batch)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    stream.set_state(before)
    inner.replay()
    kept = [weight.detach().clone() for weight in weights]
    try:
        _restore(step.model, buffers)
        _move(weights, gradients, gamma)
        yield
    finally:
        step.given = None
        with torch.no_grad():
            for weight, old in zip(weights, kept, strict=True):
                weight.copy_(old)


@torch.no_grad()
def _move(weights: list[nn.Parameter], gradients: tuple[Tensor | None, ...], gamma: float) -> None:
    for weight, gradient in zip(weights, gradients, strict=True):
        size = None if gradient is None else gradient.norm()
        if size is not None and bool(size > 0):
            weight.add_(gradient * (gamma * weight.norm() / size))


@torch.no_grad()
def _restore(model: nn.Module, buffers: list[Tensor]) -> None:
    for buffer, old in zip(model.buffers(), buffers, strict=True):
        buffer.copy_(old)
