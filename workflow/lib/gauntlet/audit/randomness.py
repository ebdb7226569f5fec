"""A model that answers differently each time needs gradients averaged over its answers."""

from gauntlet.audit._finding import AVERAGE, FAIL, PASS, WARN, Finding
from gauntlet.audit._subject import AVERAGED, Subject, share

UNSTEADY_AT, DROP_AT = 0.05, 0.03  # share of answers that change; drop of accuracy
ORDER = 30  # place among the checks


def randomness(subject: Subject) -> Finding:
    """Evaluate twice; where the answers differ, attack with expectation over transformation (EOT).

    Source: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security".

    Measured (see `graded`): averaged gradients lower the accuracy by 0.22 to 0.69 on models
    that draw random numbers (noise of 0.15; a random size).
    """
    with subject.fixed("twice"):
        first, second = subject.batched()(subject.images), subject.batched()(subject.images)
    largest = float((first - second).abs().max())
    if largest == 0:
        meaning = "The model answers the same each time."
        return Finding("randomness", PASS, {"largest_difference_of_logits": 0.0}, meaning)
    plain = subject.pgd()
    averaged = subject.pgd(AVERAGED, after=[plain], loss="margin", early_stop=False)
    drop = round(subject.accuracy(plain) - subject.accuracy(plain, averaged), 4)
    changed = share(first.argmax(1) != second.argmax(1))
    evidence = {
        "largest_difference_of_logits": float(f"{largest:.3g}"),
        "answers_that_change": changed,
        "accuracy": subject.accuracy(plain),
        "accuracy_after_averaged_gradients": subject.accuracy(plain, averaged),
        "drop": drop,
        "samples": subject.budget["samples"],
    }
    return Finding(
        "randomness",
        FAIL if drop >= DROP_AT or changed >= UNSTEADY_AT else WARN,
        evidence,
        "The model answers differently each time, so one gradient says little and numbers vary.",
        "Attack with gradients averaged over passes (EOT), as the rerun does.",
        AVERAGE,
    )
