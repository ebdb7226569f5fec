"""From summaries to tables in Markdown, LaTeX and plain text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabulate import LATEX_ESCAPE_RULES, tabulate

from gauntlet.evaluation.attack_ledger import SELF
from gauntlet.evaluation.metrics import WORST
from gauntlet.evaluation.summary import GROUP, MODEL
from gauntlet.reporting import audit_columns
from gauntlet.reporting.cells import warnings_text
from gauntlet.reporting.formatting import percent, threat_label
from gauntlet.reporting.headline import (
    Column,
    column_labels,
    column_of,
    headline,
    threats_text,
)
from gauntlet.reporting.interval_columns import (
    interval_cells,
    interval_heads,
    interval_threats,
    is_certified,
)
from gauntlet.reporting.training_costs import Cost

COST_HEADS = ("training passes", "training s")
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
        "Passes: forward + backward passes through the model per image. An attack that missed what "
        "is known to be within its reach is refused: it has no accuracy of its own (–). Training "
        "passes: those of one training image in all epochs, forward and backward, the attack "
        "inside included and validation not."
    ),
)


@dataclass(frozen=True)
class Table:
    """A head and rows of texts, to be written in any of three forms."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def headline_table(
    rows: Sequence[dict], costs: Mapping[tuple, Cost] | None = None, spread: bool = True
) -> Table:
    """Make the short table: a row per model, a column per attack, and what training cost if given.

    `costs` are those of each (dataset, model, defense). Where certificates meet attacks stand
    intervals: true robust accuracy lies within.
    """
    columns = headline(rows)
    shown = {(column.norm, float(column.eps)) for column in columns}
    threats = [threat for threat in interval_threats(rows) if threat in shown]
    audited = audit_columns.audited(rows)
    models: dict[tuple, list[dict]] = {}
    for row in rows:
        models.setdefault(tuple(row[name] for name in MODEL), []).append(row)
    names = [n for n in MODEL if n == "defense" or len({row[n] for row in rows}) > 1]
    lines = []
    for model, own in models.items():
        cells = [*_names(own, names), *_accuracies(own, columns, spread)]
        cells += interval_cells(own, threats)
        cells += [audit_columns.verdict(own)] if audited else []
        if costs is not None:
            cells += _cost_cells(costs.get(model))
        lines.append(tuple(cells))
    head = (*names, "clean", *column_labels(columns).values(), *interval_heads(threats))
    head += ("audit",) * audited + COST_HEADS * (costs is not None)
    return Table(_title(rows), head, lines)


def _cost_cells(cost: Cost | None) -> list[str]:
    """Write the passes and the seconds of a model's training."""
    if cost is None:
        return ["–", "–"]
    return ["–" if cost.passes is None else f"{cost.passes:.0f}", f"{cost.seconds:.1f}"]


def _names(rows: Sequence[dict], names: Sequence[str]) -> list[str]:
    """Write a model's names, with a mark if there is a warning."""
    texts = [rows[0][name] for name in names]
    texts[-1] += " (!)" if any(row["warnings"] for row in rows) else ""
    return texts


def _accuracies(rows: Sequence[dict], columns: Sequence[Column], spread: bool) -> list[str]:
    """Write a model's clean accuracy, and its robust accuracy in each column."""
    cells = {column_of(row): _cell(row, "robust", spread) + audit_columns.mark(row) for row in rows}
    return [_cell(rows[0], "clean", spread), *(cells.get(column, "–") for column in columns)]


def _cell(row: dict, name: str, spread: bool) -> str:
    return percent(row.get(f"{name}_mean"), row.get(f"{name}_std") if spread else None)


def _title(rows: Sequence[dict]) -> str:
    """Say what all rows of a short table share: data set, model, n, seeds, eps."""
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
    widths = ((float(high) - float(low)) / 2 for low, high in ends if low not in ("", None))
    return max(widths, default=0.0)


def full_table(rows: Sequence[dict]) -> Table:
    """Make the long table: every attack and eps, with intervals."""
    head = (*GROUP[:4], "access", "eps", "n", "seeds", "clean", "95 %", "robust", "95 %")
    certified = any(map(is_certified, rows))
    head += ("certified",) * certified + ("loss", "passes")
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
    return (*names, *counts, *shares, loss, _passes(row))


def _passes(row: dict) -> str:
    spent = [row["forwards_mean"], row["backwards_mean"]]
    return "–" if spent[0] in ("", None) else " + ".join(f"{float(count):.4g}" for count in spent)


def warnings(rows: Sequence[dict]) -> list[str]:
    """List each model's warnings as `(!) dataset/model/defense: text`."""
    found = {
        f"(!) {'/'.join(row[name] for name in MODEL)}: {warnings_text(row['warnings'])}": None
        for row in rows
        if row["warnings"]
    }
    return list(found)


def precisions(rows: Sequence[dict]) -> list[str]:
    """Say of which attacks the gradients were in a lower precision than float32: a line each."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in (row for row in rows if "precision" in row):
        key = (row["precision"], row["dataset"], row["model"])
        found.setdefault(key, {})[row["attack"]] = None
    return [
        f"Gradients in {precision}, {model} on {dataset}: {', '.join(attacks)}. Every success is "
        "judged in float32."
        for (precision, dataset, model), attacks in found.items()
    ]


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
