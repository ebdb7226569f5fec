"""Gaussian noise: not an attack, but a control experiment for every defense."""

from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import ce
from gauntlet.attacks.base.pgd_loop import unjudged
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

THREAT, SIZE = "noise", "sigma"
GRADIENT_FREE = True
FORWARDS = "draws"


@attack
def gaussian_noise(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    sigma: float,
    draws: int,
    early_stop: bool = True,
) -> AttackResult:
    """Add N(0, sigma^2) to every pixel, cut to [0, 1], and keep the worst of some draws.

    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `sigma` in the images' unit.
    The worst draw is one that is misclassified, else the one of highest cross-entropy; an image
    that is misclassified is drawn no more. Without `early_stop` there is one draw, not judged.
    Raises ValueError for a negative sigma or draws below 1.
    """
    if not sigma >= 0 or draws < 1:
        raise ValueError(f"sigma is {sigma} (0 or more) and draws is {draws} (1 or more)")
    if not early_stop:
        return unjudged(_noisy(images, streams.fork("draw", 0), sigma), 0)
    state = AttackState(model, images, labels)
    for draw in range(draws):
        rows = state.active()
        if len(rows) == 0:
            break
        truth = labels[rows]
        noisy = _noisy(images[rows], streams.select(rows).fork("draw", draw), sigma)
        state.judge(rows, noisy, lambda logits, places, truth=truth: ce(logits, truth[places]))
    return state.result()


def _noisy(images: Tensor, streams: Streams, sigma: float) -> Tensor:
    noise = streams.normal(*images.shape[1:], device=images.device)
    return (images + sigma * noise).clamp_(0, 1)
