"""Lower bounds beside upper ones: certified accuracy, and what certificates say. NumPy only."""

from collections.abc import Sequence

import numpy as np

from gauntlet.evaluation.attack_ledger import WHITE_BOX
from gauntlet.evaluation.certificate_ledger import CertificateLedger, proven
from gauntlet.evaluation.metrics import rounded, wilson

CERTIFICATES = (
    *("dataset", "model", "defense", "seed", "certificate", "kind", "classifier"),
    *("confidence", "norm", "eps", "n", "accuracy", "certified_accuracy"),
    *("certified_low", "certified_high", "abstained", "mean_radius", "note"),
)


def certified(row: dict, proofs: Sequence[CertificateLedger]) -> dict:
    """Give a white-box row's certified accuracy at its norm and eps, with its interval.

    Deterministic certificates are joined per image. Nothing where none has the row's norm.
    """
    radii = proven(proofs, row["norm"]) if row["access"] == WHITE_BOX else None
    if radii is None:
        return {}
    held = (radii > 0) & (radii >= row["eps"])
    return share("certified", held)


def share(name: str, held: np.ndarray) -> dict:
    """Give the share of images that hold, with Wilson's 95 % interval."""
    accuracy = float(held.mean())
    low, high = wilson(accuracy, len(held))
    ends = {f"{name}_low": rounded(low), f"{name}_high": rounded(high)}
    return {f"{name}_accuracy": rounded(accuracy)} | ends


def told(proof: CertificateLedger, about: dict) -> dict:
    """Give what a record keeps of a certificate: `rows`, one per eps, and all radii above 0.

    `about` says its kind and confidence; `accuracy` is that of the classifier that it speaks of,
    radii are ascending.
    """
    right = proof.clean_prediction == proof.label if proof.deterministic else proof.radius > 0
    names = {"certificate": proof.certificate, "kind": about["kind"], "norm": proof.norm}
    names |= {"classifier": proof.classifier, "confidence": about["confidence"]}
    whole = {"n": len(right), "accuracy": rounded(right.mean()), "note": proof.note}
    whole |= {"abstained": rounded(proof.abstained.mean())}
    whole["mean_radius"] = rounded(proof.radius.mean())
    rows = [names | whole | {"eps": eps} | _at(proof, eps) for eps in proof.eps]
    radii = [float(f"{radius:.5g}") for radius in np.sort(proof.radius[proof.radius > 0])]
    return names | whole | {"rows": rows, "radii": radii}


def _at(proof: CertificateLedger, eps: float) -> dict:
    if proof.note:
        return {}
    return share("certified", proof.covers(eps))
