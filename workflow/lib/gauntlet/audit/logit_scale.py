"""The size of the logits must not decide what an attack finds."""

from gauntlet.audit._finding import STRENGTH, Finding, graded, measured
from gauntlet.audit._subject import RESCALED, Subject

WARN_AT, FAIL_AT = 0.09, 0.12
ORDER = 50  # place among the checks


def logit_scale(subject: Subject) -> Finding:
    """Attack where PGD on cross-entropy failed with rescaled logits, and with the margin.

    Source: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks" (losses that do not depend on the scale).

    Measured (see `graded`): drops are 0 to 0.08 on honest models (the other loss is a better
    one, too), 0.38 and 0.78 with logits times 1000.
    """
    first = subject.pgd()
    rescaled = subject.pgd(RESCALED, after=[first])
    left = subject.accuracy(first)
    drops = {
        "drop_when_rescaled": round(left - subject.accuracy(first, rescaled), 4),
        "drop_with_scale_free_loss": round(left - subject.accuracy(first, subject.scale_free), 4),
    }
    verdict = graded(max(drops.values()), WARN_AT, FAIL_AT)
    evidence = {"accuracy": left, "rescaling": float(f"{subject.rescaling:.3g}")} | drops
    if verdict == "pass":
        meaning = measured(
            *(max(drops.values()), WARN_AT, "Another scale of the logits finds no more."),
            "With rescaled logits or the margin the accuracy is lower by",
        )
        return Finding("logit_scale", verdict, evidence, meaning)
    return Finding(
        "logit_scale",
        verdict,
        evidence,
        "Attacks succeed more often with rescaled logits or the margin: the logits saturate.",
        "Use loss: margin or dlr, or the ensembles gauntlet and autoattack.",
        STRENGTH,
    )
