"""From ledgers to points: one attack at one eps on every image. NumPy only."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError

SELF = "self"  # source of examples that were made against the model they are shown to
WHITE_BOX = "white-box"
TRANSFER = "transfer"
RERUN = "rerun"  # the attack that goes around what an audit found
DISTANCES = ("linf", "l2", "l1")
PER_IMAGE = (
    *("index", "label", "clean_prediction", *DISTANCES),
    *("success_by", "success_query", "forwards", "backwards", "draw_loss", "note"),
)
INTEGERS = (
    *("index", "label", "clean_prediction", "adversarial_prediction"),
    *("success", "success_8bit"),
)
NUMBERS = ("eps", *DISTANCES, "success_query", "forwards", "backwards", "draw_loss")
WORDS = ("access", "norm", "success_by", "note")
SLACK = 1e-6  # relative: what rounding to float32 may cost, as the ledger's judge allows


@dataclass(frozen=True)
class AttackLedger:
    """One attack at one eps on every image of a part; arrays [n], sorted by index."""

    attack: str
    source: str
    access: str
    norm: str
    eps: float
    path: str
    index: np.ndarray
    label: np.ndarray
    clean_prediction: np.ndarray
    success: np.ndarray
    fell_8bit: np.ndarray
    linf: np.ndarray
    l2: np.ndarray
    l1: np.ndarray
    success_by: np.ndarray
    success_query: np.ndarray
    forwards: np.ndarray
    backwards: np.ndarray
    draw_loss: np.ndarray
    note: np.ndarray

    @property
    def clean(self) -> np.ndarray:
        """Tell which images are classified rightly without an attack: bool [n]."""
        return self.clean_prediction == self.label

    @property
    def robust(self) -> np.ndarray:
        """Tell which images are right and stay so: bool [n]."""
        return self.clean & ~self.success

    def within(self, eps: float) -> np.ndarray:
        """Tell whose example succeeded and lies within an eps, whatever this attack's own: [n]."""
        if self.norm in DISTANCES:
            return self.success & (getattr(self, self.norm) <= eps * (1 + SLACK))
        return self.success & (self.eps <= eps)


def has_rows(path: str | Path) -> bool:
    """Tell whether a ledger has a row; that of a rerun has none where there was nothing to do."""
    with open(path, encoding="utf-8") as stream:
        return sum(1 for _ in zip(range(2), stream, strict=False)) == 2


def read_points(path: str | Path, attack: str, source: str = SELF) -> list[AttackLedger]:
    """Read a ledger: one Point per eps, in the file's order.

    Raises GauntletError for a file that is damaged or contradicts itself.
    """
    table = _read_ledger(path)
    _check_ledger(path, table)
    access = WHITE_BOX if source == SELF else TRANSFER
    if (table["access"] != access).any():
        raise GauntletError(f"{path} must say '{access}' in every row's access, as its place does.")
    points = []
    for norm, eps in dict.fromkeys(zip(table["norm"], table["eps"], strict=True)):
        rows = np.flatnonzero((table["norm"] == norm) & (table["eps"] == eps))
        rows = rows[np.argsort(table["index"][rows], kind="stable")]
        part = {name: table[name][rows] for name in PER_IMAGE}
        success, stored = table["success"][rows] == 1, table["success_8bit"][rows] == 1
        if (np.diff(part["index"]) == 0).any():
            raise GauntletError(f"{path} has two rows for an image at eps {eps:g}; allowed is one.")
        names = (attack, source, access, str(norm), float(eps), str(path))
        points.append(AttackLedger(*names, success=success, fell_8bit=stored, **part))
    return points


def _read_ledger(path: str | Path) -> dict[str, np.ndarray]:
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
        columns = dict(zip(head, zip(*rows, strict=True), strict=True))
        table = {name: np.array(columns[name], dtype=np.int64) for name in INTEGERS}
        for name in NUMBERS:
            table[name] = np.array([cell or "nan" for cell in columns[name]], dtype=float)
    except KeyError as error:
        raise GauntletError(f"{path} lacks the column {error} of a ledger.") from error
    except (ValueError, OverflowError, csv.Error) as error:
        raise GauntletError(
            f"{path} is no readable ledger with one or more rows ({error})."
        ) from error
    if missing := [name for name in WORDS if name not in columns]:
        raise GauntletError(f"{path} lacks the column '{missing[0]}' of a ledger.")
    return table | {name: np.array(columns[name], dtype=str) for name in WORDS}


def _check_ledger(path: str | Path, table: dict[str, np.ndarray]) -> None:
    success = table["success"] == 1
    right = table["clean_prediction"] == table["label"]
    missed = table["adversarial_prediction"] != table["label"]
    wrong = {
        "an eps that is no number of 0 or more": ~(np.isfinite(table["eps"]) & (table["eps"] >= 0)),
        "a label below 0": table["label"] < 0,
        "a success other than 0 or 1": ~np.isin(table["success"], (0, 1)),
        "a success_8bit without a success": (table["success_8bit"] != 0) & ~success,
        "a success on an image that was not right when clean or is right still": (
            success & ~(right & missed)
        ),
    }
    for fault, rows in wrong.items():
        if rows.any():
            image = table["index"][rows][0]
            raise GauntletError(f"{path} has {fault}, first for image {image}.")


def agree(points: Sequence[AttackLedger]) -> None:
    """Raise GauntletError unless all points are about the same images and clean predictions."""
    first = points[0]
    for point in points[1:]:
        for name in ("index", "label", "clean_prediction"):
            if not np.array_equal(getattr(first, name), getattr(point, name)):
                raise GauntletError(
                    f"{first.path} and {point.path} differ in '{name}'; ledgers of one model and "
                    f"part must hold the same images, labels and clean predictions."
                )
