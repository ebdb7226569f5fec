"""What an audit's checks have broken: the part of the evidence that no attack of a study found.

NumPy only.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_rows
from gauntlet.evaluation.attack_ledger import DISTANCES, SELF, WHITE_BOX, AttackLedger

AUDIT = "audit"  # the attack's name of what an audit's checks have found
TRANSFERRED = "black_box"  # the check that shows what transferred examples do
COLUMNS = ("index", "label", "check", "prediction", *DISTANCES)


def read_found(path: str | Path, norm: str, like: AttackLedger) -> AttackLedger:
    """Read an audit's broken images as a ledger on the images of another one of the same model.

    `norm` is the audit's. Its eps is the distance of the farthest example; `success_by` names the
    check. Raises GauntletError for images that the other ledger has not.
    """
    rows = read_rows(path)
    index = np.array([int(row["index"]) for row in rows], dtype=np.int64)
    if unknown := np.setdiff1d(index, like.index).tolist():
        raise GauntletError(f"{path} names image {unknown[0]}, which {like.path} does not hold.")
    places = np.searchsorted(like.index, index)
    success = np.zeros(len(like.index), dtype=bool)
    success[places] = True
    spans = {name: np.full(len(success), np.nan) for name in DISTANCES}
    by = np.full(len(success), "", dtype=object)
    for place, row in zip(places.tolist(), rows, strict=True):
        by[place] = row["check"]
        for name in DISTANCES:
            spans[name][place] = float(row[name])
    farthest = max((float(row[norm]) for row in rows), default=0.0)
    return _as_attack(like, str(path), norm, farthest, success & like.clean, by, spans)


def as_found(transfers: Sequence[AttackLedger]) -> list[AttackLedger]:
    """Give what transferred examples have broken as findings of the check that shows them."""
    return [
        replace(
            ledger,
            attack=AUDIT,
            source=SELF,
            access=WHITE_BOX,
            success_by=np.where(ledger.success, TRANSFERRED, ""),
        )
        for ledger in transfers
    ]


def _as_attack(
    like: AttackLedger, path: str, norm: str, eps: float, success, by, spans: dict
) -> AttackLedger:
    nothing = np.full(len(success), np.nan)
    return AttackLedger(
        attack=AUDIT,
        source=SELF,
        access=WHITE_BOX,
        norm=norm,
        eps=eps,
        path=path,
        index=like.index,
        label=like.label,
        clean_prediction=like.clean_prediction,
        success=success,
        success_by=by,
        **spans,
        **dict.fromkeys(("success_query", "forwards", "backwards", "draw_loss"), nothing),
        note=like.note,
    )
