"""Certificates by name, and images for them."""

import torch

from gauntlet.certify.crown import crown
from gauntlet.certify.ibp import ibp

METHODS = {
    "ibp": (ibp, {}),
    "crown": (crown, {}),
    "crown-ibp": (crown, {"intermediate": "ibp"}),
    "fast_lin": (crown, {"slopes": "fast_lin"}),
    "alpha": (crown, {"slopes": "alpha", "steps": 5}),
}
SHAPE = (2, 6, 6)


def random_images(count, seed, shape=SHAPE):
    """Give images [count, *shape] in [0, 1]."""
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))
