"""The table of certificates: a row per model, certificate and eps, joined over seeds."""

from collections.abc import Iterable, Sequence

from gauntlet.evaluation.certificate_ledger import SMOOTHED
from gauntlet.evaluation.metrics import wilson
from gauntlet.evaluation.summary import mean_std
from gauntlet.reporting.formatting import percent, threat_label
from gauntlet.reporting.tables import Table

GROUP = ("dataset", "model", "defense", "certificate", "classifier", "norm", "eps")
HEAD = (
    *("dataset", "model", "defense", "certificate", "of", "eps", "n", "seeds"),
    *("accuracy", "certified", "95 %", "abstained", "mean radius", "confidence"),
)
NOTES = (
    (
        "Certified: right, and proven to stay so within eps, whatever the attack; a lower bound. "
        "An interval [certified, robust] holds the true robust accuracy on these images; its lower "
        "end takes an image that any deterministic certificate covers. Certified images are not "
        "attacked, but for a sample, if the study says so."
    ),
    (
        "Smoothed classifier: the class that most noisy copies of an image get, another classifier "
        "than the model itself; its certificates hold with the stated confidence for each image, "
        "and never enter the intervals of the model. Abstained: no class had a clear majority. "
        "Mean radius: over all images, 0 where nothing is proven."
    ),
)


def rows_of(records: Iterable[dict]) -> list[dict]:
    """Give the rows of certificates.csv from the evaluations' records, in their order."""
    names = ("dataset", "model", "defense", "seed")
    return [
        {name: record[name] for name in names} | row
        for record in records
        for proof in record.get("certificates", ())
        for row in proof["rows"]
    ]


def certificate_tables(rows: Sequence[dict]) -> list[Table]:
    """Make the table, or none without certificates."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in GROUP), []).append(row)
    lines = [_line(group) for group in groups.values()]
    return [Table("Certificates", HEAD, lines)] if lines else []


def _line(rows: Sequence[dict]) -> tuple[str, ...]:
    first, n = rows[0], int(rows[0]["n"])
    names = [first[name] for name in GROUP[:4]]
    names.append("smoothed classifier" if first["classifier"] == SMOOTHED else "model")
    mean, spread = mean_std(rows, "certified_accuracy")
    known = mean == mean
    low, high = wilson(mean, n) if known else (None, None)
    shares = [
        percent(*_filled(mean_std(rows, "accuracy"))),
        percent(mean, None if spread != spread else spread) if known else "–",
        f"[{percent(low)}, {percent(high)}]" if known else "–",
        percent(mean_std(rows, "abstained")[0]) if first["classifier"] == SMOOTHED else "–",
        f"{mean_std(rows, 'mean_radius')[0]:.3g}" if known else "–",
        percent(first["confidence"]),
    ]
    counts = [threat_label(first["norm"], first["eps"]), str(n), str(len(rows))]
    return (*names, *counts, *shares)


def _filled(pair: tuple[float, float]) -> list[float | None]:
    return [None if value != value else value for value in pair]
