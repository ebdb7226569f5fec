"""Shortest moves onto boundaries inside [0, 1], by slow and plain means, and images for them."""

import torch

NORMS = ("linf", "l2", "l1")
SHAPE, PIXELS, COUNT = (3, 4, 4), 48, 24
SPREADS = {"slack": 0.05, "range": 0.5, "edges": 1.5}  # of images about mid-range, then cut


def draw(*shape, seed=0):
    """Give normal numbers, the same ones for a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_images(spread, count=COUNT):
    """Give images [count, *SHAPE] about mid-range, cut to [0, 1]."""
    return (0.5 + spread * (2 * torch.rand(count, *SHAPE, generator=_seeded(7)) - 1)).clamp(0, 1)


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


def shortest(points, normal, lack, norm):
    """Give the length [M] of the shortest move in [0, 1] by plain means in float64, or infinity."""
    points, normal, lack = points.double(), normal.double(), lack.double()
    scale = normal.abs().amax(1)
    normal, need = normal * (lack.sign() / scale)[:, None], lack.abs() / scale
    steep, room = normal.abs(), torch.where(normal > 0, 1 - points, points)
    if norm == "l1":  # the dual's best corner
        corners = torch.where(steep > 0, 1 / steep, 0.0)
        above = (corners[:, :, None] * steep[:, None, :] - 1).clamp(min=0)
        length = (corners * need[:, None] - (above * room[:, None, :]).sum(2)).amax(1)
    else:
        rate = steep if norm == "l2" else torch.ones_like(steep)
        low, high = torch.zeros_like(need), torch.full_like(need, 1e9)
        for _ in range(300):
            middle = (low + high) / 2
            short = (steep * torch.minimum(middle[:, None] * rate, room)).sum(1) < need
            low, high = torch.where(short, middle, low), torch.where(short, high, middle)
        move = torch.minimum(high[:, None] * rate, room) * (steep > 0)
        length = torch.linalg.vector_norm(move, {"linf": torch.inf, "l2": 2}[norm], dim=1)
    return torch.where((steep * room).sum(1) >= need, length, torch.inf)


def nearest(images, labels, weights, bias, norm):
    """Give the exact distance [N] to the nearest boundary of a linear model inside [0, 1]."""
    flat = images.flatten(1)
    logits, spans = (flat - 0.5) @ weights.T + bias, []
    for other in range(len(weights)):
        lack = logits.gather(1, labels[:, None])[:, 0] - logits[:, other]
        span = shortest(flat, weights[other] - weights[labels], lack, norm)
        spans.append(torch.where(labels == other, torch.inf, span))
    return torch.stack(spans).amin(0)
