"""`gauntlet.evaluate`: several attacks and a certificate, joined per image."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from gauntlet.api.attack_run import attacked
from gauntlet.api.bar import progress_bar
from gauntlet.api.certify_run import certified, chosen_kind
from gauntlet.api.computing import run_spec
from gauntlet.api.evaluation_report import EvaluationReport, joined
from gauntlet.api.reports import CertificateReport
from gauntlet.api.settings import attack_settings, certificate_settings, knows_norm
from gauntlet.api.user_inputs import UserInputs, prepared
from gauntlet.core.errors import GauntletError
from gauntlet.core.threat_models import NORMS

DEFAULT = ("fgsm", "pgd", "gauntlet")
WITHOUT = ("apgd", "fmn")  # for norms that none of those knows
AUTO = "auto"


def evaluate(
    model: Callable,
    images,
    labels,
    norm: str = "linf",
    eps: float | str | Sequence[float | str] | None = None,
    attacks: Sequence[str | dict] | None = None,
    certificates: str | Sequence[str | dict] | None = AUTO,
    *,
    seed: int = 0,
    batch: int | None = None,
    precision: str = "float32",
    progress: bool = True,
) -> EvaluationReport:
    """Attack a model in several ways, and say per image what the worst case is and what is proven.

    `eps` is one number or an ascending list. `attacks` are names, or dicts of a kind and settings
    such as {"kind": "pgd", "steps": 100}; without them fgsm, pgd and the project's ensemble run
    (for l1: apgd and fmn). `certificates` are given in the same way; auto takes a certificate that
    a network of this size can bear, None or [] takes none. A network that cannot be certified is
    attacked all the same, and the report says why. Shapes and the rest as in `gauntlet.attack`.
    Raises GauntletError (a ValueError) that names a wrong value and what is allowed, or if an
    example contradicts a proof, which would be an error in Gauntlet.
    """
    if norm not in NORMS:
        raise GauntletError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}.")
    curve = _curve(eps)
    named = _named_attacks(attacks, norm, curve)
    with prepared(model, images, labels) as inputs:
        spec = run_spec(inputs.eval_images.images.device, seed, batch, precision)
        proofs = _proofs(inputs, certificates, norm, curve, spec, progress)
        found = []
        for name, points in named.items():
            total = len(inputs.eval_images.labels)
            with progress_bar(f"attack {name}", total, progress) as advance:
                found += attacked(inputs, name, points, spec, advance)
    return joined(found, proofs)


def _curve(eps) -> list | float | str | None:
    """Give several eps as a list; the configuration's own check reads them and their order."""
    if isinstance(eps, np.ndarray | torch.Tensor) and eps.ndim:
        eps = eps.tolist()
    if not isinstance(eps, list | tuple):
        return eps
    if not eps:
        raise GauntletError(f"eps is {eps!r}; allowed is one number or an ascending list.")
    return list(eps)


def _named_attacks(attacks, norm: str, eps) -> dict[str, list[dict]]:
    """Give each attack's settings by its own name: its kind, numbered if the kind comes again."""
    asked = _defaults(norm) if attacks is None else _listed("attacks", attacks)
    if not asked:
        raise GauntletError("attacks is empty; allowed is one attack or more.")
    named = _numbered(asked)
    for kind, settings in named.values():
        for key in (key for key in ("norm", "eps") if key in settings):
            raise GauntletError(
                f"{key} is no setting of attack '{kind}' here; an evaluation has one norm, and its "
                "eps for all attacks."
            )
    return {name: attack_settings(kind, norm, eps, own) for name, (kind, own) in named.items()}


def _defaults(norm: str) -> list[tuple[str, dict]]:
    known = [kind for kind in DEFAULT if knows_norm(kind, norm)]
    return [(kind, {}) for kind in known or WITHOUT]


def _listed(key: str, values) -> list[tuple[str, dict]]:
    """Read names and dicts of settings as pairs of kind and settings."""
    found = []
    if not isinstance(values, str | dict | list | tuple):
        raise GauntletError(f"{key} is {values!r}; allowed is a list of names and of dicts.")
    for value in [values] if isinstance(values, str | dict) else values:
        if isinstance(value, dict) and isinstance(value.get("kind"), str):
            found.append((value["kind"], {k: v for k, v in value.items() if k != "kind"}))
        elif isinstance(value, str):
            found.append((value, {}))
        else:
            raise GauntletError(
                f"{key} has {value!r}; allowed are names, and dicts with a kind and settings."
            )
    return found


def _numbered(asked: list[tuple[str, dict]]) -> dict[str, tuple[str, dict]]:
    named: dict[str, tuple[str, dict]] = {}
    for kind, settings in asked:
        same = sum(1 for other, _ in named.values() if other == kind)
        named[f"{kind} ({same + 1})" if same else kind] = (kind, settings)
    return named


def _proofs(
    inputs: UserInputs, certificates, norm: str, eps, spec: dict, progress: bool
) -> list[CertificateReport]:
    """Certify by every kind that is asked for."""
    if certificates is None:
        return []
    asked = [chosen_kind(inputs)] if certificates == AUTO else _listed("certificates", certificates)
    found: list[CertificateReport] = []
    for kind, settings in asked:
        points = certificate_settings(kind, norm, eps, settings)
        with progress_bar(f"certify by {kind}", len(inputs.eval_images.labels), progress):
            found += certified(inputs, points, spec)
    return found
