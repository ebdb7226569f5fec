"""Examples made without the model's gradients must not do more than those made with them."""

from gauntlet.audit._finding import STRAIGHT, Finding, graded, measured
from gauntlet.audit._subject import Outcome, Subject, share
from gauntlet.audit._substitute import craft_on, substitute

WARN_AT, FAIL_AT = 0.01, 0.03
ORDER = 70  # place among the checks


def black_box(subject: Subject) -> Finding:
    """Transfer examples from a substitute model, and look into the study's transfer sets.

    The substitute is a small network trained on the model's answers (Papernot et al. 2017,
    "Practical Black-Box Attacks against Machine Learning"); images count on which its
    examples succeed and no gradient attack on the model does. In the study's ledgers, a transferred
    attack must not succeed more often than the same attack with the model's gradients.

    Measured (see `graded`): transfer alone succeeds on 0 to 0.005 for honest models, on 0.13 to
    0.72 where gradients are cut off; with logits times 1000 it succeeds more often than gradients.
    """
    transferred = _transferred(subject)
    extra = share(transferred.success & subject.active(subject.pgd(), subject.scale_free))
    lead = subject.accuracy(subject.pgd()) - subject.accuracy(transferred)
    ledgers = _ledger_lead(subject)
    most = max(extra, lead, ledgers or 0.0)
    verdict = graded(most, WARN_AT, FAIL_AT)
    evidence = {
        "accuracy_under_transfer": subject.accuracy(transferred),
        "white_box_accuracy": subject.accuracy(subject.pgd()),
        "success_by_transfer_only": extra,
        "lead_of_transfer_in_ledgers": ledgers,
    }
    if verdict == "pass":
        meaning = measured(
            *(round(most, 4), WARN_AT, "Examples made without the model's gradients find no more."),
            "Examples made without the model's gradients succeed more often by a share of",
        )
        return Finding("black_box", verdict, evidence, meaning)
    return Finding(
        "black_box",
        verdict,
        evidence,
        "Examples made without the model's gradients succeed where its own gradients fail.",
        "Attack with a straight-through gradient and random search, and doubt white-box numbers.",
        STRAIGHT,
    )


def _transferred(subject: Subject) -> Outcome:
    """Attack the substitute, and evaluate the examples on the model."""
    rows = subject.correct.nonzero().squeeze(1)
    success, found = subject.correct & False, subject.images.clone()
    if len(rows):
        found[rows] = craft_on(substitute(subject), subject, rows)
        success[rows] = subject.judged(
            found[rows], rows, {"norm": subject.norm, "eps": subject.eps}
        )
    return Outcome(success, found)


def _ledger_lead(subject: Subject) -> float | None:
    """Give the largest lead, in successes, of a transferred attack over its white-box form."""
    own = {
        (point.attack, point.norm, point.eps): point.success.mean()
        for point in subject.points
        if point.access == "white-box"
    }
    leads = [
        float(point.success.mean() - own[point.attack, point.norm, point.eps])
        for point in subject.points
        if point.access == "transfer" and (point.attack, point.norm, point.eps) in own
    ]
    return round(max(leads), 4) if leads else None
