"""Each defense against the baseline, image by image: paired differences. NumPy only."""

from collections.abc import Iterator, Sequence

import numpy as np

from gauntlet.evaluation.metrics import Z95, rounded
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


def _known(record: dict) -> dict[tuple[str, float], tuple[int, set[int]]]:
    """Give n and the images that are right, for clean images and each norm and eps."""
    found = {
        (one["norm"], float(one["eps"])): (_count(one), set(one["robust_images"]))
        for one in record["thresholds"]
        if one["norm"] != "noise"
    }
    n = _count(record["thresholds"][0]) if record["thresholds"] else 0
    return {CLEAN: (n, set(record["clean_images"]))} | found


def _count(threshold: dict) -> int:
    return sum(one["n"] for one in threshold["classes"])


def _compared(own: dict[str, dict], other: dict[str, dict]) -> Iterator[dict]:
    """Give a row for each threat model that all common seeds of both have measured."""
    seeds = [seed for seed in own if seed in other]
    threats = [threat for threat in (own[seeds[0]] if seeds else ()) if threat[0]]
    for threat in threats:
        pairs = [(own[seed].get(threat), other[seed].get(threat)) for seed in seeds]
        if all(mine and theirs and mine[0] == theirs[0] > 0 for mine, theirs in pairs):
            yield {"norm": threat[0], "eps": threat[1], "seeds": len(seeds)} | _row(pairs)


def _row(pairs: Sequence[tuple]) -> dict:
    """Join the seeds' pairs of (n, right images): difference, interval, extreme seeds."""
    n = pairs[0][0][0]
    images = sorted(set().union(*(right for pair in pairs for _, right in pair)))
    place = {image: i for i, image in enumerate(images)}
    each = np.zeros((len(pairs), max(n, len(images))))  # images that nobody gets right differ by 0
    for row, ((_, mine), (_, theirs)) in zip(each, pairs, strict=True):
        row[[place[image] for image in mine - theirs]] = 1
        row[[place[image] for image in theirs - mine]] = -1
    values, by_seed = each.mean(0), each.mean(1)
    mean = float(values.mean())
    reach = Z95 * float(values.std(ddof=1)) / n**0.5 if n > 1 else float("inf")
    low, high = mean - reach, mean + reach
    found = {"n": n, "difference": mean, "low": low, "high": high}
    found |= {"least_seed": float(by_seed.min()), "greatest_seed": float(by_seed.max())}
    found = {name: value if name == "n" else rounded(value) for name, value in found.items()}
    return found | {"result": _result(low, high, by_seed)}


def _result(low: float, high: float, by_seed: np.ndarray) -> str:
    if low > 0 and by_seed.min() > 0:
        return BETTER
    return WORSE if high < 0 and by_seed.max() < 0 else UNCLEAR
