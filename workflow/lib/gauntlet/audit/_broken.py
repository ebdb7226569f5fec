"""What the checks of an audit have shown: for every image the nearest example that breaks it."""

import torch
from torch import Tensor

from gauntlet.core.threat_models import ORDERS, distance

ELSEWHERE = "attack"  # who found an example outside of any check


class BrokenImages:
    """The images of an audit that a check has broken, each with its nearest example.

    `examples` [N, C, H, W] are misclassified and within [0, 1] where `found` bool [N]; `distance`
    float64 [N] is theirs in the audit's norm, `prediction` int64 [N] the model's answer on them,
    and `by` the check that found each.
    """

    def __init__(self, images: Tensor, norm: str):
        count, device = len(images), images.device
        self.images, self.norm, self.examples = images, norm, images.clone()
        self.distance = torch.full((count,), torch.inf, dtype=torch.float64, device=device)
        self.prediction = torch.full((count,), -1, device=device)
        self.by = [""] * count

    @property
    def found(self) -> Tensor:
        """Tell which images are broken: bool [N]."""
        return self.distance.isfinite()

    def within(self, eps: float) -> Tensor:
        """Tell which images have an example in the ball of radius `eps`: bool [N]."""
        return self.distance <= eps

    def add(
        self, rows: Tensor, examples: Tensor, prediction: Tensor, broken: Tensor, check: str
    ) -> None:
        """Keep the examples of some rows [M] that are `broken` [M] and nearer than what is kept."""
        flat = examples.flatten(1)
        allowed = (flat.isfinite() & (flat >= 0) & (flat <= 1)).all(1)
        far = distance(examples, self.images[rows], self.norm)
        chosen = (broken & allowed & (far < self.distance[rows])).nonzero().squeeze(1)
        kept = rows[chosen]
        self.examples[kept], self.distance[kept] = examples[chosen], far[chosen]
        self.prediction[kept] = prediction[chosen]
        for row in kept.tolist():
            self.by[row] = check or ELSEWHERE

    def distances(self) -> dict[str, Tensor]:
        """Give the examples' distances [N] in every norm."""
        return {norm: distance(self.examples, self.images, norm) for norm in ORDERS}
