"""The angle between two gradients that single-step training computes anyway."""

import torch
from torch import Tensor


class GradientWatch:
    """The cosine between the gradient that made an example and the loss's gradient at the example.

    Where the loss is nearly linear the two agree; it falls when single-step training begins to
    collapse (Andriushchenko & Flammarion 2020, "Understanding and Improving Fast Adversarial
    Training"). The second gradient comes with the update's backward pass. Without `watching`,
    nothing is computed.
    """

    def __init__(self, watching: bool):
        self.watching = watching
        self._pair: tuple[Tensor, Tensor] | None = None

    def between(self, gradient: Tensor, examples: Tensor) -> Tensor:
        """Give the examples, so that the loss's backward pass leaves its gradient at them."""
        if not self.watching:
            return examples
        examples = examples.detach().requires_grad_()
        self._pair = gradient, examples
        return examples

    def cosines(self) -> Tensor:
        """Give, after the backward pass, the sum of the images' cosines and their number: [2].

        Images at which one of the gradients is zero do not count.
        """
        pair, self._pair = self._pair, None
        if pair is None or pair[1].grad is None:
            return torch.zeros(2)
        first, second = pair[0].flatten(1), pair[1].grad.flatten(1).to(pair[0].dtype)
        sizes = first.norm(dim=1) * second.norm(dim=1)
        counted = sizes > 0
        found = (first * second).sum(1)[counted] / sizes[counted]
        return torch.stack([found.sum(), counted.sum().to(found.dtype)])
