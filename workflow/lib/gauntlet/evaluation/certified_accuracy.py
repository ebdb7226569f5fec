"""Lower bounds beside upper ones: certified accuracy, and records of certificates. NumPy only."""

import numpy as np

from gauntlet.core.records import RUN_NAMES
from gauntlet.evaluation.attack_ledger import WHITE_BOX
from gauntlet.evaluation.certificate_ledger import CertificateLedger, proven
from gauntlet.evaluation.metrics import rounded, wilson

COLUMNS = (
    *(*RUN_NAMES, "certificate", "kind", "classifier"),
    *("confidence", "norm", "eps", "n", "accuracy", "certified_accuracy"),
    *("certified_low", "certified_high", "abstained", "mean_radius", "note"),
)


def certified(row: dict, certificates: list[CertificateLedger]) -> dict:
    """Give a white-box row's certified accuracy at its norm and eps, with its interval.

    Deterministic certificates are joined per image. Empty where none has the row's norm.
    """
    radii = proven(certificates, row["norm"]) if row["access"] == WHITE_BOX else None
    return {} if radii is None else _share((radii > 0) & (radii >= row["eps"]))


def _share(covered: np.ndarray) -> dict:
    """Give the share of covered images, with Wilson's 95 % interval."""
    accuracy = float(covered.mean())
    low, high = wilson(accuracy, len(covered))
    return {
        "certified_accuracy": rounded(accuracy),
        "certified_low": rounded(low),
        "certified_high": rounded(high),
    }


def certificate_record(ledger: CertificateLedger, spec: dict) -> dict:
    """Give what a record keeps of a certificate: `rows`, one per eps, and all radii above 0.

    `spec` has its kind and confidence; `accuracy` is that of the classifier that it is about;
    `radii` are ascending.
    """
    right = ledger.clean_prediction == ledger.label if ledger.deterministic else ledger.radius > 0
    whole = {
        "certificate": ledger.certificate,
        "kind": spec["kind"],
        "norm": ledger.norm,
        "classifier": ledger.classifier,
        "confidence": spec["confidence"],
        "n": len(right),
        "accuracy": rounded(right.mean()),
        "note": ledger.note,
        "abstained": rounded(ledger.abstained.mean()),
        "mean_radius": rounded(ledger.radius.mean()),
    }
    shares = [{} if ledger.note else _share(ledger.covers(eps)) for eps in ledger.eps]
    rows = [whole | {"eps": eps} | share for eps, share in zip(ledger.eps, shares, strict=True)]
    radii = [float(f"{radius:.5g}") for radius in np.sort(ledger.radius[ledger.radius > 0])]
    return whole | {"rows": rows, "radii": radii}
