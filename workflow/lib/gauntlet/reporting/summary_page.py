"""What a study's summary shows to readers: tables, and the notes below them."""

from collections.abc import Sequence

from gauntlet.reporting import (
    audit_columns,
    certificate_tables,
    comparison_tables,
    search_lines,
    tables,
    training_costs,
)
from gauntlet.reporting.tables import Table


def parts(
    joined: Sequence[dict], spent: Sequence[dict], proven: Sequence[dict], compared: Sequence[dict]
) -> tuple[list[Table], list[str]]:
    """Give a study's tables and notes.

    `joined` are summaries over seeds, the others the rows of timings.csv, certificates.csv and
    comparisons.csv.
    """
    shown = [
        tables.headline_table(joined, training_costs.costs_of(spent)),
        *certificate_tables.certificate_tables(proven),
        *comparison_tables.comparison_tables(compared),
        tables.full_table(joined),
    ]
    notes = [*tables.warnings(joined), *audit_columns.lines(joined), *tables.NOTES]
    notes += certificate_tables.NOTES if proven else ()
    notes += [comparison_tables.NOTE] if compared else []
    return shown, [*notes, *tables.precisions(joined), *search_lines.found_settings(joined)]
