"""One gradient step must not do more than many."""

from gauntlet.audit._finding import STRAIGHT, Finding, graded, measured
from gauntlet.audit._subject import Subject

WARN_AT, FAIL_AT = 0.01, 0.03
ORDER = 60  # place among the checks


def one_step(subject: Subject) -> Finding:
    """Compare the accuracy under FGSM with that under PGD.

    Source: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security".

    Measured (see `graded`): one step leads by -0.29 to -0.015 on honest models, by 0.07 to 0.43
    on models that draw random numbers.
    """
    single, several = subject.one_step(), subject.pgd()
    lead = subject.accuracy(several) - subject.accuracy(single)
    verdict = graded(lead, WARN_AT, FAIL_AT)
    evidence = {
        "one_step_accuracy": subject.accuracy(single),
        "iterative_accuracy": subject.accuracy(several),
        "lead_of_one_step": round(lead, 4),
    }
    if verdict == "pass":
        meaning = measured(
            *(round(lead, 4), WARN_AT, "Many steps succeed at least as often as one."),
            "One step succeeds more often than many by a share of",
        )
        return Finding("one_step", verdict, evidence, meaning)
    return Finding(
        "one_step",
        verdict,
        evidence,
        "One gradient step succeeds more often than many steps, so the gradients mislead.",
        "Attack with a straight-through gradient, more restarts and random search.",
        STRAIGHT,
    )
