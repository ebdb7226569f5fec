"""The table of certificates: a row per model, certificate and eps, joined over seeds."""

import math
from collections.abc import Iterable, Sequence

from gauntlet.core.records import RUN_NAMES
from gauntlet.evaluation.certificate_ledger import SMOOTHED
from gauntlet.evaluation.metrics import wilson
from gauntlet.evaluation.summary import MODEL, mean_std
from gauntlet.reporting.formatting import percent, threat_label
from gauntlet.reporting.tables import Table

GROUP = (*MODEL, "certificate", "classifier", "norm", "eps")
HEAD = (
    *(*MODEL, "certificate", "of", "eps", "n", "seeds"),
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
    return [
        {name: record[name] for name in RUN_NAMES} | row
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
    smoothed = first["classifier"] == SMOOTHED
    certified, spread = mean_std(rows, "certified_accuracy")
    known = not math.isnan(certified)
    low, high = wilson(certified, n) if known else (None, None)
    return (
        *(first[name] for name in (*MODEL, "certificate")),
        "smoothed classifier" if smoothed else "model",
        threat_label(first["norm"], first["eps"]),
        str(n),
        str(len(rows)),
        percent(*map(_filled, mean_std(rows, "accuracy"))),
        percent(_filled(certified), _filled(spread)),
        f"[{percent(low)}, {percent(high)}]" if known else "–",
        percent(_filled(mean_std(rows, "abstained")[0])) if smoothed else "–",
        f"{mean_std(rows, 'mean_radius')[0]:.3g}" if known else "–",
        percent(first["confidence"]),
    )


def _filled(value: float) -> float | None:
    return None if math.isnan(value) else value
