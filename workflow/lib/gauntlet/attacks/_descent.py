"""The loop that gradient attacks with a fixed eps share; the norm's hooks are in `threat`."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.threat import Attempt, L2Ball, LinfBall


@dataclass
class _Best:
    """The best example so far of every image: one that fell, else the one of highest loss."""

    images: Tensor
    loss: Tensor
    fell: Tensor
    steps: Tensor

    def offer(self, rows: Tensor, images: Tensor, loss: Tensor, fell: Tensor) -> None:
        """Take the offered examples that are better than what is kept."""
        better = (fell & ~self.fell[rows]) | ((fell == self.fell[rows]) & (loss > self.loss[rows]))
        won = rows[better]
        self.images[won], self.loss[won] = images[better], loss[better]
        self.fell[won] |= fell[better]


def input_gradient(model, examples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the gradient of the cross-entropy by the input, the losses [N] and the logits [N, K].

    The loss is summed over images, so that no image's gradient depends on the batch; parameters
    get no gradient.
    """
    leaf = examples.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = model(leaf)
        losses = cross_entropy(logits.float(), labels, reduction="none")
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return gradient.float(), losses.detach(), logits.detach()


@torch.no_grad()
def judged(model, examples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Give the losses [N] and who is misclassified, bool [N], without a gradient."""
    logits = model(examples).float()
    return cross_entropy(logits, labels, reduction="none"), logits.argmax(1) != labels


def full_climb(model, labels: Tensor, area: LinfBall | L2Ball, start: Tensor, *, steps, step):
    """Take all steps for all images, as training and loss statistics ask.

    `labels` are classes [N] or probabilities [N, K].
    """
    examples = start
    for _ in range(steps):
        gradient, _, _ = input_gradient(model, examples, labels)
        examples = area.ascend(examples, gradient, step)
    return Attempt(examples, labels.new_full((len(labels),), steps, dtype=torch.int64))


def survivors_climb(model, labels: Tensor, area, starts, *, steps, step) -> Attempt:
    """Climb from each start in turn, only with images that have not fallen yet.

    The forward pass of a step also judges the step before. `starts` yields images like the
    area's; it is called for once a restart.
    """
    count = len(labels)
    best = _Best(
        area.images.clone(),
        torch.full((count,), -torch.inf, device=labels.device),
        torch.zeros(count, dtype=torch.bool, device=labels.device),
        torch.zeros_like(labels),
    )
    for start in starts:
        rows = (~best.fell).nonzero().squeeze(1)
        if len(rows) == 0:
            break
        _climb_once(model, labels, area, start, rows, best, steps, step)
    return Attempt(best.images, best.steps)


def _climb_once(model, labels, area, start, rows, best: _Best, steps: int, step: float) -> None:
    examples, part = start[rows], area.select(rows)
    for _ in range(steps):
        gradient, losses, logits = input_gradient(model, examples, labels[rows])
        best.steps[rows] += 1
        fell = logits.argmax(1) != labels[rows]
        best.offer(rows, examples, losses, fell)
        if bool(fell.any()):
            stay = ~fell
            rows, examples, gradient = rows[stay], examples[stay], gradient[stay]
            part = part.select(stay.nonzero().squeeze(1))
        if len(rows) == 0:
            return
        examples = part.ascend(examples, gradient, step)
    losses, fell = judged(model, examples, labels[rows])
    best.steps[rows] += 1
    best.offer(rows, examples, losses, fell)
