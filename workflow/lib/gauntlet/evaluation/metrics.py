"""From attack ledgers to rows: accuracies with intervals, worst cases, costs. NumPy only."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from gauntlet.core.records import RUN_NAMES
from gauntlet.evaluation.attack_ledger import DISTANCES, SELF, WHITE_BOX, AttackLedger
from gauntlet.evaluation.audit_ledger import AUDIT

WORST = "worst_case"
Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
REFUSED = ("robust_accuracy", "robust_low", "robust_high", "success_rate")
COLUMNS = (
    *(*RUN_NAMES, "attack", "source", "access", "norm", "eps", "n"),
    *("clean_accuracy", "clean_low", "clean_high"),
    *REFUSED,
    *("certified_accuracy", "certified_low", "certified_high"),
    *("mean_adversarial_loss", "median_linf", "median_l2", "median_l1"),
    *("mean_forwards", "mean_backwards", "success_by"),
    *("selection", "selected_epoch", "audit", "warning"),
)


def wilson(accuracy: float, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % score interval of a share of n images.

    The share may be a mean over seeds, so that accuracy * n need not be a whole number: libraries
    that take a count of successes do not serve here; a test holds both together where they do.
    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if n < 1:
        raise ValueError(f"n is {n}; an interval needs 1 image or more")
    square = Z95**2
    center = (accuracy + square / (2 * n)) / (1 + square / n)
    spread = accuracy * (1 - accuracy) / n + square / (4 * n**2)
    half = Z95 * spread**0.5 / (1 + square / n)
    low, high = float(center - half), float(center + half)
    return max(0.0, min(low, accuracy)), min(1.0, max(high, accuracy))  # against rounding


def threat_models(ledgers: Iterable[AttackLedger]) -> dict[tuple[str, float], list[AttackLedger]]:
    """Group the white-box ledgers by (norm, eps)."""
    groups: dict[tuple[str, float], list[AttackLedger]] = {}
    for ledger in ledgers:
        if ledger.access == WHITE_BOX:
            groups.setdefault((ledger.norm, ledger.eps), []).append(ledger)
    return groups


def worst_case(ledgers: Sequence[AttackLedger], norm: str, eps: float) -> AttackLedger:
    """Join all white-box attacks of a norm per image: a success of any within eps is a success.

    Attacks at a smaller eps take part, because a smaller ball lies inside a larger one, and those
    at a larger eps where they found a near example. Its distance is that of the nearest of them;
    `success_by` is the first attack that succeeded, or an audit's check (`audit <check>`); costs
    and losses are not joined.
    """
    joined = [one for one in ledgers if one.norm == norm and one.access == WHITE_BOX]
    near, first = [one.within(eps) for one in joined], joined[0]
    names, success = np.stack([_names(one) for one in joined]), np.any(near, 0)
    nothing = np.full(len(first.index), np.nan)
    return AttackLedger(
        attack=WORST,
        source=SELF,
        access=WHITE_BOX,
        norm=norm,
        eps=eps,
        path=first.path,
        index=first.index,
        label=first.label,
        clean_prediction=first.clean_prediction,
        success=success,
        **{name: _nearest(joined, near, name) for name in DISTANCES},
        success_by=np.where(success, names[np.argmax(near, 0), np.arange(len(success))], ""),
        **dict.fromkeys(("success_query", "forwards", "backwards", "draw_loss"), nothing),
        note=first.note,
    )


def _names(ledger: AttackLedger) -> np.ndarray:
    """Give, for every image [n], the name by which a ledger's success is counted."""
    if ledger.attack != AUDIT:
        return np.full(len(ledger.index), ledger.attack, dtype=object)
    return np.array([f"{AUDIT} {check}" for check in ledger.success_by.tolist()], dtype=object)


def _nearest(ledgers: Sequence[AttackLedger], near: list[np.ndarray], name: str) -> np.ndarray:
    spans = [np.where(n, getattr(one, name), np.inf) for one, n in zip(ledgers, near, strict=True)]
    nearest = np.min(spans, axis=0)
    return np.where(np.isinf(nearest), np.nan, nearest)


def measure(ledger: AttackLedger) -> dict:
    """Give a ledger's columns of the robustness table; None where nothing was measured."""
    n, clean, robust = len(ledger.index), ledger.clean.mean(), ledger.robust.mean()
    successes = np.count_nonzero(ledger.success)
    values = {
        "clean_accuracy": clean,
        "robust_accuracy": robust,
        "success_rate": successes / ledger.clean.sum() if ledger.clean.any() else np.nan,
        "mean_adversarial_loss": ledger.draw_loss.mean(),
        "mean_forwards": ledger.forwards.mean(),
        "mean_backwards": ledger.backwards.mean(),
    }
    for name in DISTANCES:
        spans = getattr(ledger, name)[ledger.success]
        values[f"median_{name}"] = np.median(spans) if successes else np.nan
    values["clean_low"], values["clean_high"] = wilson(float(clean), n)
    values["robust_low"], values["robust_high"] = wilson(float(robust), n)
    names = {name: getattr(ledger, name) for name in ("attack", "source", "access", "norm", "eps")}
    names |= {"n": n, "success_by": success_counts(ledger)}
    return names | {name: rounded(value) for name, value in values.items()}


def success_counts(ledger: AttackLedger) -> dict[str, int]:
    """Count the images on which each attack, or member of an ensemble, succeeded: most first."""
    names = ledger.success_by[ledger.success].tolist()
    return dict(Counter(filter(None, names)).most_common())


def evaluate(
    ledgers: Sequence[AttackLedger],
    checks: dict[str, dict],
    warnings: Sequence[str] = (),
    minimal: Sequence[str] = (),
    audited: bool = False,
    found: Sequence[AttackLedger] = (),
) -> dict[str, list[dict]]:
    """Measure one model: `rows` of the table, `thresholds` with classes, `costs` per image.

    `clean_mask` says which images it gets right, and each threshold's `robust_mask` which withstand
    all of its attacks: what a paired comparison of two models needs.
    Worst cases are rows where several attacks share a norm and an eps, and everywhere for a model
    that is `audited`, so that all of a study have them. `checks` are the records of the attacks'
    checks by name: an attack that failed its check has no robust accuracy of its own, and a warning
    that says why. What it found is true, and still counts in the worst case. `warnings` are those
    of the training; they, and notes on the model's outputs, are in every row. `minimal` names
    attacks that looked for the nearest example; `found` is what an audit's checks have broken,
    which counts in the worst cases.
    """
    notes = {note for ledger in ledgers for note in np.unique(ledger.note).tolist() if note}
    warnings = [*warnings, *sorted(notes)]
    threats = threat_models(ledgers)
    worst = {threat: worst_case([*ledgers, *found], *threat) for threat in threats}
    joined = [worst[threat] for threat, group in threats.items() if audited or len(group) > 1]
    thresholds = [
        {
            "norm": norm,
            "eps": eps,
            "attacks": [ledger.attack for ledger in group],
            "robust_mask": packed(worst[norm, eps].robust),
            "classes": per_class(worst[norm, eps]),
        }
        for (norm, eps), group in threats.items()
    ]
    rows = [_checked(measure(x), checks.get(x.attack), warnings) for x in [*ledgers, *joined]]
    clean = packed(ledgers[0].clean) if ledgers else ""
    measured = {"rows": rows, "thresholds": thresholds, "costs": costs(ledgers, minimal)}
    return measured | {"clean_mask": clean}


def packed(mask: np.ndarray) -> str:
    """Write a mask [n] of images, in the order of their numbers, in hexadecimal digits."""
    return np.packbits(mask).tobytes().hex()


def unpacked(text: str, n: int) -> np.ndarray:
    """Read a mask of n images that `packed` wrote: bool [n]."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=n).astype(bool)


def _checked(row: dict, check: dict | None, warnings: Sequence[str]) -> dict:
    if check is None or check["passed"]:
        return row | {"warnings": list(warnings)}
    refused = f"{row['attack']} refused: {check['reason']}"
    return row | dict.fromkeys(REFUSED) | {"warnings": [*warnings, refused]}


def costs(ledgers: Iterable[AttackLedger], minimal: Sequence[str]) -> list[dict]:
    """Give, for each white-box attack, passes and distances of its successes, both ascending."""
    return [_costs(ledger, minimal) for ledger in ledgers if ledger.access == WHITE_BOX]


def _costs(ledger: AttackLedger, minimal: Sequence[str]) -> dict:
    spans = getattr(ledger, ledger.norm)[ledger.success] if ledger.norm in DISTANCES else []
    return {
        "attack": ledger.attack,
        "norm": ledger.norm,
        "eps": ledger.eps,
        "n": len(ledger.index),
        "clean": int(ledger.clean.sum()),
        "minimal": ledger.attack in minimal,
        "success_query": sorted(ledger.success_query[ledger.success].astype(int).tolist()),
        "distances": [float(f"{span:.5g}") for span in sorted(spans)],
    }


def per_class(joined: AttackLedger) -> list[dict]:
    """Give clean and robust accuracy of every class that has images."""
    rows = []
    for label in np.unique(joined.label):
        mine = joined.label == label
        rows.append(
            {
                "label": int(label),
                "n": int(mine.sum()),
                "clean_accuracy": rounded(joined.clean[mine].mean()),
                "robust_accuracy": rounded(joined.robust[mine].mean()),
            }
        )
    return rows


def rounded(value: float) -> float | None:
    """Keep six digits of a measured number; None for one that was not measured."""
    return None if np.isnan(value) else float(f"{value:.6g}")
