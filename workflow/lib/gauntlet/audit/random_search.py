"""Random search must not find what gradients do not."""

from gauntlet.audit._finding import STRAIGHT, Finding, graded, measured
from gauntlet.audit._subject import Subject

WARN_AT, FAIL_AT = 0.03, 0.05
ORDER = 80  # place among the checks


def random_search(subject: Subject) -> Finding:
    """Run Square Attack, which needs no gradient, where gradient attacks failed.

    Source: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks", whose flag this is.

    Measured (see `graded`): 0 to 0.02 on honest models, which is why less than 0.03 passes;
    0.24 to 0.95 where gradients are cut off.
    """
    gradients = [subject.pgd(), subject.scale_free]
    search = subject.attack(
        *("square", "plain", gradients),
        norm=subject.norm,
        eps=subject.eps,
        queries=subject.budget["queries"],
    )
    extra = subject.accuracy(*gradients) - subject.accuracy(*gradients, search)
    verdict = graded(round(extra, 4), WARN_AT, FAIL_AT)
    evidence = {
        "accuracy_after_gradients": subject.accuracy(*gradients),
        "accuracy_after_random_search": subject.accuracy(*gradients, search),
        "success_by_random_search_only": round(extra, 4),
        "queries": subject.budget["queries"],
    }
    if verdict == "pass":
        meaning = measured(
            *(round(extra, 4), WARN_AT, "Random search finds nothing that gradients do not."),
            "Random search alone succeeds on a share of",
        )
        return Finding("random_search", verdict, evidence, meaning)
    return Finding(
        "random_search",
        verdict,
        evidence,
        "Random search succeeds where gradients fail, on more images than on honest models.",
        "Add square or autoattack to the study's attacks, and trust no gradients alone.",
        STRAIGHT,
    )
