"""A model under audit: what the checks share, each thing computed once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.attacks.fgsm import fgsm
from gauntlet.attacks.gaussian_noise import gaussian_noise
from gauntlet.attacks.pgd import pgd
from gauntlet.attacks.square import square
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import fixed_draws
from gauntlet.core.scoring import outputs_note
from gauntlet.core.threat_models import admissible, per_image
from gauntlet.training.catastrophic_overfitting import find_collapse

ATTACKS = {"fgsm": fgsm, "pgd": pgd, "apgd": apgd, "square": square, "noise": gaussian_noise}
BUDGET = {"steps": 40, "queries": 500, "samples": 10}
PLAIN, STRAIGHT, AVERAGED, RESCALED = "plain", "straight", "averaged", "rescaled"
USUAL_GAP = 5.0  # logits between the first two classes, where a cross-entropy still has a gradient
MOST_GAP = 1e30


@dataclass(frozen=True)
class Outcome:
    """What one attack did to the audited images: who fell, bool [N], and its examples."""

    success: Tensor
    images: Tensor


@dataclass(frozen=True)
class Certified:
    """What a certificate says of images: places in the data set [M], whether proven [M], at eps."""

    kind: str
    norm: str
    eps: float
    index: Tensor
    holds: Tensor


@dataclass
class Subject:
    """A callable model, audited images [N, C, H, W] with labels [N] and places [N], and papers.

    `norm` and `eps` are the threat model; `budget` how much the attacks may cost (keys of BUDGET).
    `test` and `train` are the parts' whole images and labels; `history` the training's rows by
    epoch, `points` the attacks that were run on the test part
    (`AttackLedger`), and `certificates` what is proven. All but the first line may be empty.
    """

    model: Callable
    images: Tensor
    labels: Tensor
    index: Tensor
    norm: str
    eps: float
    seed: int = 0
    batch: int = 128
    budget: dict = field(default_factory=lambda: dict(BUDGET))
    test: tuple[Tensor, Tensor] | None = None
    train: tuple[Tensor, Tensor] | None = None
    history: Sequence[dict] = ()
    single_step: bool = False
    selection: str = "last"
    points: Sequence = ()
    certificates: Sequence[Certified] = ()
    _made: dict = field(default_factory=dict)

    def batched(self, view: str = PLAIN) -> BatchedModel:
        """Give the model as attacks see it: plain, or by a way around what hides gradients."""
        if view == STRAIGHT:
            return BatchedModel(self._straight, self.batch)
        if view == RESCALED:
            return BatchedModel(lambda images: self.model(images) * self.rescaling, self.batch)
        samples = self.budget["samples"] if view == AVERAGED else 1
        return BatchedModel(self.model, self.batch, samples=samples)

    @cached_property
    def _straight(self) -> StraightThrough:
        return StraightThrough(self.model)

    @cached_property
    def logits(self) -> Tensor:
        """Give the clean logits [N, K], of one pass."""
        with self.steady("clean"):
            return self.batched()(self.images)

    @property
    def right(self) -> Tensor:
        """Tell which images are classified rightly: bool [N]."""
        return self.logits.argmax(1) == self.labels

    @property
    def clean(self) -> float:
        """Give the clean accuracy."""
        return share(self.right)

    @property
    def classes(self) -> int:
        """Give the number of classes."""
        return self.logits.shape[1]

    @property
    def whole(self) -> float:
        """Give an eps whose ball holds every image there can be."""
        return 1.0 if self.norm == "linf" else self.images[0].numel() ** 0.5

    @cached_property
    def rescaling(self) -> float:
        """Give the factor that brings the gap between the first two classes to a usual size."""
        top = self.logits.topk(2, 1).values
        gap = float((top[:, 0] - top[:, 1]).median())
        return USUAL_GAP / gap if 0 < gap < MOST_GAP else 1.0

    @cached_property
    def note(self) -> str:
        """Say what the outputs are if they are no logits."""
        return outputs_note(self.batched(), self.images)

    @property
    def collapse(self) -> str | None:
        """Tell where the training collapsed, if its history says so."""
        return find_collapse(self.history, self.single_step) if self.history else None

    def attack(
        self, kind: str, view: str = PLAIN, after: Sequence[Outcome] = (), **settings
    ) -> Outcome:
        """Attack the images that are right and that no outcome in `after` felled; memoized.

        An image counts as fallen if float32 says, on the model itself, that its example is
        misclassified and admissible.
        """
        rows = self.active(*after).nonzero().squeeze(1)
        key = (kind, view, tuple(rows.tolist()), repr(sorted(settings.items())))
        if key not in self._made:
            self._made[key] = self._attacked(kind, view, rows, settings)
        return self._made[key]

    def _attacked(self, kind: str, view: str, rows: Tensor, settings: dict) -> Outcome:
        success, found = torch.zeros_like(self.right), self.images.clone()
        if len(rows):
            images, labels = self.images[rows], self.labels[rows]
            streams = Streams.of_images(self.seed, self.index[rows.cpu()], "audit", kind, view)
            with self.steady(kind, view):
                made = ATTACKS[kind](
                    self.batched(view), images, labels, streams=streams, **settings
                )
            found[rows] = made.images
            success[rows] = self.judged(made.images, rows, settings)
        return Outcome(success, found)

    def judged(self, examples: Tensor, rows: Tensor, settings: dict) -> Tensor:
        """Tell which examples of some rows are admissible and misclassified by the model: [M]."""
        norm, eps = settings.get("norm", "none"), settings.get("eps", 0.0)
        with self.steady("judge"):
            missed = self.batched()(examples).argmax(1) != self.labels[rows]
        return missed & admissible(examples, self.images[rows], norm, eps)

    def pgd(self, view: str = PLAIN, after: Sequence[Outcome] = (), **change) -> Outcome:
        """Run PGD on cross-entropy with the audit's steps; `change` replaces settings."""
        settings = {"norm": self.norm, "eps": self.eps, "steps": self.budget["steps"]} | change
        step = {"step": 2.5 * settings["eps"] / settings["steps"]}
        return self.attack("pgd", view, after, **step | settings)

    def one_step(self, eps: float | None = None) -> Outcome:
        """Take one gradient step of full length."""
        radius = self.eps if eps is None else eps
        return self.attack("fgsm", norm=self.norm, eps=radius, step=radius)

    @cached_property
    def scale_free(self) -> Outcome:
        """Climb losses that know no scale, on what PGD leaves."""
        loss = {"norm": self.norm, "eps": self.eps, "steps": self.budget["steps"], "loss": "margin"}
        return self.attack("apgd", after=[self.pgd()], **loss)

    def active(self, *outcomes: Outcome) -> Tensor:
        """Tell who is right and fell to none of the outcomes: bool [N]."""
        kept = self.right.clone()
        for outcome in outcomes:
            kept &= ~outcome.success
        return kept

    def accuracy(self, *outcomes: Outcome) -> float:
        """Give the accuracy that is left after some outcomes, worst case per image."""
        return share(self.active(*outcomes))

    def cross_entropy_gradient(self, images: Tensor, view: str = PLAIN) -> Tensor:
        """Give the gradient [N, C, H, W] of the cross-entropy at images."""
        labels = self.labels
        return self._gradient(
            images,
            view,
            lambda logits, rows: torch.nn.functional.cross_entropy(
                logits, labels[rows], reduction="none"
            ),
        )

    def margin_gradient(self, images: Tensor, view: str = PLAIN) -> Tensor:
        """Give the gradient [N, C, H, W] of the margin at images."""
        return self._gradient(images, view, lambda logits, rows: margin(logits, self.labels[rows]))

    def _gradient(self, images: Tensor, view: str, objective: Callable) -> Tensor:
        with self.steady("gradient"):
            return self.batched(view).gradient(images, objective)[0]

    def nearby(self, purpose: str, length: float, sign: bool = False) -> Tensor:
        """Draw a change [N, C, H, W] in or on the ball of radius `length` around 0."""
        streams = Streams.of_images(self.seed, self.index.cpu(), "audit", purpose)
        shape = self.images.shape[1:]
        if self.norm == "linf":
            draw = streams.uniform(*shape, device=self.images.device) * 2 - 1
            return length * (draw.sign() if sign else draw)
        draw = streams.normal(*shape, device=self.images.device)
        return length * draw / per_image(draw.flatten(1).norm(dim=1).clamp(min=1e-12))

    def steady(self, *purpose: str) -> AbstractContextManager:
        """Let a model that draws random numbers draw the same for one purpose."""
        return fixed_draws(self.seed, "audit", *purpose)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the highest other logit minus the label's [M]: above 0 the image is misclassified."""
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return others - logits.gather(1, labels[:, None]).squeeze(1)


def share(values: Tensor) -> float:
    """Give the share of true values, with four digits."""
    return round(float(values.float().mean()), 4) if len(values) else 0.0
