"""From summaries to tables in Markdown, LaTeX and plain text."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tabulate import LATEX_ESCAPE_RULES, tabulate

from gauntlet.evaluation.attack_ledger import SELF
from gauntlet.evaluation.metrics import WORST
from gauntlet.evaluation.summary import GROUP
from gauntlet.reporting import audit_columns
from gauntlet.reporting.formatting import percent, threat_label
from gauntlet.reporting.interval_columns import (
    interval_cells,
    interval_heads,
    interval_threats,
    is_certified,
)

POINT = ("attack", "source", "norm", "eps")
COSTS = ("seconds", "cpu_seconds", "peak_rss_mb")
NOTES = (
    (
        "Accuracies in %: mean ± standard deviation over seeds; [ ]: Wilson 95 % interval of the "
        "mean accuracy on n test images. All seeds see the same images, so n does not grow with "
        "them. Loss: mean over several random adversarial examples of every image."
    ),
    (
        "Robust: right when clean and not broken by the attack; images that were wrong when clean "
        "count as broken. The worst case is taken per image over the white-box attacks with the "
        "same norm and an eps up to this one. It is an upper bound: an attack that was not run can "
        "only lower it. Gaussian noise is a control, not an attack."
    ),
    (
        "8-bit: robust accuracy if every example is first rounded to what an image file can hold. "
        "Passes: forward + backward passes through the model per image. An attack that missed what "
        "is known to be within its reach is refused: it has no accuracy of its own (–)."
    ),
)


@dataclass(frozen=True)
class Table:
    """A head and rows of texts, to be written in any of three forms."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def headline(rows: Sequence[dict]) -> list[tuple[str, str, str, str]]:
    """Choose the (attack, source, norm, eps) that a short table shows: all but curves.

    A curve is an attack with several eps; a worst case is shown where an attack with a single eps
    takes part. Where there are only curves, all points are shown.
    """
    eps: dict[tuple, set] = {}
    for row in rows:
        eps.setdefault((row["attack"], row["source"], row["norm"]), set()).add(row["eps"])
    points = list(dict.fromkeys(tuple(str(row[name]) for name in POINT) for row in rows))
    fixed = [p for p in points if p[0] != WORST and len(eps[p[:3]]) == 1]
    threats = {(norm, value) for _, source, norm, value in fixed if source == SELF}
    own = [p for p in fixed if p[1] == SELF]
    worst = [p for p in points if p[0] == WORST and p[2:] in threats]
    return own + worst + [p for p in fixed if p[1] != SELF] or points


def point_labels(points: Sequence[tuple[str, str, str, str]]) -> dict[tuple, str]:
    """Name points as briefly as they can be told apart."""
    names = [(p[0], p[1]) for p in points]
    labels = {}
    for point in points:
        attack, source, norm, eps = point
        label = attack.replace(WORST, "worst case")
        label = label if source == SELF else f"transfer {label} ({source})"
        several = names.count((attack, source)) > 1
        labels[point] = f"{label} {threat_label(norm, eps)}" if several else label
    return labels


def threats_text(points: Sequence[tuple[str, str, str, str]]) -> str:
    """Say at which norm and eps the white-box attacks among points were run."""
    threats: dict[str, list[str]] = {}
    for attack, source, norm, eps in points:
        if attack != WORST and source == SELF:
            threats.setdefault(threat_label(norm, eps), []).append(attack)
    return "; ".join(f"{', '.join(attacks)}: {threat}" for threat, attacks in threats.items())


def headline_table(
    rows: Sequence[dict], seconds: dict[tuple, list[float]] | None = None, spread: bool = True
) -> Table:
    """Make the short table: a row per model, a column per attack, and training seconds if given.

    Where certificates meet attacks stand intervals: true robust accuracy lies within.
    """
    points = headline(rows)
    labels = point_labels(points)
    shown = {(point[2], float(point[3])) for point in points}
    threats = [threat for threat in interval_threats(rows) if threat in shown]
    runs: dict[tuple, dict] = {}
    for row in rows:
        mine = runs.setdefault(tuple(row[name] for name in GROUP[:3]), {})
        mine[tuple(str(row[name]) for name in POINT)] = row
    kept = [i for i in range(3) if i == 2 or len({run[i] for run in runs}) > 1]
    lines = []
    for run, mine in runs.items():
        names = [run[i] for i in kept]
        names[-1] += " (!)" if any(row["warning"] for row in mine.values()) else ""
        cells = [_cell(next(iter(mine.values())), "clean", spread)]
        cells += [
            _cell(mine.get(point, {}), "robust", spread) + audit_columns.mark(mine.get(point, {}))
            for point in points
        ]
        cells += interval_cells(list(mine.values()), threats)
        cells += [audit_columns.word(list(mine.values()))] if audit_columns.audited(rows) else []
        if seconds is not None:
            cells.append(f"{fmean(seconds[run]):.1f}" if run in seconds else "–")
        lines.append((*names, *cells))
    head = (*(GROUP[i] for i in kept), "clean", *labels.values(), *interval_heads(threats))
    head += ("audit",) if audit_columns.audited(rows) else ()
    return Table(_title(rows), head if seconds is None else (*head, "training s"), lines)


def _cell(row: dict, name: str, spread: bool) -> str:
    return percent(row.get(f"{name}_mean"), row.get(f"{name}_std") if spread else None)


def _title(rows: Sequence[dict]) -> str:
    """Say what all rows of a short table have in common: data set, model, n, seeds, eps."""
    runs = list(dict.fromkeys((row["dataset"], row["model"]) for row in rows))
    counts = dict.fromkeys((row["dataset"], str(row["n"])) for row in rows)
    n = f"n = {', '.join(f'{n} ({name})' if len(counts) > 1 else n for name, n in counts)}"
    seeds = " to ".join(sorted({str(row["seeds"]) for row in rows}))
    name = " · ".join(runs[0]) if len(runs) == 1 else f"{len(runs)} data sets and models"
    seeds += " seed" if seeds == "1" else " seeds"
    known = f"{name}, {n}, {seeds}, 95 % interval at most ± {100 * _widest(rows):.1f}"
    return f"{known}; {threats_text(headline(rows))}"


def _widest(rows: Sequence[dict]) -> float:
    """Give half of the widest interval, of accuracies that were measured."""
    ends = [
        (row[f"{kind}_low"], row[f"{kind}_high"]) for row in rows for kind in ("clean", "robust")
    ]
    return max((float(high) - float(low)) / 2 for low, high in ends if low not in ("", None))


def full_table(rows: Sequence[dict]) -> Table:
    """Make the long table: every attack and eps, with intervals."""
    head = (*GROUP[:4], "access", "eps", "n", "seeds", "clean", "95 %", "robust", "95 %")
    certified = any(map(is_certified, rows))
    head += ("certified",) * certified + ("8-bit", "loss", "passes")
    return Table("All attacks", head, [_full_row(row, certified) for row in rows])


def _full_row(row: dict, certified: bool) -> tuple[str, ...]:
    access = row["access"] + ("" if row["source"] == SELF else f" from {row['source']}")
    names = [row[name].replace(WORST, "worst case") for name in GROUP[:4]]
    counts = [access, threat_label(row["norm"], row["eps"]), str(row["n"]), str(row["seeds"])]
    shares = []
    for name in ("clean", "robust"):
        shares.append(percent(row[f"{name}_mean"], row[f"{name}_std"]))
        shares.append(f"[{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]")
    if certified:
        shares.append(percent(row["certified_mean"], row["certified_std"]))
    loss = "–" if row["loss_mean"] in ("", None) else f"{float(row['loss_mean']):.3g}"
    return (*names, *counts, *shares, percent(row["robust_8bit_mean"]), loss, _passes(row))


def _passes(row: dict) -> str:
    spent = [row["forwards_mean"], row["backwards_mean"]]
    return "–" if spent[0] in ("", None) else " + ".join(f"{float(count):.4g}" for count in spent)


def warnings(rows: Sequence[dict]) -> list[str]:
    """List each model's warnings as `defense: text`."""
    told = {}
    for row in rows:
        if row["warning"]:
            told[f"(!) {'/'.join(row[name] for name in GROUP[:3])}: {row['warning']}"] = None
    return list(told)


def markdown(title: str, parts: Sequence[Table], notes: Sequence[str]) -> str:
    """Write tables and notes in Markdown."""
    blocks = [f"# {title}"]
    for table in parts:
        blocks += [f"**{table.title}**", written(table, "pipe")]
    return "\n\n".join([*blocks, *notes]) + "\n"


def latex(title: str, parts: Sequence[Table], notes: Sequence[str]) -> str:
    """Write tables and notes in LaTeX, to be read by \\input; all text is escaped."""
    blocks = [f"% {title}; needs \\usepackage{{longtable}}"]
    for table in parts:
        blocks += [_escaped(table.title), written(table, "latex_longtable")]
    return "\n\n".join([*blocks, *map(_escaped, notes)]) + "\n"


def _escaped(text: str) -> str:
    return "".join(LATEX_ESCAPE_RULES.get(letter, letter) for letter in text)


def written(table: Table, form: str, columns: Sequence[int] | None = None) -> str:
    """Write (some columns of) a table in one of tabulate's forms; numbers to the right."""
    kept = range(len(table.head)) if columns is None else columns
    rows = [[row[i] for i in kept] for row in (table.head, *table.rows)]
    sides = ["right" if right else "left" for right in right_aligned(table)]
    aligned = [sides[i] for i in kept]
    return tabulate(rows[1:], rows[0], form, disable_numparse=True, colalign=aligned)


def right_aligned(table: Table) -> list[bool]:
    """Tell which columns hold numbers."""
    columns = zip(*table.rows, strict=True)
    return [all(cell[:1] in "0123456789[–" for cell in column) for column in columns]
