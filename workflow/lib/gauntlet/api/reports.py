"""What the API's functions give back: named fields, a readable table, and pandas on request."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.evaluation.attack_ledger import DISTANCES, AttackLedger
from gauntlet.evaluation.metrics import wilson
from gauntlet.reporting import library_tables


class Interval(NamedTuple):
    """Wilson's 95 % interval of an accuracy, from 0 to 1."""

    low: float
    high: float


def interval_of(values: np.ndarray) -> Interval:
    """Give Wilson's 95 % interval of the share of true values [n]."""
    return Interval(*wilson(float(values.mean()), len(values)))


class Report:
    """A result that prints as a table."""

    def __str__(self) -> str:
        return library_tables.text(self.title(), self.rows(), self.notes())

    __repr__ = __str__

    def title(self) -> str:
        """Say what was measured."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows of the printed table."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Give sentences for below the table."""
        return []

    def details(self) -> list[dict[str, Any]] | dict[str, Sequence]:
        """Give what `to_pandas` holds: rows, or columns by name."""
        return self.rows()

    def to_pandas(self):
        """Give the result as a pandas DataFrame; GauntletError if pandas is not installed."""
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError as error:
            raise GauntletError("to_pandas needs pandas: python -m pip install pandas.") from error
        return pandas.DataFrame(self.details())


@dataclass(frozen=True, repr=False)
class AttackReport(Report):
    """What one attack did to N images at one eps; accuracies are from 0 to 1.

    images: the examples, float32 [N, C, H, W], on the device of the images that were given; an
    image that the model gets wrong anyway is not attacked and is given back unchanged. success:
    bool [N], whether an image was classified correctly and its example is not; the example is
    within eps and [0, 1], all judged in float32 by code that no attack owns. success_by: the name
    of the attack that found it (a member of an ensemble), "" where none did. forwards, backwards:
    int64 [N], passes through the model. ledger: all this as NumPy arrays.
    """

    attack: str
    norm: str
    eps: float
    settings: dict[str, Any]
    images: Tensor
    success: Tensor
    success_by: list[str]
    forwards: Tensor
    backwards: Tensor
    success_query: Tensor
    distances: dict[str, Tensor]
    predictions: Tensor
    clean_predictions: Tensor
    ledger: AttackLedger
    note: str = ""

    @property
    def n(self) -> int:
        """Give the number of images."""
        return len(self.success)

    @property
    def clean_accuracy(self) -> float:
        """Give the share of images that are classified correctly without an attack."""
        return float(self.ledger.clean.mean())

    @property
    def robust_accuracy(self) -> float:
        """Give the share of images that stay classified correctly: an upper bound on robustness."""
        return float(self.ledger.robust.mean())

    @property
    def robust_interval(self) -> Interval:
        """Give Wilson's 95 % interval of the robust accuracy."""
        return interval_of(self.ledger.robust)

    @property
    def success_counts(self) -> dict[str, int]:
        """Count the images that each attack, or member of an ensemble, changed the class of."""
        return dict(Counter(name for name in self.success_by if name).most_common())

    def title(self) -> str:
        return f"Attack {self.attack} on {self.n} images"

    def rows(self) -> list[dict[str, Any]]:
        return [accuracy_row(self.attack, self.ledger, self.norm, self.eps)]

    def notes(self) -> list[str]:
        counts = ", ".join(f"{name} {count}" for name, count in self.success_counts.items())
        found = [f"Successful examples: {counts or 'none'}."]
        return found + ([f"Warning: {self.note}."] if self.note else [])

    def details(self) -> dict[str, Sequence]:
        ledger = self.ledger
        names = ("label", "clean_prediction", "success", *DISTANCES, "success_query")
        columns = {name: getattr(ledger, name) for name in (*names, "forwards", "backwards")}
        shown = {"prediction": self.predictions.cpu().numpy(), "success_by": self.success_by}
        return {"norm": self.norm, "eps": self.eps} | columns | shown


def accuracy_row(name: str, ledger: AttackLedger, norm: str, eps: float) -> dict[str, Any]:
    """Give a table's row of one attack, or of a worst case, at one eps."""
    robust = interval_of(ledger.robust)
    row = {"attack": name, "norm": norm, "eps": eps, "n": len(ledger.label)}
    row |= {"clean_accuracy": float(ledger.clean.mean())}
    row |= {"robust_accuracy": float(ledger.robust.mean())}
    row |= {"robust_low": robust.low, "robust_high": robust.high}
    passes = {"mean_forwards": ledger.forwards.mean(), "mean_backwards": ledger.backwards.mean()}
    return row | {key: float(value) for key, value in passes.items()}


@dataclass(frozen=True, repr=False)
class CertificateReport(Report):
    """What is proven about N images at one eps; `note` says why nothing could be, or is empty.

    certified: bool [N]. radius: float64 [N], the largest eps that is proven, 0 where none is.
    margin: float64 [N], above 0 where the proof holds. abstained: bool [N], for smoothing.
    deterministic: whether the proof is about the model itself; one of smoothing is about the
    smoothed classifier and may be wrong with the probability `alpha` of its settings.
    """

    certificate: str
    norm: str
    eps: float
    settings: dict[str, Any]
    certified: Tensor
    radius: Tensor
    margin: Tensor
    abstained: Tensor
    deterministic: bool
    note: str = ""

    @property
    def n(self) -> int:
        """Give the number of images."""
        return len(self.certified)

    @property
    def certified_accuracy(self) -> float:
        """Give the share of images that are proven: a lower bound on robustness."""
        return float(self.certified.float().mean())

    @property
    def certified_interval(self) -> Interval:
        """Give Wilson's 95 % interval of the certified accuracy."""
        return interval_of(self.certified.cpu().numpy())

    def title(self) -> str:
        return f"Certificate {self.certificate} for {self.n} images"

    def rows(self) -> list[dict[str, Any]]:
        span = self.certified_interval
        row = {"certificate": self.certificate, "norm": self.norm, "eps": self.eps, "n": self.n}
        row |= {"certified_accuracy": self.certified_accuracy}
        return [row | {"certified_low": span.low, "certified_high": span.high}]

    def notes(self) -> list[str]:
        about = [] if self.deterministic else ["It is about the smoothed classifier."]
        return about + ([f"No certificate: {self.note}"] if self.note else [])

    def details(self) -> dict[str, Sequence]:
        names = ("certified", "radius", "margin", "abstained")
        columns = {name: getattr(self, name).cpu().numpy() for name in names}
        return {"norm": self.norm, "eps": self.eps} | columns
