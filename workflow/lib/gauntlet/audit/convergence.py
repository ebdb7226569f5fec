"""More steps and restarts must not change the number."""

from gauntlet.audit._finding import STRENGTH, Finding, graded, measured
from gauntlet.audit._subject import Subject

WARN_AT, FAIL_AT = 0.06, 0.12
LONGER, RESTARTS = 4, 2
ORDER = 110  # place among the checks


def convergence(subject: Subject) -> Finding:
    """Attack where PGD failed with four times the steps, from two more starts.

    Source: Carlini et al. 2019, "On Evaluating Adversarial Robustness".

    Measured (see `graded`): the drop is 0 to 0.045 on honest models with the default budget.
    """
    first = subject.pgd()
    steps = LONGER * subject.budget["steps"]
    more = subject.pgd(after=[first], steps=steps, restarts=RESTARTS)
    drop = round(subject.accuracy(first) - subject.accuracy(first, more), 4)
    verdict = graded(drop, WARN_AT, FAIL_AT)
    evidence = {
        f"accuracy_after_{subject.budget['steps']}_steps": subject.accuracy(first),
        f"accuracy_after_{RESTARTS}_times_{steps}_more": subject.accuracy(first, more),
        "drop": drop,
    }
    if verdict == "pass":
        meaning = measured(
            *(drop, WARN_AT, "More steps and restarts change nothing: the attack has converged."),
            "More steps and restarts lower the accuracy by",
        )
        return Finding("convergence", verdict, evidence, meaning)
    return Finding(
        "convergence",
        verdict,
        evidence,
        "More steps and restarts still lower the accuracy, so the attack has not converged.",
        "Raise steps and restarts until the accuracy no longer falls.",
        STRENGTH,
    )
