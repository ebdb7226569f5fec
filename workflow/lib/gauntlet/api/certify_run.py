"""Certificates for a user's images: one kind at one or several eps."""

from collections.abc import Sequence

import torch
from torch import nn

from gauntlet import certify as certificates
from gauntlet.api.reports import CertificateReport
from gauntlet.api.user_inputs import UserInputs
from gauntlet.stages.certify import Proven, prove

SMALL, MIDDLE = 20_000, 200_000  # neurons, for what `auto` chooses
KINDS = {
    SMALL: ("crown", {}),
    MIDDLE: ("crown", {"intermediate": "ibp"}),
}


def certified(inputs: UserInputs, points: Sequence[dict], spec: dict) -> list[CertificateReport]:
    """Certify images at every point (eps) in ascending order: one report for each."""
    found = prove(inputs.model, spec | {"certificate": list(points)}, inputs.eval_images)
    return [_report(point, found, place) for place, point in enumerate(points)]


def _report(point: dict, found: Proven, place: int) -> CertificateReport:
    return CertificateReport(
        certificate=point["kind"],
        norm=point["norm"],
        eps=point["eps"],
        settings=dict(point),
        certified=found.certified[place],
        radius=found.radius,
        margin=found.margin[place],
        abstained=found.abstained,
        deterministic=certificates.deterministic(point["kind"]),
        note=found.note,
    )


def chosen_kind(inputs: UserInputs) -> tuple[str, dict]:
    """Choose a certificate that a network of this size can bear: its kind and settings.

    CROWN takes time with the square of the neurons; where they are many its inner layers are
    bounded by intervals, and where they are very many all layers are.
    """
    count = neurons(inputs)
    fitting = [chosen for most, chosen in KINDS.items() if count <= most]
    return fitting[0] if fitting else ("ibp", {"radius": False})


def neurons(inputs: UserInputs) -> int:
    """Count the values that convolutions and linear layers give for one image; 0 without any."""
    if not isinstance(inputs.model, nn.Module):
        return 0
    counts: list[int] = []
    layers = [m for m in inputs.model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [
        layer.register_forward_hook(lambda layer, given, result: counts.append(result.numel()))
        for layer in layers
    ]
    try:
        with torch.no_grad():
            inputs.model(inputs.eval_images.images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return sum(counts)
