"""A certified image cannot have an adversarial example."""

import numpy as np

from gauntlet.audit._finding import FAIL, PASS, Finding, skipped
from gauntlet.audit._subject import Certified, Subject
from gauntlet.evaluation.attack_ledger import DISTANCES, WHITE_BOX, AttackLedger

ORDER = 190  # place among the checks


def certificates(subject: Subject) -> Finding:
    """Compare every certificate with every example, per image: certified <= robust <= clean."""
    if not subject.certificates:
        return skipped("certificates", "There is no certificate for this model.")
    proven, broken = 0, []
    for certificate in subject.certificates:
        proven += int(certificate.holds.sum())
        for point in subject.points:
            broken += [(image, certificate, point.attack) for image in _broken(certificate, point)]
    evidence = {"certified_images": proven, "contradictions": len(broken)}
    if not broken:
        return Finding("certificates", PASS, evidence, "No attack succeeded on a certified image.")
    image, certificate, attack = broken[0]
    return Finding(
        "certificates",
        FAIL,
        evidence,
        f"Image {image} is certified by {certificate.kind} at {certificate.norm} "
        f"{certificate.eps:g}, and yet is wrong or changed by "
        f"{attack}: one of the two is in error.",
        "Report this as an error of the certificate or of the attack's judge.",
    )


def _broken(certificate: Certified, point: AttackLedger) -> list[int]:
    """List the certified images that are wrong when clean, or whose example lies within eps."""
    places = certificate.index[certificate.holds].cpu().numpy()
    wrong = ~point.clean
    if point.access == WHITE_BOX and point.norm == certificate.norm and point.norm in DISTANCES:
        wrong = wrong | point.within(certificate.eps)
    return sorted(np.intersect1d(places, point.index[wrong]).tolist())
