"""`gauntlet.audit`: whether a user's model can be judged by gradient attacks at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gauntlet.api.computing import run_spec
from gauntlet.api.reports import Report
from gauntlet.api.settings import NAME, audit_settings
from gauntlet.api.user_inputs import UserInputs, checked_images, checked_labels, prepared
from gauntlet.audit import Finding
from gauntlet.core.errors import GauntletError
from gauntlet.stages import audit as stage

MEASURED = (
    *("norm", "eps", "n", "clean_accuracy", "accuracy_under_gradients"),
    *("accuracy_under_all_checks", "verdict"),
)


@dataclass(frozen=True, repr=False)
class AuditReport(Report):
    """What the audit's checks found: a verdict (pass, warn or fail) and one finding a check.

    remedies name what an attack must do to go around what was found; accuracies are from 0 to 1,
    on the `n` images of the audit.
    """

    norm: str
    eps: float
    n: int
    clean_accuracy: float
    accuracy_under_gradients: float
    accuracy_under_all_checks: float
    verdict: str
    remedies: tuple[str, ...]
    findings: tuple[Finding, ...]

    def title(self) -> str:
        return (
            f"Audit: {self.verdict}; {self.norm} eps {self.eps:.4g}, {self.n} images, clean "
            f"accuracy {self.clean_accuracy:.1%}, under gradient attacks "
            f"{self.accuracy_under_gradients:.1%}, under all checks "
            f"{self.accuracy_under_all_checks:.1%}"
        )

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"check": one.check, "verdict": one.verdict, "meaning": one.meaning}
            for one in self.findings
        ]

    def notes(self) -> list[str]:
        advised = [one for one in self.findings if one.verdict in ("warn", "fail")]
        return [f"{one.check}: {one.advice}" for one in advised]

    def details(self) -> list[dict[str, Any]]:
        return [vars(one) for one in self.findings]


def audit(
    model: Callable,
    images,
    labels,
    eps: float | str | None = None,
    norm: str = "linf",
    checks: Sequence[str] | None = None,
    *,
    limit: int = 200,
    train: tuple | None = None,
    seed: int = 0,
    batch: int | None = None,
    **settings,
) -> AuditReport:
    """Put a model through checks of whether its robust accuracy can be believed.

    `checks` names some of the audit's checks (default: all). At most `limit` images are audited,
    drawn by the seed. `train`, a pair of training images
    and labels, lets the audit look for test images among them. `settings` are those of the
    configuration's `audit`: steps, queries, samples. Checks that need what is not there
    (a training's history, finished attacks) are skipped, and say so. Shapes and the rest as in
    `gauntlet.attack`. Raises GauntletError (a ValueError) that names a wrong value and what is
    allowed.
    """
    own = audit_settings(eps, norm, checks, limit, settings)
    with prepared(model, images, labels) as inputs:
        learned = _training_part(train, inputs)
        test = inputs.eval_images
        computing = run_spec(test.images.device, seed, batch, "float32")
        spec = own | {"name": NAME, "single_step": False} | computing
        subject = stage.make_subject(
            inputs.model, spec, (test.index, test.images, test.labels), learned
        )
        findings = stage.findings_of(subject, spec)
        found = stage.record_of(subject, findings)
    return AuditReport(
        **{name: found[name] for name in MEASURED},
        remedies=tuple(found["remedies"]),
        findings=tuple(findings),
    )


def _training_part(train, inputs: UserInputs):
    """Check training images and labels as those of the audit are."""
    if train is None:
        return None
    if not isinstance(train, list | tuple) or len(train) != 2:
        raise GauntletError("train must be a pair (images, labels).")
    images = checked_images(train[0], "train images")
    device = inputs.eval_images.images.device
    labels = checked_labels(train[1], len(images), "train labels").to(device)
    return torch.arange(len(images)), images.to(device), labels
