"""From lower bounds of margins to certificates: bisection of eps, and a last step in float64."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gauntlet.certify._certificate import Certificate
from gauntlet.certify._network import evaluate, follow, read_network, require_close
from gauntlet.certify._region import Region, region
from gauntlet.certify._rounding import cancels
from gauntlet.certify._symbols import Node
from gauntlet.core.errors import GauntletError, Uncertifiable
from gauntlet.core.inputs import checked

ROUNDING = 1e-5  # of the logits' size: what float32 may make of a margin when a model is attacked
SURE = 4  # times the rounding that is seen on the images themselves
NEARBY, SPREAD = 16, 0.05  # where large terms cancel: on copies of each, with uniform noise
HALVINGS = 8
NORMS = ("linf", "l2", "l1")
Margins = Callable[[list[Node], list[Node], Region, Tensor], Tensor]  # lower bounds [N, K - 1]


def prove(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    margins: Margins,
    *,
    norm: str,
    eps: float,
    radius: bool,
    ceiling: float | None,
    batch: int,
) -> Certificate:
    """Certify images [N, C, H, W] in [0, 1] with labels [N], `batch` at a time.

    `margins(nodes, exact, region, labels)` bounds how far the label's logit lies above the others;
    it takes the last step on the operations `exact`, in float64. A claim counts only if it holds by
    more than float32 may cost the model under attack. With `radius`, the largest
    proven eps up to the ceiling (twice eps if there is none) is found by bisection, else it is eps
    or 0.
    """
    most = 2 * eps if ceiling is None else max(ceiling, eps)
    _require(norm, eps, batch, ceiling)
    if not isinstance(model, nn.Module):
        raise Uncertifiable("A certificate needs the model's layers; this one is a mere function.")
    parts = []
    with checked(model, images, labels) as (images, labels):
        exact = _doubled(model)
        for rows in torch.arange(len(images)).split(batch) if len(images) else ():
            prover = _Prover(model, exact, images[rows], labels[rows], margins, norm)
            parts.append(_found(prover, eps, most if radius else None))
    if not parts:
        none = images.new_zeros(0, dtype=torch.float64)
        return Certificate(none, none, none > 0, none > 0)
    return Certificate(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _doubled(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model).double()
    except Exception as error:  # such as a weight that is computed from others
        raise Uncertifiable(
            "The model cannot be copied in double precision, so that nothing can be certified; "
            "attacks still run."
        ) from error


def _require(norm: str, eps: float, batch: int, ceiling: float | None) -> None:
    if norm not in NORMS:
        raise GauntletError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}.")
    if not eps >= 0 or batch < 1 or (ceiling is not None and not ceiling > 0):
        raise GauntletError(
            f"eps is {eps} (0 or more), batch is {batch} (1 or more) and ceiling is {ceiling} "
            f"(above 0)."
        )


class _Prover:
    """Computes margins of one batch, less what rounding may cost."""

    def __init__(self, model, exact, images: Tensor, labels: Tensor, margins: Margins, norm: str):
        self.images, self.labels, self.margins, self.norm = images, labels, margins, norm
        with torch.no_grad():
            self.nodes = read_network(model, images)
            self.exact = follow(exact, images[:1].double())
            logits = evaluate(self.nodes, images)
            sure = evaluate(self.exact, images.double())
            require_close(logits.double(), sure)
            rounding = (logits - sure).abs().amax(1)
            if cancels(self.nodes, images):
                rounding = torch.maximum(rounding, self._rounding_nearby())
                self.nodes, self.images = self.exact, images.double()
        self.right = logits.argmax(1) == labels
        size = logits.abs().amax(1).clamp(min=1).double()
        self.slack = torch.maximum(ROUNDING * size, SURE * rounding)

    def _rounding_nearby(self) -> Tensor:
        """Give the most that float32 costs a logit near each image: float64 [N].

        Where terms cancel, rounding depends on the last bits of the pixels: one image can be lucky.
        """
        draw, most = torch.Generator().manual_seed(0), []
        for _ in range(NEARBY):
            noise = torch.rand(self.images.shape, generator=draw).to(self.images.device) * 2 - 1
            near = (self.images + SPREAD * noise).clamp(0, 1)
            sure = evaluate(self.exact, near.double())
            most.append((evaluate(self.nodes, near) - sure).abs().amax(1))
        return torch.stack(most).amax(0)

    def ask(self, rows: Tensor, eps: Tensor) -> Tensor:
        """Give the least margin [M] of the images in `rows` with radii eps [M], less the slack."""
        if len(rows) == 0:
            return self.slack[rows]
        area = region(self.images[rows], self.norm, eps.to(self.images.dtype))
        found = self.margins(self.nodes, self.exact, area, self.labels[rows])
        return found.amin(1).double() - self.slack[rows]


def _found(prover: _Prover, eps: float, most: float | None) -> tuple[Tensor, ...]:
    """Give radius, margin at eps, whether eps is proven, and that nothing was abstained from."""
    right = prover.right.nonzero().squeeze(1)
    margin = torch.full_like(prover.slack, -torch.inf)
    margin[right] = prover.ask(right, torch.full_like(prover.slack[right], eps))
    certified = margin > 0
    radius = torch.where(certified, eps, 0.0).double()
    if most is not None:
        radius = _bisected(prover, right, certified, eps, most, radius)
    return radius, margin, certified, torch.zeros_like(certified)


def _bisected(prover: _Prover, right, certified, eps: float, most: float, radius: Tensor) -> Tensor:
    """Search between what is proven and what is not."""
    low = torch.where(certified, eps, 0.0).double()[right]
    high = torch.where(certified, most, eps).double()[right]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        holds = prover.ask(right, middle) > 0
        low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    radius[right] = low
    return radius
