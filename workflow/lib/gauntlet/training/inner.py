"""What a defense computes inside a step, in eval mode: its attack, and gradients by the images."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.fast_layers import FastLayers
from gauntlet.core.image_rng import Streams
from gauntlet.core.input_grad import for_images
from gauntlet.models import evaluating
from gauntlet.training.gradient_watch import GradientWatch
from gauntlet.training.precision import widened


class Inner:
    """The inner maximization of one batch, at the radius and the step that it has by now.

    `settings` are those of the defense's attack, or None; `size` is the share of eps that the ramp
    allows, `step` the share of its step that is left after rollbacks. After `replay`, every call
    gives again, in their order, what the calls before gave: an adversarial weight perturbation
    computes a loss twice on the same examples.
    """

    def __init__(self, model: nn.Module, settings: dict | None, size: float, step: float, stream):
        self.model, self.size, self.step, self.stream = model, size, step, stream
        shares = {"eps": size, "step": size * step}
        own = settings or {}
        self.settings = own | {key: own[key] * shares[key] for key in shares if key in own}
        self.eps, self.norm = self.settings.get("eps", 0.0), own.get("norm", "linf")
        self.batch, self.precision, self.watch = 128, "float32", GradientWatch(False)
        self._made: list[Tensor] = []
        self._given: list[Tensor] = []

    def replay(self) -> None:
        """Give from now on what was given before, from the first call on."""
        self._given = self._made[::-1]

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Give adversarial images [N, C, H, W]; `labels` are classes [N] or soft ones [N, K]."""
        return self._once(lambda: self._attacked(images, labels))

    def gradient(self, points: Tensor, objective: Callable[[Tensor], Tensor]) -> Tensor:
        """Give the gradient [N, C, H, W] of a sum, `objective(logits)`, by the points."""
        return self._once(lambda: input_gradient(self.model, points, objective))

    def sign_step(self, points: Tensor, length: float, objective) -> Tensor:
        """Take one step of a length along the sign of the gradient, cut to [0, 1]."""

        def stepped() -> Tensor:
            gradient = input_gradient(self.model, points, objective)
            moved = points + self.step * length * gradient.sign()
            return self.watch.between(gradient, moved.clamp(0, 1))

        return self._once(stepped)

    def _once(self, make: Callable[[], Tensor]) -> Tensor:
        if self._given:
            return self._given.pop()
        self._made.append(make())
        return self._made[-1]

    def _attacked(self, images: Tensor, labels: Tensor) -> Tensor:
        batched = _Recorded(self.model, self.batch, self.precision)
        streams = Streams.from_generator(self.stream, len(images))
        with evaluating(self.model):
            chosen = bind(self.settings)
            found = chosen(batched, images, labels, streams=streams, early_stop=False).images
        return self.watch.between(batched.last[-1], found) if batched.last else found


class _Recorded(BatchedModel):
    """A model that remembers the last gradient that it gave; its copies share the memory."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.last: list[Tensor] = []

    def gradient(self, images: Tensor, objective) -> tuple[Tensor, Tensor, Tensor]:
        """Give gradient, values and logits as every BatchedModel does."""
        found = super().gradient(images, objective)
        self.last[:] = [found[0]]
        return found


def input_gradient(model: nn.Module, points: Tensor, objective) -> Tensor:
    """Give the gradient of `objective(logits)`, a sum over the images, by the points: no graph.

    The model is in eval mode meanwhile, and its weights get no gradient.
    """
    leaf = points.detach().requires_grad_()
    with evaluating(model), torch.enable_grad():
        with FastLayers(for_images):
            logits = model(leaf)
        (gradient,) = torch.autograd.grad(objective(widened(logits)), leaf, materialize_grads=True)
    return widened(gradient)
