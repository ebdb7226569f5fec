"""Certificate ledgers: what one certificate proves about every image. NumPy only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.tolerance import SLACK
from gauntlet.evaluation.attack_ledger import (
    DISTANCES,
    IMAGE,
    AttackLedger,
    Columns,
    read_columns,
)

BASE, SMOOTHED = "base", "smoothed"  # the classifier that a certificate is about
COLUMNS = (
    *("index", "label", "classifier", "norm", "eps", "clean_prediction"),
    *("certified", "radius", "margin", "abstained", "note"),
)
INTEGERS = (*IMAGE, "certified", "abstained")
NUMBERS = ("eps", "radius", "margin")
TEXTS = ("classifier", "norm", "note")
NOTHING = -1.0  # radius where nothing is proven: an eps of 0 is not covered either


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
        """Tell whether it is about the model itself, without a chance of error."""
        return self.classifier == BASE

    def covers(self, eps: float) -> np.ndarray:
        """Tell for which images no example within `eps` is misclassified: bool [n]."""
        return (self.radius > 0) & (self.radius >= eps)


def read_certificate(path: str | Path, certificate: str | None = None) -> CertificateLedger:
    """Read a certificate's ledger; its name is that of its folder if none is given.

    Raises GauntletError for a file that is damaged or contradicts itself.
    """
    table = read_columns(path, "certificate", INTEGERS, NUMBERS, TEXTS)
    radii = sorted(set(table["eps"].tolist()))
    blocks = [np.flatnonzero(table["eps"] == eps) for eps in radii]
    blocks = [rows[np.argsort(table["index"][rows], kind="stable")] for rows in blocks]
    _check(path, table, blocks)
    first = {name: values[blocks[0]] for name, values in table.items()}
    return CertificateLedger(
        certificate=certificate or Path(path).parts[-3],
        eps=tuple(radii),
        path=str(path),
        radius=first["radius"],
        abstained=first["abstained"] == 1,
        **{name: str(first[name][0]) for name in TEXTS},
        **{name: first[name] for name in IMAGE},
    )


def _check(path: str | Path, table: Columns, blocks: list[np.ndarray]) -> None:
    first = table["index"][blocks[0]]
    proven = (table["radius"] > 0) & (table["radius"] >= table["eps"])
    clean = table["clean_prediction"] == table["label"]
    base = table["classifier"] == BASE
    faults = {
        "other images at one eps than at another, or one twice": (np.diff(first) == 0).any()
        or any(not np.array_equal(first, table["index"][rows]) for rows in blocks),
        "more than one norm, classifier or note": any(
            len(set(table[name].tolist())) > 1 for name in TEXTS
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


def _lengths(table: Columns) -> bool:
    return all(bool((np.isfinite(table[n]) & (table[n] >= 0)).all()) for n in ("eps", "radius"))


def require_same_images(ledger: AttackLedger, certificates: Iterable[CertificateLedger]) -> None:
    """Raise GauntletError unless certificates have an attack's images, labels and predictions."""
    for certificate in certificates:
        for name in IMAGE:
            if not np.array_equal(getattr(ledger, name), getattr(certificate, name)):
                raise GauntletError(
                    f"{ledger.path} and {certificate.path} differ in '{name}'; a model's ledgers "
                    f"and certificates must hold the same images, labels and clean predictions."
                )


def proven(certificates: Sequence[CertificateLedger], norm: str) -> np.ndarray | None:
    """Join deterministic certificates of one norm per image: float64 [n]; None without any.

    A certificate that could not read the model is left out: it proves nothing and refutes nothing.
    """
    radii = [c.radius for c in certificates if c.deterministic and c.norm == norm and not c.note]
    return np.maximum.reduce(radii) if radii else None


@dataclass(frozen=True)
class Contradiction:
    """A successful example on an image that a certificate covers: one of the two is wrong."""

    image: int
    attack: str
    norm: str
    eps: float
    certificate: str  # its name, or the path of its ledger
    proven_norm: str
    radius: float

    def __str__(self) -> str:
        return (
            f"attack '{self.attack}' succeeds on image {self.image} at {self.norm} {self.eps:g}, "
            f"but certificate '{self.certificate}' proves that none can up to {self.proven_norm} "
            f"{self.radius:g}"
        )


def contradictions(
    ledgers: Iterable[AttackLedger], certificates: Sequence[CertificateLedger]
) -> list[Contradiction]:
    """List every successful example on an image that a deterministic certificate covers.

    A certificate covers an attack of its norm with an eps up to the radius, and any example, of
    whatever attack, that lies within it.
    """
    deterministic = [certificate for certificate in certificates if certificate.deterministic]
    return [
        found
        for ledger in ledgers
        for certificate in deterministic
        for found in _contradictions(ledger, certificate)
    ]


def _contradictions(ledger: AttackLedger, certificate: CertificateLedger) -> list[Contradiction]:
    inside = getattr(ledger, certificate.norm) <= certificate.radius * (1 - SLACK)
    if ledger.norm == certificate.norm:
        inside |= certificate.covers(ledger.eps)
    rows = np.flatnonzero(ledger.success & inside & (certificate.radius > 0))
    return [
        Contradiction(
            image=int(ledger.index[row]),
            attack=ledger.attack,
            norm=ledger.norm,
            eps=ledger.eps,
            certificate=certificate.certificate,
            proven_norm=certificate.norm,
            radius=float(certificate.radius[row]),
        )
        for row in rows
    ]


def refuse(found: Sequence[Contradiction]) -> None:
    """Raise GauntletError if an example contradicts a certificate: an error in Gauntlet."""
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        text = str(found[0])
        raise GauntletError(
            f"{text[:1].upper()}{text[1:]}{more}: one of the two is wrong, which is an error in "
            f"Gauntlet and not in the model; please report it."
        )
