"""A model under audit: what the checks share, computed once each."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.attacks.base.losses import ce, margin
from gauntlet.attacks.fgsm import fgsm
from gauntlet.attacks.gaussian_noise import gaussian_noise
from gauntlet.attacks.pgd import pgd
from gauntlet.attacks.square import square
from gauntlet.audit._broken import BrokenImages
from gauntlet.core.answers import logits_of
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.inputs import checked_images, checked_labels, checked_model, own_settings
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
    """What one attack did to the audited images: where it succeeded, bool [N], and its examples."""

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
    """A callable model, audited images [N, C, H, W] with labels [N] and places [N], and records.

    `norm` and `eps` are the threat model; `budget` limits what the attacks cost (keys of BUDGET).
    `test` and `train` are all images and labels of the parts; `history` the training's rows by
    epoch, `points` the attacks that were run on the test part
    (`AttackLedger`), and `certificates` what is proven. All but the first line may be empty.
    `check` names the check that is at work, `broken` holds what all checks have shown.
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
    check: str = ""
    _made: dict = field(default_factory=dict)

    def __post_init__(self):
        with own_settings(self.model, getattr(self.images, "device", "cpu")):
            self.images = checked_images(self.images)
            self.labels = checked_labels(self.labels, self.images)
        self.broken = BrokenImages(self.images, self.norm)

    def batched(self, view: str = PLAIN) -> BatchedModel:
        """Give the model as attacks see it: plain, or changed so that its gradients are usable."""
        if view == STRAIGHT:
            return BatchedModel(self._straight, self.batch)
        if view == RESCALED:
            return BatchedModel(self._rescaled, self.batch)
        samples = self.budget["samples"] if view == AVERAGED else 1
        return BatchedModel(self.model, self.batch, samples=samples)

    @cached_property
    def _straight(self) -> StraightThrough:
        return StraightThrough(self.model)

    def _rescaled(self, images: Tensor) -> Tensor:
        return logits_of(self.model(images), len(images)) * self.rescaling

    @cached_property
    def logits(self) -> Tensor:
        """Give the clean logits [N, K], of one pass."""
        with self.fixed("clean"):
            return checked_model(self.batched(), self.labels)(self.images)

    @property
    def correct(self) -> Tensor:
        """Tell which images are classified correctly: bool [N]."""
        return self.logits.argmax(1) == self.labels

    @property
    def clean(self) -> float:
        """Give the clean accuracy."""
        return share(self.correct)

    @property
    def classes(self) -> int:
        """Give the number of classes."""
        return self.logits.shape[1]

    @property
    def largest_eps(self) -> float:
        """Give an eps whose ball holds every possible image."""
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
        with self.fixed("note"):
            return outputs_note(self.batched(), self.images)

    @property
    def collapse(self) -> str | None:
        """Tell where the training collapsed, if its history shows it."""
        return find_collapse(self.history, self.single_step) if self.history else None

    def attack(
        self, kind: str, view: str = PLAIN, after: Sequence[Outcome] = (), **settings
    ) -> Outcome:
        """Attack images that are correct and were not changed by an outcome in `after`; memoized.

        An attack succeeded on an image if, in float32 and on the model itself, its example is
        misclassified and admissible.
        """
        rows = self.active(*after).nonzero().squeeze(1)
        key = (kind, view, tuple(rows.tolist()), repr(sorted(settings.items())))
        if key not in self._made:
            self._made[key] = self._attacked(kind, view, rows, settings)
        return self._made[key]

    def _attacked(self, kind: str, view: str, rows: Tensor, settings: dict) -> Outcome:
        success, found = torch.zeros_like(self.correct), self.images.clone()
        if len(rows):
            images, labels = self.images[rows], self.labels[rows]
            streams = Streams.of_images(self.seed, self.index[rows.cpu()], "audit", kind, view)
            with self.fixed(kind, view):
                made = ATTACKS[kind](
                    self.batched(view), images, labels, streams=streams, **settings
                )
            found[rows] = made.images
            success[rows] = self.judged(made.images, rows, settings)
        return Outcome(success, found)

    def judged(self, examples: Tensor, rows: Tensor, settings: dict) -> Tensor:
        """Tell which examples of some rows are admissible and misclassified by the model: [M]."""
        norm, eps = settings.get("norm", "none"), settings.get("eps", 0.0)
        with self.fixed("judge"):
            answer = self.batched()(examples).argmax(1)
        missed = answer != self.labels[rows]
        self.broken.add(rows, examples, answer, missed & self.correct[rows], self.check)
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
        """Run Auto-PGD on the margin, which no scale of logits affects, where PGD failed."""
        loss = {"norm": self.norm, "eps": self.eps, "steps": self.budget["steps"], "loss": "margin"}
        return self.attack("apgd", after=[self.pgd()], **loss)

    def active(self, *outcomes: Outcome) -> Tensor:
        """Tell which images are correct, and in spite of all outcomes: bool [N]."""
        kept = self.correct.clone()
        for outcome in outcomes:
            kept &= ~outcome.success
        return kept

    def accuracy(self, *outcomes: Outcome) -> float:
        """Give the accuracy that is left after some outcomes, worst case per image."""
        return share(self.active(*outcomes))

    def cross_entropy_gradient(self, images: Tensor, view: str = PLAIN) -> Tensor:
        """Give the gradient [N, C, H, W] of the cross-entropy at images."""
        return self._gradient(images, view, lambda logits, rows: ce(logits, self.labels[rows]))

    def margin_gradient(self, images: Tensor, view: str = PLAIN) -> Tensor:
        """Give the gradient [N, C, H, W] of the margin at images."""
        return self._gradient(images, view, lambda logits, rows: margin(logits, self.labels[rows]))

    def _gradient(self, images: Tensor, view: str, objective: Callable) -> Tensor:
        with self.fixed("gradient"):
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

    @contextmanager
    def fixed(self, *purpose: str) -> Iterator[None]:
        """Evaluate the model under its own settings, with the same random draws for one purpose."""
        draws = fixed_draws(self.seed, "audit", *purpose)
        with own_settings(self.model, self.images.device), draws:
            yield


def share(values: Tensor) -> float:
    """Give the share of true values, with four digits."""
    return round(float(values.float().mean()), 4) if len(values) else 0.0
