"""Each defense against the baseline, image by image: paired differences. NumPy only."""

from collections.abc import Iterator, Sequence

import numpy as np

from gauntlet.evaluation.metrics import Z95, rounded, unpacked
from gauntlet.evaluation.summary import MODEL

BETTER, WORSE, UNCLEAR = "better", "worse", "not shown"
CLEAN = ("clean", 0.0)  # the threat model of no attack
COLUMNS = (
    *MODEL,
    *("against", "norm", "eps", "n", "seeds"),
    *("difference", "low", "high", "least_seed", "greatest_seed", "result"),
)


def comparisons(records: Sequence[dict], baseline: str | None) -> list[dict]:
    """Compare every defense with the baseline of its data set and model: rows of COLUMNS.

    `records` are those of all evaluated models, `baseline` names a defense, or None for no rows.
    A row for each norm and eps that both have measured by the worst case over attacks, and one for
    clean images (norm `clean`). An image's value is the share of seeds for which the defense
    classifies it correctly under attack, minus that of the baseline; only seeds of both count.
    `difference` is the mean over the images, [`low`, `high`] its 95 % interval (normal, over the
    images: all seeds see the same ones), `least_seed` and `greatest_seed` the mean differences of
    the extreme seeds. The result is `better` or `worse` where neither the interval nor any seed
    reaches the other side of 0, else `not shown`.
    """
    models: dict[tuple, dict[str, dict]] = {}
    for record in records:
        key = tuple(str(record[name]) for name in MODEL)
        models.setdefault(key, {})[str(record["seed"])] = _known(record)
    rows = []
    for (dataset, model, defense), own in models.items():
        other = models.get((dataset, model, str(baseline)))
        if other is None or defense == baseline:
            continue
        names = dict(zip(MODEL, (dataset, model, defense), strict=True)) | {"against": baseline}
        rows += [names | row for row in _compared(own, other)]
    return rows


def _known(record: dict) -> dict[tuple[str, float], np.ndarray]:
    """Give masks [n] of the images that are right: clean, and at each norm and eps."""
    found = {}
    for one in record["thresholds"]:
        n = sum(part["n"] for part in one["classes"])
        found[CLEAN] = unpacked(record["clean_mask"], n)
        if one["norm"] != "noise":
            found[one["norm"], float(one["eps"])] = unpacked(one["robust_mask"], n)
    return found


def _compared(own: dict[str, dict], other: dict[str, dict]) -> Iterator[dict]:
    """Give a row for each threat model that all common seeds of both have measured."""
    seeds = [seed for seed in own if seed in other]
    for threat in own[seeds[0]] if seeds else ():
        pairs = [(own[seed].get(threat), other[seed].get(threat)) for seed in seeds]
        if all(mine is not None and theirs is not None for mine, theirs in pairs):
            yield {"norm": threat[0], "eps": threat[1], "seeds": len(seeds)} | _row(pairs)


def _row(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict:
    """Join the seeds' pairs of masks [n]: difference, interval, extreme seeds."""
    each = np.stack([mine.astype(int) - theirs for mine, theirs in pairs])  # [seeds, n]
    values, by_seed, n = each.mean(0), each.mean(1), each.shape[1]
    mean = float(values.mean())
    reach = Z95 * float(values.std(ddof=1)) / n**0.5 if n > 1 else float("inf")
    low, high = mean - reach, mean + reach
    found = {"difference": mean, "low": low, "high": high}
    found |= {"least_seed": float(by_seed.min()), "greatest_seed": float(by_seed.max())}
    found = {name: rounded(value) for name, value in found.items()}
    return {"n": n} | found | {"result": _result(low, high, by_seed)}


def _result(low: float, high: float, by_seed: np.ndarray) -> str:
    if low > 0 and by_seed.min() > 0:
        return BETTER
    return WORSE if high < 0 and by_seed.max() < 0 else UNCLEAR
