"""The state of an attack: what it found and what it cost. Every success is judged in float32."""

import torch
from torch import Tensor

from gauntlet.core.batched_model import NonFiniteLogits, Objective, as_batched
from gauntlet.core.errors import GauntletError
from gauntlet.core.threat_models import ORDERS, AttackResult

INFINITE = torch.inf


class AttackState:
    """One attack on images [N, C, H, W] with labels [N].

    A candidate is a pair of an image (its row) and a point; an image may have several candidates
    in a call. `best` [N, C, H, W] is the example to give back for each image: one that float32 says
    is misclassified, else the one of highest objective. `success` [N] tells which it is, `value`
    [N] is its objective; `forwards`, `backwards` and `success_query` [N] count passes.
    """

    def __init__(self, model, images: Tensor, labels: Tensor):
        if labels.dim() != 1:
            raise GauntletError("labels are probabilities; this attack takes classes [N].")
        self.batched, self.images, self.labels = as_batched(model), images, labels
        self.best = images.clone()
        self.value = torch.full((len(images),), -INFINITE, device=images.device)
        self.success = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        self.forwards = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        self.backwards, self.success_query = self.forwards.clone(), self.forwards.clone()

    def active(self) -> Tensor:
        """Give the rows [M] of images without a misclassified example."""
        return (~self.success).nonzero().squeeze(1)

    def gradient(self, rows: Tensor, examples: Tensor, objective: Objective):
        """Give the gradient, the objective [M] and which are misclassified [M]; record the best.

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
        """Give the float32 logits [M, K] and which are misclassified [M]; record the best.

        Without an objective only misclassified examples are recorded.
        """
        logits = self._logits(rows, examples)
        missed = logits.argmax(1) != self.labels[rows]
        self._record(rows, examples, self._values(logits, objective), missed)
        return logits, missed

    def screen(self, rows: Tensor, examples: Tensor, objective: Objective | None = None):
        """Do as `judge`: what asks only logits is computed in float32."""
        return self.judge(rows, examples, objective)

    def ask(self, rows: Tensor, examples: Tensor) -> Tensor:
        """Give the float32 logits [M, K] and record nothing."""
        return self._logits(rows, examples)

    def record(self, rows: Tensor, examples: Tensor, values: Tensor, missed: Tensor) -> None:
        """Keep examples that are better than what their image has, by `ask`'s logits."""
        self._record(rows, examples, values, missed)

    def result(self) -> AttackResult:
        """Give what was found."""
        return AttackResult(self.best, self.forwards, self.backwards, self.success_query)

    def _values(self, logits: Tensor, objective: Objective | None) -> Tensor:
        if objective is None:
            return torch.full_like(logits[:, 0], -INFINITE)
        return objective(logits, torch.arange(len(logits), device=logits.device))

    def _logits(self, rows: Tensor, examples: Tensor) -> Tensor:
        try:
            logits = self.batched(examples)
        except NonFiniteLogits as error:
            raise NonFiniteLogits(int(rows[error.row])) from None
        self._count(rows, self.forwards)
        return logits

    def _record_confirmed(self, rows: Tensor, examples: Tensor, values: Tensor, missed: Tensor):
        """Record the best and give which are misclassified [M], confirmed in float32.

        In a lower precision, only those successes are confirmed that would be recorded; the others
        keep the answer of the lower precision and are not recorded.
        """
        if not self.batched.low_precision or not bool(missed.any()):
            self._record(rows, examples, values, missed)
            return missed
        asked = missed & self._improves(rows, examples, values, missed)
        chosen, confirmed = asked.nonzero().squeeze(1), torch.zeros_like(missed)
        if len(chosen):
            logits = self._logits(rows[chosen], examples[chosen])
            confirmed[chosen] = logits.argmax(1) != self.labels[rows[chosen]]
        self._record(rows, examples, values, confirmed)
        return torch.where(asked, confirmed, missed)

    def _count(self, rows: Tensor, counter: Tensor, times: int = 1) -> None:
        counter.index_add_(0, rows, torch.full_like(rows, times))

    def _record(self, rows: Tensor, examples: Tensor, values: Tensor, missed: Tensor) -> None:
        """Keep candidates that are better than what their image has."""
        values = torch.where(values.isnan(), -INFINITE, values)
        chosen = self._improves(rows, examples, values, missed).nonzero().squeeze(1)
        if len(chosen) == 0:
            return
        chosen = self._best_per_image(rows, chosen, self._rank(rows, examples, values, missed))
        images, hit = rows[chosen], missed[chosen]
        self.best[images] = examples[chosen]
        self.value[images] = self._score(examples, values, images, chosen)
        fresh = images[hit & ~self.success[images]]
        self.success_query[fresh] = self.forwards[fresh]
        self.success[images] |= hit

    def _improves(self, rows, examples, values, missed) -> Tensor:
        """Tell which candidates are better than what their image has: bool [M]."""
        success = self.success[rows]
        return (missed & ~success) | ((missed == success) & (values > self.value[rows]))

    def _rank(self, rows, examples, values, missed) -> Tensor:
        """Order one image's candidates: those that are misclassified first, then by objective."""
        return torch.where(missed, torch.inf, values)

    def _score(self, examples, values, images, chosen) -> Tensor:
        """Give the `value` of recorded candidates."""
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
    """The state of a search for the nearest misclassified example, in `norm`.

    `value` is minus the distance. An image that is misclassified without a change has itself at
    distance 0; one without any example keeps its clean image, at distance infinity.
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

    def _score(self, examples, values, images, chosen) -> Tensor:
        return -self.measure(images, examples[chosen])
