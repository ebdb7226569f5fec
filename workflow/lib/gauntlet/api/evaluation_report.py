"""Several attacks and certificates on the same images, joined per image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gauntlet.api.reports import (
    AttackReport,
    CertificateReport,
    Interval,
    Report,
    accuracy_row,
    interval_of,
)
from gauntlet.evaluation.attack_ledger import AttackLedger
from gauntlet.evaluation.certificate_ledger import (
    BASE,
    SMOOTHED,
    CertificateLedger,
    contradictions,
    proven,
    refuse,
)
from gauntlet.evaluation.metrics import worst_case

WORST = "worst case"


@dataclass(frozen=True, repr=False)
class EvaluationReport(Report):
    """Attacks and certificates of one norm on N images, by eps in ascending order.

    attacks and certificates: one report for each attack or certificate and eps. worst_cases: by
    eps, the worst case over all attacks per image, as a ledger. proven_radius: float64 [N], the
    largest eps that a deterministic certificate proves, or None. Accuracies are from 0 to 1; those
    without an eps in their name are at the largest eps.
    """

    norm: str
    eps: tuple[float, ...]
    attacks: tuple[AttackReport, ...]
    certificates: tuple[CertificateReport, ...]
    worst_cases: dict[float, AttackLedger]
    proven_radius: np.ndarray | None

    @property
    def n(self) -> int:
        """Give the number of images."""
        return self.attacks[0].n

    @property
    def clean_accuracy(self) -> float:
        """Give the share of images that are classified correctly without an attack."""
        return self.attacks[0].clean_accuracy

    @property
    def robust_accuracy(self) -> float:
        """Give the worst case over all attacks at the largest eps: an upper bound."""
        return self.robust_accuracy_at(self.eps[-1])

    @property
    def robust_interval(self) -> Interval:
        """Give Wilson's 95 % interval of the worst case at the largest eps."""
        return interval_of(self.worst_cases[self.eps[-1]].robust)

    @property
    def certified_accuracy(self) -> float | None:
        """Give what is proven at the largest eps, a lower bound; None without a certificate."""
        return self.certified_accuracy_at(self.eps[-1])

    def robust_accuracy_at(self, eps: float) -> float:
        """Give the worst case over all attacks at one eps of the report."""
        return float(self.worst_cases[eps].robust.mean())

    def certified_accuracy_at(self, eps: float) -> float | None:
        """Give the share of images that are proven at an eps; None without a certificate."""
        held = self._held(eps)
        return None if held is None else float(held.mean())

    @property
    def certificate_note(self) -> str:
        """Say why there is no certificate, or nothing."""
        return "" if self.proven_radius is not None else " ".join(self._reasons())

    def title(self) -> str:
        return f"Evaluation of {self.n} images, {self.norm}"

    def rows(self) -> list[dict[str, Any]]:
        rows = []
        for eps in self.eps:
            mine = [one for one in self.attacks if one.eps == eps]
            rows += [self._row(one.attack, one.ledger, eps) for one in mine]
            rows.append(self._row(WORST, self.worst_cases[eps], eps) | self._bound(eps))
        return rows

    def notes(self) -> list[str]:
        reasons = [f"No certificate: {reason}" for reason in self._reasons()]
        warnings = {one.note for one in self.attacks if one.note}
        return reasons + [f"Warning: {note}." for note in sorted(warnings)]

    def _reasons(self) -> list[str]:
        return list(dict.fromkeys(one.note for one in self.certificates if one.note))

    def _row(self, name: str, ledger: AttackLedger, eps: float) -> dict[str, Any]:
        empty = dict.fromkeys(("certified_accuracy", "certified_low", "certified_high"))
        return accuracy_row(name, ledger, self.norm, eps) | empty

    def _bound(self, eps: float) -> dict[str, Any]:
        held = self._held(eps)
        if held is None:
            return {}
        span = interval_of(held)
        row = {"certified_accuracy": float(held.mean())}
        return row | {"certified_low": span.low, "certified_high": span.high}

    def _held(self, eps: float) -> np.ndarray | None:
        if self.proven_radius is None:
            return None
        return (self.proven_radius > 0) & (self.proven_radius >= eps)


def joined(
    attacks: Sequence[AttackReport], certificates: Sequence[CertificateReport]
) -> EvaluationReport:
    """Join reports of one norm on the same images.

    Raises GauntletError if an example is within what a deterministic certificate proves.
    """
    norm, ledgers = attacks[0].norm, [one.ledger for one in attacks]
    proofs = [_as_ledger(one, ledgers[0]) for one in certificates]
    refuse(contradictions(ledgers, proofs))
    eps = tuple(sorted({one.eps for one in attacks}))
    return EvaluationReport(
        norm=norm,
        eps=eps,
        attacks=tuple(attacks),
        certificates=tuple(certificates),
        worst_cases={radius: worst_case(ledgers, norm, radius) for radius in eps},
        proven_radius=proven(proofs, norm),
    )


def _as_ledger(report: CertificateReport, first: AttackLedger) -> CertificateLedger:
    return CertificateLedger(
        certificate=report.certificate,
        classifier=BASE if report.deterministic else SMOOTHED,
        norm=report.norm,
        eps=(report.eps,),
        path=report.certificate,
        note=report.note,
        index=first.index,
        label=first.label,
        clean_prediction=first.clean_prediction,
        radius=report.radius.numpy(),
        abstained=report.abstained.numpy(),
    )
