"""What a check of the audit gives back."""

from dataclasses import dataclass, field

PASS, INFO, WARN, FAIL, SKIPPED = "pass", "info", "warn", "fail", "skipped"
NOTHING = "Nothing to do."
# What an attack must do to work around what a check has found.
STRENGTH, AVERAGE, STRAIGHT = "strength", "average", "straight_through"


@dataclass(frozen=True)
class Finding:
    """One check's verdict on a model: pass, info, warn, fail or skipped.

    fail: robust accuracies cannot be believed as they are; warn: something to look at, which honest
    models do not show; info: worth knowing, but it casts no doubt on a robust accuracy.

    `evidence` holds the numbers behind it (accuracies and shares from 0 to 1), `meaning` says in
    one sentence what they mean, `advice` in one sentence what to do, and `remedy` names
    what an attack must do to work around it, or is empty.
    """

    check: str
    verdict: str
    evidence: dict[str, float | int | str | None] = field(default_factory=dict)
    meaning: str = ""
    advice: str = NOTHING
    remedy: str = ""


def graded(value: float, warn: float, fail: float) -> str:
    """Give the verdict on a value that should be small: warn from `warn` on, fail from `fail` on.

    The checks' thresholds lie between what was measured on 29 honest models and on tricks planted
    on two models of digits, 200 test images each. Honest are, of digits at linf 0.15, three seeds
    each of plain, noise, static, PGD, TRADES and FGSM-RS training; of Fashion-MNIST at linf 0.1
    three seeds each of plain, PGD and TRADES training on 4,000 images; of MNIST a plain network at
    linf 0.1 and a PGD-trained one at 0.2.
    """
    return FAIL if value >= fail else WARN if value >= warn else PASS


def measured(value: float, warn: float, nothing: str, little: str) -> str:
    """Give the meaning of a value that passed: `nothing` at 0 or below, else `little` with it."""
    return nothing if value <= 0 else f"{little} {value:.4g}, which is below {warn:g}."


def skipped(check: str, why: str, advice: str = NOTHING) -> Finding:
    """Give the finding of a check that had nothing to check."""
    return Finding(check, SKIPPED, meaning=why, advice=advice)
