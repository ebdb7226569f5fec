"""Models whose worst case is known, and runs of attacks that see logits or classes only."""

import torch
from torch import nn

from gauntlet.attacks.hopskipjump import hopskipjump
from gauntlet.attacks.spsa import spsa
from gauntlet.attacks.square import square
from gauntlet.core.image_rng import Streams

DUAL = {"linf": 1, "l2": 2}
COUNT = 16
RUNS = {
    "square-linf": (square, {"norm": "linf", "eps": 0.1, "queries": 150}),
    "square-l2": (square, {"norm": "l2", "eps": 1.6, "queries": 150}),
    "square-restarts": (square, {"norm": "linf", "eps": 0.1, "queries": 60, "restarts": 3}),
    "spsa-linf": (spsa, {"norm": "linf", "eps": 0.2, "steps": 14, "samples": 32}),
    "spsa-l2": (spsa, {"norm": "l2", "eps": 1.5, "steps": 14, "samples": 32}),
    "hopskipjump-l2": (hopskipjump, {"norm": "l2", "steps": 3, "init_evals": 20}),
    "hopskipjump-linf": (hopskipjump, {"norm": "linf", "steps": 3, "init_evals": 20}),
}


def linear(shape, classes, seed=0):
    """Give a linear model and, for each norm, the exact distances of its images."""
    maker = torch.Generator().manual_seed(seed)
    weights = torch.randn(classes, torch.Size(shape).numel(), generator=maker) / 4
    images = 0.4 + 0.2 * torch.rand((COUNT, *shape), generator=maker)

    def model(batch):
        return (batch - 0.5).flatten(1) @ weights.T

    logits = model(images)
    labels = logits.argmax(1)
    margins = logits.gather(1, labels[:, None]) - logits
    exact = {}
    for norm, order in DUAL.items():
        size = torch.linalg.vector_norm(weights[labels][:, None] - weights, order, dim=2)
        share = (margins / size.clamp(min=1e-9)).scatter(1, labels[:, None], torch.inf)
        exact[norm] = share.amin(1)
    return model, images, labels, exact


def small_net(shape=(3, 9, 7), classes=5):
    """Give a network with curved boundaries, images and its own labels."""
    maker = torch.Generator().manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(189, 24), nn.ReLU(), nn.Linear(24, classes))
    for weight in net.parameters():
        weight.data = torch.randn(weight.shape, generator=maker) / 5
    net.requires_grad_(False)
    images = torch.rand((COUNT, *shape), generator=maker).clamp(0.02, 0.9)
    return net, images, net(images).argmax(1)


def seeded(count=COUNT, seed=0):
    """Give the streams of the first images."""
    return Streams.of_images(seed, range(count), "attack")
