"""`gauntlet.certify`: what can be proven about a user's model and images."""

from collections.abc import Callable

from gauntlet.api.bar import progress_bar
from gauntlet.api.certify_run import certified, chosen_kind
from gauntlet.api.computing import run_spec
from gauntlet.api.reports import CertificateReport
from gauntlet.api.settings import at_one_eps, certificate_settings
from gauntlet.api.user_inputs import prepared

AUTO = "auto"


def certify(
    model: Callable,
    images,
    labels,
    eps: float | str | None = None,
    norm: str | None = None,
    certificate: str = AUTO,
    *,
    seed: int = 0,
    progress: bool = True,
    **settings,
) -> CertificateReport:
    """Prove for each image that no example within `eps` changes its class, where that is possible.

    `certificate` is crown, ibp or smoothing (randomized smoothing, l2, which needs `sigma`); auto
    takes crown, with cheaper bounds on large networks. A network that cannot be certified gives a
    report without certified images, whose `note` says why. Shapes and defaults as in
    `gauntlet.attack`; `settings` are the certificate's own. Raises GauntletError (a ValueError)
    that names a wrong value and what is allowed.
    """
    with prepared(model, images, labels) as inputs:
        kind, own = chosen_kind(inputs) if certificate == AUTO else (certificate, {})
        points = at_one_eps(certificate_settings, kind, norm, eps, own | settings)
        spec = run_spec(inputs.eval_images.images.device, seed, None, "float32")
        total = len(inputs.eval_images.labels)
        with progress_bar(f"certify by {kind}", total, progress):
            return certified(inputs, points, spec)[0]
