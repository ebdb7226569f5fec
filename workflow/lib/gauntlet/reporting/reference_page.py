"""What a comparison with kept and published results found: sentences, and a page."""

from collections import Counter

from gauntlet.evaluation.reference_check import FAILING, MEASURES, SAME
from gauntlet.evaluation.summary import MODEL
from gauntlet.reporting.formatting import percent, threat_label
from gauntlet.reporting.tables import Table, markdown

KEPT_HEAD = ("model", "attack", "eps", "clean", "robust", "certified", "result")
PUBLISHED_HEAD = ("model", "eps", "published", "clean", "robust", "certified", "result", "why")
NOTES = (
    "Kept: our own accuracies in % as committed, then as found now. Inside: within the kept "
    "value's Wilson 95 % interval.",
    "Published: accuracies in % as published, then ours. Inside: within the tolerance and the "
    "sampling error of n images, compared only where network, training, data and n are the same.",
)


def problems(made: dict) -> list[str]:
    """Say of each kept row that is not met why, and if bytes differ that must not."""
    found = [
        f"{'/'.join(row[name] for name in MODEL)}, {row['attack']}, {_threat(row)}: "
        f"{row['status']} ({row['why']})."
        for row in made["rows"]
        if row["status"] in FAILING
    ]
    if made["same_machine"] and made["same_code"] and not made["same_bytes"]:
        found.append(
            "summary.csv differs from the kept one, though the same code made it on the same kind "
            "of machine; allowed are the same bytes."
        )
    return found


def page(made: dict) -> str:
    """Write both comparisons in Markdown."""
    kept, failing = made["rows"], [row for row in made["rows"] if row["status"] in FAILING]
    counts = Counter(row["status"] for row in kept)
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    title = f"Kept results: {len(kept)} rows, {told}"
    shown = failing or [row for row in kept if row["status"] != SAME] or kept
    parts = [
        Table(title, KEPT_HEAD, list(map(_kept_line, shown))),
        Table("Published numbers", PUBLISHED_HEAD, list(map(_published_line, made["published"]))),
    ]
    result = "NOT verified" if made["problems"] else "verified"
    notes = [*(f"- {text}" for text in made["problems"]), _bytes(made), *NOTES]
    return markdown(f"{made['study']}: {result}", parts, notes)


def _bytes(made: dict) -> str:
    same = {True: "the same", False: "other"}
    bytes_, machine, code = (
        same[made[name]] for name in ("same_bytes", "same_machine", "same_code")
    )
    return f"summary.csv has {bytes_} bytes as kept; {machine} kind of machine, {code} code."


def _kept_line(row: dict) -> tuple[str, ...]:
    values = (_pair(row.get(f"kept_{one}"), row.get(f"found_{one}")) for one in MEASURES)
    names = (_model(row), row["attack"], _threat(row))
    return (*names, *values, row["status"])


def _published_line(row: dict) -> tuple[str, ...]:
    if "published" not in row:
        return (_model(row), _threat(row), "–", "–", "–", "–", row["status"], row["why"])
    shares = ((row[one], row[f"found_{one}"]) for one in MEASURES)
    values = (_pair(*(None if one is None else one / 100 for one in pair)) for pair in shares)
    by = f" ({row['by']})" if row["by"] else ""
    about = f"{row['published']}{by}, {row['source']}"
    return (_model(row), _threat(row), about, *values, row["status"], row["why"])


def _pair(theirs, ours) -> str:
    if theirs in ("", None) and ours in ("", None):
        return "–"
    return f"{percent(theirs)} → {percent(ours)}"


def _model(row: dict) -> str:
    return "/".join(row[name] for name in MODEL)


def _threat(row: dict) -> str:
    return threat_label(row["norm"], row["eps"])
