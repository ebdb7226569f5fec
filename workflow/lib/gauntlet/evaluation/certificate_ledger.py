"""Certificates' ledgers: what is proven about every image. NumPy only."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.evaluation.attack_ledger import DISTANCES, AttackLedger

BASE, SMOOTHED = "base", "smoothed"  # the classifier that a certificate speaks of
COLUMNS = (
    *("index", "label", "classifier", "norm", "eps", "clean_prediction"),
    *("certified", "radius", "margin", "abstained", "note"),
)
INTEGERS = ("index", "label", "clean_prediction", "certified", "abstained")
NUMBERS = ("eps", "radius", "margin")
WORDS = ("classifier", "norm", "note")
NOTHING = -1.0  # radius where nothing is proven: an eps of 0 is not covered either
ROUNDING = 1e-6  # relative: what an attack's ball and the digits of a distance may add


@dataclass(frozen=True)
class CertificateLedger:
    """What one certificate proves; arrays [n], sorted by index, `eps` ascending.

    `radius` is the largest proven eps, 0 where the classifier is wrong or nothing is proven.
    """

    certificate: str
    classifier: str
    norm: str
    eps: tuple[float, ...]
    path: str
    note: str
    index: np.ndarray
    label: np.ndarray
    clean_prediction: np.ndarray
    radius: np.ndarray
    abstained: np.ndarray

    @property
    def deterministic(self) -> bool:
        """Tell whether it speaks of the model itself, without a chance of error."""
        return self.classifier == BASE

    def covers(self, eps: float) -> np.ndarray:
        """Tell which images no example within eps can break: bool [n]."""
        return (self.radius > 0) & (self.radius >= eps)


def read_proof(path: str | Path, certificate: str | None = None) -> CertificateLedger:
    """Read a certificate's ledger; its name is that of its folder if none is given.

    Raises GauntletError for a file that is damaged or contradicts itself.
    """
    name = certificate or Path(path).parts[-3]
    table = _read(path)
    radii = sorted(set(table["eps"].tolist()))
    blocks = [np.flatnonzero(table["eps"] == eps) for eps in radii]
    blocks = [rows[np.argsort(table["index"][rows], kind="stable")] for rows in blocks]
    _check(path, table, blocks)
    first = {key: values[blocks[0]] for key, values in table.items()}
    words = {word: str(first[word][0]) for word in WORDS}
    columns = [first[key] for key in ("index", "label", "clean_prediction", "radius")]
    told = (words["classifier"], words["norm"], tuple(radii), str(path), words["note"])
    return CertificateLedger(name, *told, *columns, first["abstained"] == 1)


def _read(path: str | Path) -> dict[str, np.ndarray]:
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
        columns = dict(zip(head, zip(*rows, strict=True), strict=True))
        table = {name: np.array(columns[name], dtype=np.int64) for name in INTEGERS}
        table |= {name: np.array(columns[name], dtype=float) for name in NUMBERS}
        return table | {name: np.array(columns[name], dtype=str) for name in WORDS}
    except KeyError as error:
        raise GauntletError(f"{path} lacks the column {error} of a certificate.") from error
    except (ValueError, OverflowError, csv.Error) as error:
        raise GauntletError(
            f"{path} is no readable certificate with one or more rows ({error})."
        ) from error


def _check(path: str | Path, table: dict[str, np.ndarray], blocks: list[np.ndarray]) -> None:
    first = table["index"][blocks[0]]
    proven = (table["radius"] > 0) & (table["radius"] >= table["eps"])
    clean = table["clean_prediction"] == table["label"]
    base = table["classifier"] == BASE
    faults = {
        "other images at one eps than at another, or one twice": (np.diff(first) == 0).any()
        or any(not np.array_equal(first, table["index"][rows]) for rows in blocks),
        "more than one norm, classifier or note": any(
            len(set(table[w].tolist())) > 1 for w in WORDS
        ),
        "an eps or a radius that is no number of 0 or more": not _lengths(table),
        "another classifier than base or smoothed": bool({*table["classifier"]} - {BASE, SMOOTHED}),
        "a norm other than linf, l2 or l1": not set(table["norm"].tolist()) <= set(DISTANCES),
        "a certified image whose radius is below eps": bool(
            ((table["certified"] == 1) & ~proven).any()
        ),
        "a radius on an image that the model gets wrong": bool(
            (base & ~clean & (table["radius"] > 0)).any()
        ),
    }
    for fault, found in faults.items():
        if found:
            raise GauntletError(f"{path} has {fault}.")


def _lengths(table: dict[str, np.ndarray]) -> bool:
    return all(bool((np.isfinite(table[n]) & (table[n] >= 0)).all()) for n in ("eps", "radius"))


def agree(point: AttackLedger, proofs: Iterable[CertificateLedger]) -> None:
    """Raise GauntletError unless certificates speak of an attack's images, labels and model."""
    for proof in proofs:
        for name in ("index", "label", "clean_prediction"):
            if not np.array_equal(getattr(point, name), getattr(proof, name)):
                raise GauntletError(
                    f"{point.path} and {proof.path} differ in '{name}'; a model's ledgers and "
                    f"certificates must hold the same images, labels and clean predictions."
                )


def proven(proofs: Sequence[CertificateLedger], norm: str) -> np.ndarray | None:
    """Join deterministic certificates of one norm per image: float64 [n]; None without any.

    A certificate that could not read the model says nothing, not even that nothing holds.
    """
    mine = [p.radius for p in proofs if p.deterministic and p.norm == norm and not p.note]
    return np.maximum.reduce(mine) if mine else None


def contradictions(
    points: Iterable[AttackLedger], proofs: Sequence[CertificateLedger]
) -> list[str]:
    """Name every example that broke an image which a deterministic certificate covers.

    A certificate covers an attack of its norm with an eps up to the radius, and any example, of
    whatever attack, that lies within it.
    """
    found = []
    for point in points:
        for proof in proofs:
            if proof.deterministic:
                inside = getattr(point, proof.norm) <= proof.radius * (1 - ROUNDING)
                if point.norm == proof.norm:
                    inside |= proof.covers(point.eps)
                broken = point.success & inside & (proof.radius > 0)
                found += [_told(point, proof, row) for row in np.flatnonzero(broken)]
    return found


def _told(point: AttackLedger, proof: CertificateLedger, row: int) -> str:
    return (
        f"image {point.index[row]} fell to attack '{point.attack}' at {point.norm} {point.eps:g}, "
        f"but certificate '{proof.certificate}' proves it up to {proof.norm} {proof.radius[row]:g}"
    )


def refuse(contradicted: Sequence[str]) -> None:
    """Raise GauntletError if an example broke what was proven: an error in Gauntlet."""
    if contradicted:
        more = f" (and {len(contradicted) - 1} more)" if len(contradicted) > 1 else ""
        raise GauntletError(
            f"{contradicted[0][:1].upper()}{contradicted[0][1:]}{more}: one of the two is wrong, "
            f"which is an error in Gauntlet and not in the model; please report it."
        )
