"""From ledgers to rows: what happened to every image, as accuracies with intervals. NumPy only."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.errors import GauntletError

RUN = re.compile(r"(?:^|/)runs/([^/]+)/([^/]+)/([^/]+)/seed(\d+)/")
RUN_NAMES = ("dataset", "model", "defense", "seed")
Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
SELF = "self"  # source of examples that were made against the model they are shown to
WORST = "worst_case"
WHITE_BOX = "white-box"
TRANSFER = "transfer"
PER_IMAGE = ("index", "label", "clean_prediction", "linf", "l2", "steps", "draw_loss")
INTEGERS = ("index", "label", "clean_prediction", "adversarial_prediction", "success")
NUMBERS = ("eps", "linf", "l2", "steps", "draw_loss")
WORDS = ("access", "norm")
COLUMNS = (
    *("dataset", "model", "defense", "seed", "attack", "source", "access", "norm", "eps", "n"),
    *("clean_accuracy", "clean_low", "clean_high"),
    *("robust_accuracy", "robust_low", "robust_high", "success_rate", "mean_adversarial_loss"),
    *("median_linf", "median_l2", "mean_steps", "selection", "selected_epoch", "warning"),
)


@dataclass(frozen=True)
class Point:
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
    fell: np.ndarray
    linf: np.ndarray
    l2: np.ndarray
    steps: np.ndarray
    draw_loss: np.ndarray

    @property
    def clean(self) -> np.ndarray:
        """Tell which images are classified rightly without an attack: bool [n]."""
        return self.clean_prediction == self.label

    @property
    def robust(self) -> np.ndarray:
        """Tell which images are right and stay so: bool [n]."""
        return self.clean & ~self.fell


def wilson(accuracy: float, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % score interval of a share of n images.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if n < 1:
        raise ValueError(f"n is {n}; an interval needs 1 image or more")
    square = Z95**2
    center = (accuracy + square / (2 * n)) / (1 + square / n)
    spread = accuracy * (1 - accuracy) / n + square / (4 * n**2)
    half = Z95 * spread**0.5 / (1 + square / n)
    low, high = float(center - half), float(center + half)
    return max(0.0, min(low, accuracy)), min(1.0, max(high, accuracy))  # against rounding


def read_points(path: str | Path, attack: str, source: str = SELF) -> list[Point]:
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
        fell = table["success"][rows] == 1
        if (np.diff(part["index"]) == 0).any():
            raise GauntletError(f"{path} has two rows for an image at eps {eps:g}; allowed is one.")
        names = (attack, source, access, str(norm), float(eps), str(path))
        points.append(Point(*names, fell=fell, **part))
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
    fell = table["success"] == 1
    right = table["clean_prediction"] == table["label"]
    missed = table["adversarial_prediction"] != table["label"]
    wrong = {
        "an eps that is no number of 0 or more": ~(np.isfinite(table["eps"]) & (table["eps"] >= 0)),
        "a label below 0": table["label"] < 0,
        "a success other than 0 or 1": ~np.isin(table["success"], (0, 1)),
        "a success on an image that was not right when clean or is right still": (
            fell & ~(right & missed)
        ),
    }
    for fault, rows in wrong.items():
        if rows.any():
            image = table["index"][rows][0]
            raise GauntletError(f"{path} has {fault}, first for image {image}.")


def agree(points: Sequence[Point]) -> None:
    """Raise GauntletError unless all points are about the same images and clean predictions."""
    first = points[0]
    for point in points[1:]:
        for name in ("index", "label", "clean_prediction"):
            if not np.array_equal(getattr(first, name), getattr(point, name)):
                raise GauntletError(
                    f"{first.path} and {point.path} differ in '{name}'; ledgers of one model and "
                    f"part must hold the same images, labels and clean predictions."
                )


def threat_models(points: Iterable[Point]) -> dict[tuple[str, float], list[Point]]:
    """Group the white-box points by (norm, eps)."""
    groups: dict[tuple[str, float], list[Point]] = {}
    for point in points:
        if point.access == WHITE_BOX:
            groups.setdefault((point.norm, point.eps), []).append(point)
    return groups


def worst_case(points: Sequence[Point]) -> Point:
    """Join attacks of one threat model per image: it falls if any of them succeeded.

    Its distance is that of the nearest example that succeeded; steps and losses are not joined.
    """
    first, nothing = points[0], np.full(len(points[0].index), np.nan)
    return Point(
        *(WORST, SELF, WHITE_BOX, first.norm, first.eps, first.path),
        *(first.index, first.label, first.clean_prediction),
        fell=np.any([point.fell for point in points], axis=0),
        linf=_nearest(points, "linf"),
        l2=_nearest(points, "l2"),
        steps=nothing,
        draw_loss=nothing,
    )


def _nearest(points: Sequence[Point], name: str) -> np.ndarray:
    nearest = np.min([np.where(p.fell, getattr(p, name), np.inf) for p in points], axis=0)
    return np.where(np.isinf(nearest), np.nan, nearest)


def measure(point: Point) -> dict:
    """Give a point's columns of the robustness table; None where nothing was measured."""
    n, clean, robust = len(point.index), point.clean.mean(), point.robust.mean()
    fallen = np.count_nonzero(point.fell)
    values = {
        "clean_accuracy": clean,
        "robust_accuracy": robust,
        "success_rate": fallen / point.clean.sum() if point.clean.any() else np.nan,
        "mean_adversarial_loss": point.draw_loss.mean(),
        "median_linf": np.median(point.linf[point.fell]) if fallen else np.nan,
        "median_l2": np.median(point.l2[point.fell]) if fallen else np.nan,
        "mean_steps": point.steps.mean(),
    }
    values["clean_low"], values["clean_high"] = wilson(float(clean), n)
    values["robust_low"], values["robust_high"] = wilson(float(robust), n)
    names = {name: getattr(point, name) for name in ("attack", "source", "access", "norm", "eps")}
    return names | {"n": n} | {name: rounded(value) for name, value in values.items()}


def per_class(points: Sequence[Point]) -> list[dict]:
    """Give clean and worst-case robust accuracy of every class that has images."""
    joined = worst_case(points)
    rows = []
    for label in np.unique(joined.label):
        mine = joined.label == label
        rows.append(
            {
                "label": int(label),
                "n": int(mine.sum()),
                "clean_accuracy": rounded(joined.clean[mine].mean()),
                "robust_accuracy": rounded(joined.robust[mine].mean()),
            }
        )
    return rows


def run_of(path: str | Path) -> tuple[str, str, str, str]:
    """Give (dataset, model, defense, seed) of a file under results/runs/, from its path."""
    match = RUN.search(Path(path).as_posix())
    if match is None:
        raise GauntletError(f"{path} must lie under runs/<dataset>/<model>/<defense>/seed<seed>/.")
    return match.groups()


def rounded(value: float) -> float | None:
    """Keep six digits of a measured number; None for one that was not measured."""
    return None if np.isnan(value) else float(f"{value:.6g}")


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV table as texts; GauntletError if a row is longer or shorter than the head."""
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if any(None in row or None in row.values() for row in rows):
        raise GauntletError(f"{path} is no table: a row has more or fewer fields than the head.")
    return rows


def write_rows(path: str | Path, columns: Iterable[str], rows: Iterable[dict]) -> None:
    """Write a CSV table of the named columns; None becomes an empty field."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
