"""Substitutes for a model, of several architectures, trained on nothing but its answers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, pad

from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import fixed_draws, generator

EPOCHS, MOST_SEEN, BATCH, RATE = 20, 200_000, 64, 0.003  # passes through the images, and in all
SMALLEST = 0.9  # share of its side that an image is shrunk to, at least, for diverse gradients


def mlp(shape: torch.Size, classes: int) -> nn.Module:
    """Build two dense layers for images [C, H, W]."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(shape.numel(), 256), nn.ReLU(), nn.Linear(256, classes)
    )


def cnn(shape: torch.Size, classes: int) -> nn.Module:
    """Build three convolutions for images [C, H, W] of any size."""
    return nn.Sequential(
        *(nn.Conv2d(shape[0], 32, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4)),
        *(nn.Flatten(), nn.Linear(1024, classes)),
    )


NETWORKS: dict[str, tuple[Callable, bool]] = {  # and whether they are trained on own examples
    "mlp": (mlp, False),
    "cnn": (cnn, False),
    "robust_cnn": (cnn, True),
}


def trained(
    name: str, model: BatchedModel, images: Tensor, classes: int, norm: str, eps: float, seed: int
) -> nn.Module:
    """Train a substitute of NETWORKS on the model's answers to images [N, C, H, W].

    A robust one learns on examples of one step from a random start (Wong et al. 2020): it transfers
    to robust models. Raises KeyError for another name.
    """
    build, robust = NETWORKS[name]
    stream = generator(seed, "rerun substitute", name)
    answers = model(images).argmax(1)
    with fixed_draws(seed, "rerun substitute", name):
        network = build(images.shape[1:], classes).to(images.device)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(max(1, min(EPOCHS, MOST_SEEN // max(len(images), 1)))):
        for rows in torch.randperm(len(images), generator=stream).to(images.device).split(BATCH):
            seen, truth = images[rows], answers[rows]
            if robust:
                seen = _moved(network, seen, truth, norm, eps, stream)
            optimizer.zero_grad()
            with torch.enable_grad():
                cross_entropy(network(seen), truth).backward()
            optimizer.step()
    return network.eval().requires_grad_(False)


def _moved(network, images: Tensor, labels: Tensor, norm: str, eps: float, stream) -> Tensor:
    """Take one gradient step from a random point of each image's ball."""
    area = ball(images, norm, eps)
    start = area.random_start(Streams.from_generator(stream, len(images)))
    leaf = start.detach().requires_grad_(True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(cross_entropy(network(leaf), labels), leaf)
    return area.ascend(start, slope, 1.25 * eps)


class Diverse:
    """Networks as one model: the mean of their logits, of images shrunk and moved at random.

    Source: Xie et al. 2019, "Improving Transferability of Adversarial Examples with Input
    Diversity".
    """

    def __init__(self, networks: list[nn.Module]):
        self.networks = networks

    def __call__(self, images: Tensor) -> Tensor:
        seen = _shrunk(images) if float(torch.rand(())) < 0.5 else images
        return torch.stack([network(seen) for network in self.networks]).mean(0)


def _shrunk(images: Tensor) -> Tensor:
    side = images.shape[-2:]
    small = [max(1, round(n * float(SMALLEST + (1 - SMALLEST) * torch.rand(())))) for n in side]
    room = [n - m for n, m in zip(side, small, strict=True)]
    top, left = (int(torch.randint(0, r + 1, ())) for r in room)
    resized = interpolate(images, small, mode="bilinear", align_corners=False)
    return pad(resized, (left, room[1] - left, top, room[0] - top))


def transferred(
    networks: list[nn.Module], images: Tensor, labels: Tensor, norm: str, eps: float, steps: int
) -> Tensor:
    """Make examples [N, C, H, W] on substitutes by gradients with momentum and diverse inputs.

    Source: Dong et al. 2018, "Boosting Adversarial Attacks with Momentum".
    """
    area, batched = ball(images, norm, eps), BatchedModel(Diverse(networks))
    examples, velocity = images.clone(), torch.zeros_like(images)
    for _ in range(steps):
        slope, _, _ = batched.gradient(examples, lambda logits, rows: margin(logits, labels[rows]))
        size = slope.abs().flatten(1).mean(1).clamp(min=1e-30).view(-1, 1, 1, 1)
        velocity = velocity + slope / size
        examples = area.ascend(examples, velocity, 2.5 * eps / steps)
    return examples
