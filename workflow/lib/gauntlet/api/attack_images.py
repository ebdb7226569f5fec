"""`gauntlet.attack`: one attack on a user's model and images."""

from collections.abc import Callable

from gauntlet.api.attack_run import attacked
from gauntlet.api.bar import progress_bar
from gauntlet.api.computing import run_spec
from gauntlet.api.reports import AttackReport
from gauntlet.api.settings import at_one_eps, attack_settings
from gauntlet.api.user_inputs import prepared


def attack(
    model: Callable,
    images,
    labels,
    eps: float | str | None = None,
    norm: str | None = None,
    attack: str = "gauntlet",
    *,
    seed: int = 0,
    batch: int | None = None,
    precision: str = "float32",
    progress: bool = True,
    **settings,
) -> AttackReport:
    """Attack a model with the project's ensemble, or any attack by name.

    Shapes: images [N, C, H, W] in [0, 1], labels [N]; tensors or arrays. `eps` is in the images'
    unit (a fraction as text, '8/255', is allowed); without one it is 8/255 for linf, 0.5 for l2 and
    12 for l1. `norm` is linf where the attack knows it. `settings` are the attack's own, with the
    defaults of the workflow's configuration. `batch` images go through the model at a time (chosen
    by device), gradients are computed in `precision` where the attack loses nothing by it (it says
    LOW_PRECISION), else in float32. A module in train mode is put in eval mode meanwhile; in one
    that is in eval mode, dropout in train mode stays on, as a random defense. The model keeps its
    mode and its gradients. Raises GauntletError (a ValueError) that names a wrong value and what is
    allowed.
    """
    points = at_one_eps(attack_settings, attack, norm, eps, settings)
    with prepared(model, images, labels) as inputs:
        spec = run_spec(inputs.eval_images.images.device, seed, batch, precision)
        total = len(inputs.eval_images.labels)
        with progress_bar(f"attack {attack}", total, progress) as advance:
            return attacked(inputs, attack, points, spec, advance)[0]
