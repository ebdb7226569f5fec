"""What all attacks share: ask the model, count, judge in float32, keep the best examples."""

import torch
from torch import Tensor

from gauntlet.core.batched_model import NonFiniteLogits, Objective, as_batched
from gauntlet.core.threat_models import ORDERS, AttackResult

INFINITE = torch.inf


class AttackState:
    """One attack on images [N, C, H, W] with labels [N]: what it found, and what it cost.

    A candidate is a pair of an image (its row) and a point: an image may have several candidates
    in a call. An example counts only if float32 says that it is misclassified; of those that do
    not, the one of highest objective is kept.
    """

    def __init__(self, model, images: Tensor, labels: Tensor):
        self.batched, self.images, self.labels = as_batched(model), images, labels
        self.best = images.clone()
        self.value = torch.full((len(images),), -INFINITE, device=images.device)
        self.success = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        self.forwards = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        self.backwards, self.success_query = self.forwards.clone(), self.forwards.clone()

    def active(self) -> Tensor:
        """Give the rows [M] that have not fallen."""
        return (~self.success).nonzero().squeeze(1)

    def gradient(self, rows: Tensor, examples: Tensor, objective: Objective):
        """Give gradient, objective and who is misclassified, and keep what is worth keeping.

        `objective(logits, places)` gives a value for each of the named places among the candidates.
        """
        try:
            gradient, values, logits = self.batched.gradient(examples, objective)
        except NonFiniteLogits as error:
            raise NonFiniteLogits(int(rows[error.row])) from None
        self._count(rows, self.forwards, self.batched.samples)
        self._count(rows, self.backwards, self.batched.samples)
        missed = logits.argmax(1) != self.labels[rows]
        return gradient, values, self._record_confirmed(rows, examples, values, missed)

    def judge(self, rows: Tensor, examples: Tensor, objective: Objective | None = None):
        """Give the float32 logits [M, K] and who is misclassified, and keep what is worth keeping.

        Without an objective only examples that are misclassified are kept.
        """
        logits = self._logits(rows, examples)
        missed = logits.argmax(1) != self.labels[rows]
        places = torch.arange(len(rows), device=rows.device)
        values = torch.full_like(logits[:, 0], -INFINITE)
        self._record(rows, examples, objective(logits, places) if objective else values, missed)
        return logits, missed

    def result(self) -> AttackResult:
        """Give what was found."""
        return AttackResult(self.best, self.forwards, self.backwards, self.success_query)

    def screen(self, rows: Tensor, examples: Tensor, objective: Objective | None = None):
        """Do as `judge` does, but ask float32 only where a lower precision says one has fallen."""
        if not self.batched.low_precision:
            return self.judge(rows, examples, objective)
        logits = self._logits(rows, examples, self.batched.fast_logits)
        missed = logits.argmax(1) != self.labels[rows]
        places = torch.arange(len(rows), device=rows.device)
        values = objective(logits, places) if objective else torch.full_like(logits[:, 0], -INFINITE)
        return logits, self._record_confirmed(rows, examples, values, missed)

    def _logits(self, rows: Tensor, examples: Tensor, ask=None) -> Tensor:
        try:
            logits = (ask or self.batched)(examples)
        except NonFiniteLogits as error:
            raise NonFiniteLogits(int(rows[error.row])) from None
        self._count(rows, self.forwards)
        return logits

    def _record_confirmed(self, rows: Tensor, examples: Tensor, values: Tensor, missed: Tensor) -> Tensor:
        """Keep what is worth keeping, and give who is misclassified.

        Of those that a lower precision says have fallen, float32 is asked about the ones that would
        be kept; the word on the others is that of the lower precision, and they are not kept.
        """
        if not self.batched.low_precision or not bool(missed.any()):
            self._record(rows, examples, values, missed)
            return missed
        asked = missed & self._improves(rows, examples, values, missed)
        chosen, sure = asked.nonzero().squeeze(1), torch.zeros_like(missed)
        if len(chosen):
            logits = self._logits(rows[chosen], examples[chosen])
            sure[chosen] = logits.argmax(1) != self.labels[rows[chosen]]
        self._record(rows, examples, values, sure)
        return torch.where(asked, sure, missed)

    def _count(self, rows: Tensor, counter: Tensor, times: int = 1) -> None:
        counter.index_add_(0, rows, torch.full_like(rows, times))

    def _record(self, rows: Tensor, examples: Tensor, values: Tensor, missed: Tensor) -> None:
        values = torch.where(values.isnan(), -INFINITE, values)
        better = self._improves(rows, examples, values, missed)
        chosen = better.nonzero().squeeze(1)
        if len(chosen) == 0:
            return
        chosen = self._best_per_image(rows, chosen, self._rank(rows, examples, values, missed))
        won, hit = rows[chosen], missed[chosen]
        self.best[won], self.value[won] = (
            examples[chosen],
            self._score(examples, values, won, chosen),
        )
        fresh = won[hit & ~self.success[won]]
        self.success_query[fresh] = self.forwards[fresh]
        self.success[won] |= hit

    def _improves(self, rows, examples, values, missed) -> Tensor:
        success = self.success[rows]
        return (missed & ~success) | ((missed == success) & (values > self.value[rows]))

    def _rank(self, rows, examples, values, missed) -> Tensor:
        """Order one image's candidates: those that are misclassified first, then by objective."""
        return torch.where(missed, torch.inf, values)

    def _score(self, examples, values, won, chosen) -> Tensor:
        return values[chosen]

    def _best_per_image(self, rows: Tensor, chosen: Tensor, rank: Tensor) -> Tensor:
        """Keep, of each image's chosen candidates, the first of highest rank."""
        owners = rows[chosen]
        if len(owners) < 2 or bool((owners[1:] > owners[:-1]).all()):
            return chosen
        order = rank[chosen].argsort(stable=True, descending=True)
        order = order[owners[order].argsort(stable=True)]
        first = torch.ones_like(order, dtype=torch.bool)
        first[1:] = owners[order][1:] != owners[order][:-1]
        return chosen[order[first]]


class MinimumNormState(AttackState):
    """A hunt for the nearest misclassified example: `value` is minus its distance in `norm`.

    An image whose clean prediction is wrong is not told apart; an image of which nothing was found
    keeps its clean self, at distance infinity.
    """

    def __init__(self, model, images: Tensor, labels: Tensor, norm: str):
        super().__init__(model, images, labels)
        self.norm = norm

    def distance(self) -> Tensor:
        """Give the distance of the nearest example that was found, infinity without one: [N]."""
        return -self.value

    def measure(self, rows: Tensor, examples: Tensor) -> Tensor:
        """Give the distance [M] of examples from the images in `rows`."""
        offset = (examples - self.images[rows]).flatten(1)
        return torch.linalg.vector_norm(offset, ORDERS[self.norm], dim=1)

    def _improves(self, rows, examples, values, missed) -> Tensor:
        return missed & (-self.measure(rows, examples) > self.value[rows])

    def _rank(self, rows, examples, values, missed) -> Tensor:
        return torch.where(missed, -self.measure(rows, examples), -INFINITE)

    def _score(self, examples, values, won, chosen) -> Tensor:
        return -self.measure(won, examples[chosen])
