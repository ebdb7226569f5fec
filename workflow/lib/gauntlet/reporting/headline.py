"""Which columns a short table or figure shows: an attack at an eps each."""

from collections.abc import Sequence
from typing import NamedTuple

from gauntlet.evaluation.attack_ledger import SELF
from gauntlet.evaluation.metrics import WORST
from gauntlet.reporting.formatting import threat_label


class Column(NamedTuple):
    """What one column of a short table shows: an attack at an eps; all fields are texts."""

    attack: str
    source: str
    norm: str
    eps: str

    @property
    def threat(self) -> tuple[str, str]:
        """Give the threat model: (norm, eps)."""
        return self.norm, self.eps


def column_of(row: dict) -> Column:
    """Give the column that a row belongs to."""
    return Column(*(str(row[name]) for name in Column._fields))


def headline(rows: Sequence[dict]) -> list[Column]:
    """Choose the columns of a short table: all but curves.

    A curve is an attack with several eps; a worst case is shown where an attack with a single eps
    takes part. Where there are only curves, all points are shown.
    """
    columns = list(dict.fromkeys(map(column_of, rows)))
    eps: dict[tuple, set] = {}
    for column in columns:
        eps.setdefault(column[:3], set()).add(column.eps)
    single = [c for c in columns if c.attack != WORST and len(eps[c[:3]]) == 1]
    own = [column for column in single if column.source == SELF]
    threats = {column.threat for column in own}
    worst = [c for c in columns if c.attack == WORST and c.threat in threats]
    return own + worst + [c for c in single if c.source != SELF] or columns


def column_labels(columns: Sequence[Column]) -> dict[Column, str]:
    """Name columns as briefly as tells them apart."""
    names = [(column.attack, column.source) for column in columns]
    labels = {}
    for column in columns:
        label = column.attack.replace(WORST, "worst case")
        label = label if column.source == SELF else f"transfer {label} ({column.source})"
        several = names.count((column.attack, column.source)) > 1
        labels[column] = f"{label} {threat_label(*column.threat)}" if several else label
    return labels


def threats_text(columns: Sequence[Column]) -> str:
    """Say at which norm and eps the white-box attacks among columns were run."""
    threats: dict[str, list[str]] = {}
    for column in columns:
        if column.attack != WORST and column.source == SELF:
            threats.setdefault(threat_label(*column.threat), []).append(column.attack)
    return "; ".join(f"{', '.join(attacks)}: {threat}" for threat, attacks in threats.items())
