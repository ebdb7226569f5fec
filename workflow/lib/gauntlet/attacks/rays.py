"""RayS: a search over directions of signs that uses nothing but predicted classes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.settings import require_counts
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

FARTHEST = 1.0  # linf distance within which every image lies
NORMS = ("linf",)
GRADIENT_FREE = True
CHECK_SLACK = 0.1
FORWARDS = "queries"


@attack
def rays(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str = "linf",
    eps: float | None = None,
    queries: int = 10_000,
    precision: float = 1e-3,
) -> AttackResult:
    """Flip the signs of ever smaller blocks of a direction, and keep what brings the boundary near.

    Source: Chen & Gu 2020, "RayS: A Ray Searching Method for Hard-label Adversarial Attack"; the
    order of blocks is that of the authors' program. Shapes: images [N, C, H, W] float32 in [0, 1],
    labels [N] int64; norm linf. Each image takes at most `queries`; the boundary along a direction
    is found to `precision` (image units). With `eps`, an image is done when its example lies that
    near. The search draws no random numbers. Departures: an image that is misclassified as it is
    has itself as example; directions without an example at distance 1 are searched on, as
    long as queries are left.
    Raises ValueError for another norm, queries below 1, a negative eps, or a precision that is not
    above 0.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; allowed is linf")
    if not precision > 0 or not (eps is None or eps >= 0):
        raise ValueError(
            f"precision is {precision}, eps is {eps}; above 0, and 0 or more, are allowed"
        )
    require_counts(queries=queries)
    search = _Search(model, images, labels, queries, eps)
    search.state.judge(search.state.active(), images)
    search.shorten(search.open(), search.signs, precision)
    for block in _blocks(images[0].numel()):
        rows = search.open()
        if len(rows) == 0:
            break
        turned = search.signs.clone()
        turned[:, block] *= -1
        search.shorten(rows, turned, precision)
    return search.state.result()


class _Search:
    """Directions of signs [N, D], and how far the boundary lies along each: `reach` [N]."""

    def __init__(self, model, images: Tensor, labels: Tensor, queries: int, eps: float | None):
        self.state = MinimumNormState(model, images, labels, "linf")
        self.signs = torch.ones_like(images.flatten(1))
        self.reach = torch.full_like(images[:, 0, 0, 0], torch.inf)
        self.queries, self.enough = queries, 0.0 if eps is None else eps

    def open(self) -> Tensor:
        """Give the rows [M] that have queries left and no example that is near enough."""
        left = self.state.forwards < self.queries
        return (left & (self.state.distance() > self.enough)).nonzero().squeeze(1)

    def shorten(self, rows: Tensor, signs: Tensor, precision: float) -> None:
        """Take new directions [N, D] for the rows whose boundary lies nearer along them."""
        high = self.reach[rows].clamp(max=FARTHEST)
        nearer = self._missed(rows, signs, high)
        rows, high = rows[nearer], high[nearer]
        self.signs[rows] = signs[rows]
        low = torch.zeros_like(high)
        self.reach[rows] = high
        while len(rows):
            wide = (high - low > precision) & (self.state.forwards[rows] < self.queries)
            rows, low, high = rows[wide], low[wide], high[wide]
            middle = (low + high) / 2
            missed = self._missed(rows, signs, middle)
            low, high = torch.where(missed, low, middle), torch.where(missed, middle, high)
            self.reach[rows] = high

    def _missed(self, rows: Tensor, signs: Tensor, far: Tensor) -> Tensor:
        """Tell which rows are misclassified at a distance [M] along their direction."""
        if len(rows) == 0:
            return torch.zeros_like(rows, dtype=torch.bool)
        images = self.state.images[rows]
        moved = images + per_image(far) * signs[rows].view_as(images)
        return self.state.judge(rows, moved.clamp_(0, 1))[1]


def _blocks(size: int) -> Iterator[slice]:
    """Give the blocks of `size` values to be flipped in turn: all, halves, ..., single ones."""
    count = 1
    while True:
        width = -(-size // count)
        for first in range(0, size, width):
            yield slice(first, first + width)
        count = min(2 * count, size)
