"""Attacks in turn: each runs on the images on which those before it failed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks.base.losses import margin
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits, as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, admissible


@dataclass(frozen=True)
class Member:
    """One attack of an ensemble, and the images that it is for.

    It is for those of which at least `least` and less than `most` of their clean margin is left,
    where the margin is the label's logit minus the highest other one. `warm`: it takes `start`,
    the examples of lowest margin that were found before.
    """

    name: str
    attack: Callable
    least: float = -torch.inf
    most: float = torch.inf
    warm: bool = False

    @property
    def chooses(self) -> bool:
        """Tell whether it needs to know what the members before it came to."""
        return self.warm or self.least > -torch.inf or self.most < torch.inf


def in_turn(
    model,
    images: Tensor,
    labels: Tensor,
    streams: Streams,
    members: Sequence[Member],
    norm: str,
    eps: float,
) -> AttackResult:
    """Run attacks in turn on images [N, C, H, W]; `success_by` says which one succeeded.

    An attack gets only the images that it is for and on which those before it failed. Success is
    an example that is misclassified and lies in the ball. Which attacks an image gets does not
    depend on other images.
    """
    run = _Run(as_batched(model), images, labels, any(member.chooses for member in members))
    for number, member in enumerate(members):
        rows = run.rows_for(member)
        if len(rows) == 0:
            continue
        given = {"streams": streams.select(rows).fork("member", member.name)}
        given |= {"start": run.best[rows]} if member.warm else {}
        with _own_rows(rows):
            result = member.attack(run.batched, images[rows], labels[rows], **given)
            inside = admissible(result.images, images[rows], norm, eps)
            run.take(number, rows, result, inside)
    return run.result(tuple(member.name for member in members))


class _Run:
    """What an ensemble has found: `best` examples, and the margin that each image has left."""

    def __init__(self, batched: BatchedModel, images: Tensor, labels: Tensor, measures: bool):
        self.batched, self.labels, self.best = batched, labels, images.clone()
        self.forwards = torch.zeros_like(labels)
        self.backwards, self.success_query = self.forwards.clone(), self.forwards.clone()
        self.by, self.measures = self.forwards - 1, measures
        if measures:
            self.clean = self._left(torch.arange(len(labels), device=labels.device), images)
            self.left = self.clean.clone()

    def rows_for(self, member: Member) -> Tensor:
        """Give the rows [M] of the images that a member is to attack."""
        wanted = self.by < 0
        if member.chooses:
            share = self.left / self.clean
            wanted &= ~((share < member.least) | (share >= member.most))  # NaN is no reason to skip
        return wanted.nonzero().squeeze(1)

    def take(self, number: int, rows: Tensor, result: AttackResult, inside: Tensor) -> None:
        """Record what a member came to on the images of some rows, where it lies in the ball."""
        success = (result.success_query > 0) & inside
        before = self.forwards[rows]
        self.success_query[rows] = torch.where(success, before + result.success_query, 0)
        self.forwards[rows] += result.forwards
        self.backwards[rows] += result.backwards
        kept = success if number else torch.ones_like(success)
        if self.measures:
            unbroken = inside & ~success
            kept = kept | self._nearer(rows, result.images, unbroken)
        self.best[rows[kept]] = result.images[kept]
        self.by[rows[success]] = number

    def _nearer(self, rows: Tensor, examples: Tensor, measured: Tensor) -> Tensor:
        """Measure some examples, all classified correctly; tell which are the nearest so far."""
        nearer, rows = torch.zeros_like(measured), rows[measured]
        left = self._left(rows, examples[measured])
        nearer[measured] = left < self.left[rows]
        self.left[rows] = torch.minimum(left, self.left[rows])
        return nearer

    def _left(self, rows: Tensor, examples: Tensor) -> Tensor:
        self.forwards[rows] += 1
        return -margin(self.batched(examples), self.labels[rows]) if len(rows) else self.left[rows]

    def result(self, names: tuple[str, ...]) -> AttackResult:
        counts = (self.forwards, self.backwards, self.success_query)
        return AttackResult(self.best, *counts, self.by, names)


@contextmanager
def _own_rows(rows: Tensor) -> Iterator[None]:
    """Name the image of the ensemble's call, not of a member's, where logits are not finite."""
    try:
        yield
    except NonFiniteLogits as error:
        raise NonFiniteLogits(int(rows[error.row])) from None
