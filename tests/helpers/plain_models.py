"""A network of digits trained in plain PyTorch, as a user of the library would bring it."""

from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

TRAIN = 1200  # images that are trained on; the other 597 are test images


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Give scikit-learn's digits: images [1797, 1, 8, 8] in [0, 1] and labels."""
    found = load_digits()
    images = torch.from_numpy(found.images.astype(np.float32) / 16)[:, None]
    return images, torch.from_numpy(found.target).long()


@cache
def network() -> nn.Module:
    """Train a small convolutional network for a second; in eval mode."""
    images, labels = digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(128, 10)),
        )
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(8):
            for rows in torch.randperm(TRAIN).split(64):
                loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return model.eval().requires_grad_(False)


def test_part(count: int) -> tuple[Tensor, Tensor]:
    """Give the first test images and their labels."""
    images, labels = digits()
    return images[TRAIN : TRAIN + count], labels[TRAIN : TRAIN + count]
