"""Attack ledgers: what one attack did to every image, one eps after another. NumPy only."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.tolerance import SLACK

SELF = "self"  # source of examples that were made against the model they are shown to
WHITE_BOX = "white-box"
TRANSFER = "transfer"
RERUN = "rerun"  # the attack that goes around what an audit found
DISTANCES = ("linf", "l2", "l1")
IMAGE = ("index", "label", "clean_prediction")  # the same in all ledgers of one model
PER_IMAGE = (
    *(*IMAGE, *DISTANCES),
    *("success_by", "success_query", "forwards", "backwards", "draw_loss", "note"),
)
INTEGERS = (*IMAGE, "adversarial_prediction", "success")
NUMBERS = ("eps", *DISTANCES, "success_query", "forwards", "backwards", "draw_loss")
TEXTS = ("access", "norm", "success_by", "note")
Columns = dict[str, np.ndarray]


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
        """Tell which images are classified correctly without an attack: bool [n]."""
        return self.clean_prediction == self.label

    @property
    def robust(self) -> np.ndarray:
        """Tell which images are classified correctly with and without the attack: bool [n]."""
        return self.clean & ~self.success

    def within(self, eps: float) -> np.ndarray:
        """Tell which images have a successful example within `eps` of this norm: bool [n]."""
        if self.norm in DISTANCES:
            return self.success & (getattr(self, self.norm) <= eps * (1 + SLACK))
        return self.success & (self.eps <= eps)


def has_rows(path: str | Path) -> bool:
    """Tell whether a ledger has a row; that of a rerun has none where nothing had to be done."""
    with open(path, encoding="utf-8") as stream:
        return len(list(islice(stream, 2))) == 2


def read_ledger(path: str | Path, attack: str, source: str = SELF) -> list[AttackLedger]:
    """Read a ledger's file: one AttackLedger per norm and eps, in the file's order.

    Raises GauntletError for a file that is damaged or contradicts itself.
    """
    table = read_columns(path, "ledger", INTEGERS, NUMBERS, TEXTS, number=_number_or_nan)
    _check(path, table)
    access = WHITE_BOX if source == SELF else TRANSFER
    if (table["access"] != access).any():
        raise GauntletError(f"{path} must have '{access}' in the column access of every row.")
    threats = dict.fromkeys(zip(table["norm"], table["eps"], strict=True))
    return [_at(path, table, str(norm), float(eps), attack, source) for norm, eps in threats]


def _at(
    path: str | Path, table: Columns, norm: str, eps: float, attack: str, source: str
) -> AttackLedger:
    """Select the rows of one norm and eps, sorted by image."""
    rows = np.flatnonzero((table["norm"] == norm) & (table["eps"] == eps))
    rows = rows[np.argsort(table["index"][rows], kind="stable")]
    columns = {name: table[name][rows] for name in PER_IMAGE}
    if (np.diff(columns["index"]) == 0).any():
        raise GauntletError(f"{path} has two rows for an image at eps {eps:g}; allowed is one.")
    return AttackLedger(
        attack=attack,
        source=source,
        access=str(table["access"][0]),
        norm=norm,
        eps=eps,
        path=str(path),
        success=table["success"][rows] == 1,
        **columns,
    )


def read_columns(
    path: str | Path,
    kind: str,
    integers: Sequence[str],
    numbers: Sequence[str],
    texts: Sequence[str],
    number: Callable[[str], float] = float,
) -> Columns:
    """Read the named columns of a CSV file, each an array [rows]; `number` reads one number.

    Raises GauntletError, which calls the file a `kind`, if a column is missing or unreadable.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
        columns = dict(zip(head, zip(*rows, strict=True), strict=True))
        table = {name: np.array(columns[name], dtype=np.int64) for name in integers}
        for name in numbers:
            table[name] = np.array(list(map(number, columns[name])), dtype=float)
        return table | {name: np.array(columns[name], dtype=str) for name in texts}
    except KeyError as error:
        raise GauntletError(f"{path} lacks the column {error} of a {kind}.") from error
    except (ValueError, OverflowError, csv.Error) as error:
        raise GauntletError(
            f"{path} is no readable {kind} with one or more rows ({error})."
        ) from error


def _number_or_nan(cell: str) -> float:
    return float(cell or "nan")


def _check(path: str | Path, table: Columns) -> None:
    success = table["success"] == 1
    right = table["clean_prediction"] == table["label"]
    missed = table["adversarial_prediction"] != table["label"]
    faults = {
        "an eps that is no number of 0 or more": ~(np.isfinite(table["eps"]) & (table["eps"] >= 0)),
        "a label below 0": table["label"] < 0,
        "a success other than 0 or 1": ~np.isin(table["success"], (0, 1)),
        "a success on an image that was not right when clean or is right still": (
            success & ~(right & missed)
        ),
    }
    for fault, rows in faults.items():
        if rows.any():
            image = table["index"][rows][0]
            raise GauntletError(f"{path} has {fault}, first for image {image}.")


def require_same_images(ledgers: Sequence[AttackLedger]) -> None:
    """Raise GauntletError unless all ledgers have the same images, labels, clean predictions."""
    first = ledgers[0]
    for other in ledgers[1:]:
        for name in IMAGE:
            if not np.array_equal(getattr(first, name), getattr(other, name)):
                raise GauntletError(
                    f"{first.path} and {other.path} differ in '{name}'; ledgers of one model and "
                    f"part must hold the same images, labels and clean predictions."
                )
