"""A substitute for a model, trained on nothing but its answers."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gauntlet.attacks.pgd import pgd
from gauntlet.audit._subject import Subject
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import generator

MOST, EPOCHS, BATCH, HIDDEN, RATE = 2000, 30, 64, 128, 0.003


def substitute(subject: Subject) -> BatchedModel:
    """Train a small network on the answers of the subject's model to training images.

    Without a training part it learns from the audited images and noisy copies of them.
    """
    stream = generator(subject.seed, "audit substitute")
    images = _images(subject, stream)
    with subject.fixed("substitute"):
        answers = subject.batched()(images).argmax(1)
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=stream)))
        network = nn.Sequential(
            nn.Flatten(),
            nn.Linear(images[0].numel(), HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, subject.classes),
        ).to(images.device)
        _fit(network, images, answers, stream)
    return BatchedModel(network.requires_grad_(False), subject.batch)


def _fit(network: nn.Module, images: Tensor, answers: Tensor, stream: torch.Generator) -> None:
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=stream).to(images.device)
        for rows in order.split(BATCH):
            optimizer.zero_grad()
            with torch.enable_grad():
                cross_entropy(network(images[rows]), answers[rows]).backward()
            optimizer.step()


def craft_on(network: BatchedModel, subject: Subject, rows: Tensor) -> Tensor:
    """Attack a substitute by PGD with all steps on some of the subject's images: [M, C, H, W]."""
    images, labels = subject.images[rows], subject.labels[rows]
    streams = Streams.of_images(subject.seed, subject.index[rows.cpu()], "audit", "substitute")
    steps = subject.budget["steps"]
    area = {"norm": subject.norm, "eps": subject.eps, "step": 2.5 * subject.eps / steps}
    made = pgd(network, images, labels, streams=streams, steps=steps, early_stop=False, **area)
    return made.images


def _images(subject: Subject, stream: torch.Generator) -> Tensor:
    if subject.train is not None:
        images = subject.train[0]
        chosen = torch.randperm(len(images), generator=stream)[:MOST]
        return images[chosen.to(images.device)]
    noise = torch.randn((4, *subject.images.shape), generator=stream).to(subject.images.device)
    return (subject.images + 0.1 * noise).clamp(0, 1).flatten(0, 1)
