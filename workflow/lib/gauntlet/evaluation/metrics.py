"""From points to rows: what happened to every image, as accuracies with intervals. NumPy only."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.evaluation.attack_ledger import DISTANCES, SELF, WHITE_BOX, AttackLedger

RUN = re.compile(r"(?:^|/)runs/([^/]+)/([^/]+)/([^/]+)/seed(\d+)/")
RUN_NAMES = ("dataset", "model", "defense", "seed")
WORST = "worst_case"
Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
REFUSED = ("robust_accuracy", "robust_low", "robust_high", "robust_8bit", "success_rate")
COLUMNS = (
    *("dataset", "model", "defense", "seed", "attack", "source", "access", "norm", "eps", "n"),
    *("clean_accuracy", "clean_low", "clean_high"),
    *("robust_accuracy", "robust_low", "robust_high", "robust_8bit", "success_rate"),
    *("certified_accuracy", "certified_low", "certified_high"),
    *("mean_adversarial_loss", "median_linf", "median_l2", "median_l1"),
    *(
        "mean_forwards",
        "mean_backwards",
        "success_by",
        "selection",
        "selected_epoch",
        "audit",
        "warning",
    ),
)


def wilson(accuracy: float, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % score interval of a share of n images.

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


def threat_models(points: Iterable[AttackLedger]) -> dict[tuple[str, float], list[AttackLedger]]:
    """Group the white-box points by (norm, eps)."""
    groups: dict[tuple[str, float], list[AttackLedger]] = {}
    for point in points:
        if point.access == WHITE_BOX:
            groups.setdefault((point.norm, point.eps), []).append(point)
    return groups


def worst_case(points: Sequence[AttackLedger], norm: str, eps: float) -> AttackLedger:
    """Join all white-box attacks of a norm per image: it falls if any example lies within eps.

    Attacks at a smaller eps take part, for balls lie within each other, and those at a larger one
    where they found a near example. Its distance is that of the nearest of them; `success_by` is
    the first attack that succeeded; costs and losses are not joined.
    """
    mine = [p for p in points if p.norm == norm and p.access == WHITE_BOX]
    near, first = [p.within(eps) for p in mine], mine[0]
    nothing, names = np.full(len(first.index), np.nan), np.array([p.attack for p in mine])
    stored = [inside & p.fell_8bit for inside, p in zip(near, mine, strict=True)]
    return AttackLedger(
        *(WORST, SELF, WHITE_BOX, norm, eps, first.path),
        *(first.index, first.label, first.clean_prediction, np.any(near, 0), np.any(stored, 0)),
        *(_nearest(mine, near, name) for name in DISTANCES),
        success_by=np.where(np.any(near, 0), names[np.argmax(near, 0)], ""),
        success_query=nothing,
        forwards=nothing,
        backwards=nothing,
        draw_loss=nothing,
        note=first.note,
    )


def _nearest(points: Sequence[AttackLedger], near: list[np.ndarray], name: str) -> np.ndarray:
    spans = [np.where(n, getattr(p, name), np.inf) for p, n in zip(points, near, strict=True)]
    nearest = np.min(spans, axis=0)
    return np.where(np.isinf(nearest), np.nan, nearest)


def measure(point: AttackLedger) -> dict:
    """Give a point's columns of the robustness table; None where nothing was measured."""
    n, clean, robust = len(point.index), point.clean.mean(), point.robust.mean()
    fallen = np.count_nonzero(point.success)
    values = {
        "clean_accuracy": clean,
        "robust_accuracy": robust,
        "success_rate": fallen / point.clean.sum() if point.clean.any() else np.nan,
        "mean_adversarial_loss": point.draw_loss.mean(),
        "robust_8bit": (point.clean & ~point.fell_8bit).mean(),
        "mean_forwards": point.forwards.mean(),
        "mean_backwards": point.backwards.mean(),
    }
    for name in DISTANCES:
        spans = getattr(point, name)[point.success]
        values[f"median_{name}"] = np.median(spans) if fallen else np.nan
    values["clean_low"], values["clean_high"] = wilson(float(clean), n)
    values["robust_low"], values["robust_high"] = wilson(float(robust), n)
    names = {name: getattr(point, name) for name in ("attack", "source", "access", "norm", "eps")}
    names |= {"n": n, "success_by": shares(point)}
    return names | {name: rounded(value) for name, value in values.items()}


def shares(point: AttackLedger) -> str:
    """Say how many images each attack or member felled: `apgd_ce 120; square 7`."""
    found = [name for name in point.success_by[point.success].tolist() if name]
    counts = {name: found.count(name) for name in dict.fromkeys(found)}
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return "; ".join(f"{name} {count}" for name, count in ordered)


def evaluate(
    points: Sequence[AttackLedger],
    verdicts: dict[str, dict],
    noticed: Sequence[str] = (),
    minimal: Sequence[str] = (),
    audited: bool = False,
) -> dict[str, list[dict]]:
    """Measure one model: `rows` of the table, `thresholds` with classes, `costs` per image.

    Worst cases are rows where several attacks share a norm and an eps, and everywhere for a model
    that is `audited`, so that all of a study have them. `verdicts` are the checks of
    the attacks by name: one that failed has no robust accuracy of its own, and a warning that says
    why. What it found is true, and still counts in the worst case. `noticed` are warnings of the
    training; they, and notes on the model's outputs, stand in every row. `minimal` names attacks
    that looked for the nearest example.
    """
    notes = {note for point in points for note in np.unique(point.note).tolist() if note}
    noticed = [*noticed, *sorted(notes)]
    threats = threat_models(points)
    worst = {threat: worst_case(points, *threat) for threat in threats}
    joined = [worst[threat] for threat, group in threats.items() if audited or len(group) > 1]
    thresholds = [
        {
            "norm": norm,
            "eps": eps,
            "attacks": [point.attack for point in group],
            "classes": per_class(worst[norm, eps]),
        }
        for (norm, eps), group in threats.items()
    ]
    rows = [_warned(measure(p), verdicts.get(p.attack), noticed) for p in [*points, *joined]]
    return {"rows": rows, "thresholds": thresholds, "costs": costs(points, minimal)}


def _warned(row: dict, verdict: dict | None, noticed: Sequence[str]) -> dict:
    if verdict is None or verdict["passed"]:
        return row | {"warning": "; ".join(noticed)}
    refused = f"{row['attack']} refused: {verdict['reason']}"
    return row | dict.fromkeys(REFUSED) | {"warning": "; ".join([*noticed, refused])}


def costs(points: Iterable[AttackLedger], minimal: Sequence[str]) -> list[dict]:
    """Give, for each attack, passes and distances of the images that fell, in ascending order."""
    found = []
    for point in points:
        if point.access == WHITE_BOX:
            record = {"attack": point.attack, "norm": point.norm, "eps": point.eps}
            record |= {"n": len(point.index), "clean": int(point.clean.sum())}
            record["minimal"] = point.attack in minimal
            record["success_query"] = sorted(
                point.success_query[point.success].astype(int).tolist()
            )
            spans = getattr(point, point.norm)[point.success] if point.norm in DISTANCES else []
            record["distances"] = [float(f"{span:.5g}") for span in sorted(spans)]
            found.append(record)
    return found


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


def run_of(path: str | Path) -> tuple[str, str, str, str]:
    """Give (dataset, model, defense, seed) of a file under results/runs/, from its path."""
    match = RUN.search(Path(path).as_posix())
    if match is None:
        raise GauntletError(f"{path} must lie under runs/<dataset>/<model>/<defense>/seed<seed>/.")
    return match.groups()


def rounded(value: float) -> float | None:
    """Keep six digits of a measured number; None for one that was not measured."""
    return None if np.isnan(value) else float(f"{value:.6g}")


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV table as texts; GauntletError if a row is longer or shorter than the head."""
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if any(None in row or None in row.values() for row in rows):
        raise GauntletError(f"{path} is no table: a row has more or fewer fields than the head.")
    return rows


def write_rows(path: str | Path, columns: Iterable[str], rows: Iterable[dict]) -> None:
    """Write a CSV table of the named columns; None becomes an empty field."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
