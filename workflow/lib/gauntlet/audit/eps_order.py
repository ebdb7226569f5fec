"""A larger eps must never help the model."""

from gauntlet.audit._finding import STRAIGHT, Finding, graded, measured
from gauntlet.audit._subject import Subject

WARN_AT, FAIL_AT = 0.01, 0.05
FACTORS = (0.5, 1.0, 2.0)
ORDER = 100  # place among the checks


def eps_order(subject: Subject) -> Finding:
    """Attack at half, at full and at twice the eps: accuracy must not rise.

    Source: Carlini et al. 2019, "On Evaluating Adversarial Robustness".

    Measured (see `graded`): the largest rise is -0.335 to -0.05 on honest models, that is, none
    rises.
    """
    radii = [min(factor * subject.eps, subject.largest_eps) for factor in FACTORS]
    left = [subject.accuracy(subject.pgd(eps=radius)) for radius in radii]
    rise = max(after - before for before, after in zip(left, left[1:], strict=False))
    verdict = graded(round(rise, 4), WARN_AT, FAIL_AT)
    evidence = {
        f"accuracy_at_{radius:.4g}": value for radius, value in zip(radii, left, strict=True)
    } | {"largest_rise": round(rise, 4)}
    if verdict == "pass":
        meaning = measured(
            *(round(rise, 4), WARN_AT, "Accuracy does not rise with eps."),
            "Accuracy rises with eps by",
        )
        return Finding("eps_order", verdict, evidence, meaning)
    return Finding(
        "eps_order",
        verdict,
        evidence,
        "Accuracy rises with eps, so the attack misses examples that lie in the smaller ball.",
        "Take more steps and restarts, and a loss that does not depend on the scale of logits.",
        STRAIGHT,
    )
