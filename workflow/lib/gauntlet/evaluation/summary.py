"""From rows to summaries: means over seeds."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, stdev

from gauntlet.core.errors import GauntletError
from gauntlet.evaluation.metrics import rounded, wilson

MODEL = ("dataset", "model", "defense")
GROUP = (*MODEL, "attack", "source", "access", "norm", "eps")
COLUMNS = (
    *GROUP,
    *("n", "seeds", "clean_mean", "clean_std", "clean_low", "clean_high"),
    *("robust_mean", "robust_std", "robust_low", "robust_high"),
    *("certified_mean", "certified_std", "certified_low", "certified_high"),
    *("success_mean", "loss_mean", "forwards_mean", "backwards_mean", "success_by"),
    *("selection", "audit", "warning"),
)
MEANS = {
    "success": "success_rate",
    "loss": "mean_adversarial_loss",
    "forwards": "mean_forwards",
    "backwards": "mean_backwards",
}


def summarize(rows: Sequence[dict]) -> list[dict]:
    """Join the rows of all seeds: one row per model, attack and eps, in the order of the rows.

    Intervals are Wilson's for the mean accuracy and the n images that all seeds share.
    `success_by` adds up images by attack; `audits` and `warnings` are lists of {seeds, value}, with
    the seeds that each value holds for. `precision` is there if gradients were not float32, `found`
    if a search has found settings of the model's defense.
    """
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in GROUP), []).append(row)
    return [dict(zip(GROUP, key, strict=True)) | _joined(group) for key, group in groups.items()]


def _joined(rows: list[dict]) -> dict:
    name, counts = "/".join(rows[0][key] for key in GROUP[:4]), {row["n"] for row in rows}
    if len(counts) != 1:
        raise GauntletError(f"{name} has {sorted(counts)} images by seed; allowed is one number.")
    joined = {"n": counts.pop(), "seeds": len(rows), "selection": rows[0]["selection"]}
    for name in ("clean", "robust", "certified"):
        mean, spread = mean_std(rows, f"{name}_accuracy")
        nothing = math.isnan(mean)  # an attack that failed its check, or no certificate
        low, high = (mean, mean) if nothing else wilson(mean, int(joined["n"]))
        parts = {"mean": mean, "std": spread, "low": low, "high": high}
        joined |= {f"{name}_{part}": rounded(value) for part, value in parts.items()}
    for short, column in MEANS.items():
        joined[f"{short}_mean"] = rounded(mean_std(rows, column)[0])
    joined["success_by"] = _success_by(rows)
    joined |= {name: rows[0][name] for name in ("found", "precision") if name in rows[0]}
    return joined | {"audits": by_seed(rows, "audit"), "warnings": by_seed(rows, "warnings")}


def mean_std(rows: Sequence[dict], column: str) -> tuple[float, float]:
    """Give mean and sample standard deviation of a column's filled fields; nan for too few."""
    values = [float(row[column]) for row in rows if row.get(column) not in ("", None)]
    mean = fmean(values) if values else math.nan
    return mean, stdev(values) if len(values) > 1 else math.nan


def _success_by(rows: Sequence[dict]) -> dict[str, int]:
    """Add up over seeds on how many images each attack or member succeeded: most first."""
    counts = Counter()
    for row in rows:
        counts.update(row["success_by"])
    return dict(counts.most_common())


def by_seed(rows: Sequence[dict], name: str) -> list[dict]:
    """Group the seeds by what they have under a name, if anything: a list of {seeds, value}."""
    found: list[dict] = []
    for row in rows:
        if not row.get(name):
            continue
        same = next((group for group in found if group["value"] == row[name]), None)
        if same is None:
            found.append(same := {"seeds": [], "value": row[name]})
        same["seeds"].append(row["seed"])
    return found
