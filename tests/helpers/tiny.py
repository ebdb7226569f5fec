"""Tiny data, models and specs on which a training takes well under a second."""

import json

import numpy as np
import torch

from gauntlet.core.rng import generator
from gauntlet.models import build_model
from gauntlet.training.loop import Part

SHAPE = (1, 8, 8)
PGD = {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 3, "step": 0.05}
DEFENSES = {
    "standard": {"kind": "standard"},
    "gaussian_noise": {"kind": "gaussian_noise", "sigma": 0.1},
    "adversarial": {"kind": "adversarial", "attack": PGD},
    "half_clean": {"kind": "adversarial", "attack": PGD, "clean_share": 0.5},
    "trades": {"kind": "trades", "attack": PGD, "beta": 1.0},
    "ibp": {"kind": "ibp", "eps": 0.01, "kappa": 0.5},
    "crown_ibp": {"kind": "crown_ibp", "eps": 0.01, "kappa": 0.0},
    "static": {"kind": "static", "clean_share": 0.5},
}
CNN = {"arch": "article_cnn", "channels": [4, 8], "hidden": 16}
NORMED = {"arch": "preact_resnet18", "width": 2}


def part(count: int, seed: int = 0) -> Part:
    """Two separable classes: a bright left or a bright right half."""
    stream = generator(seed, "part")
    labels = torch.randint(0, 2, (count,), generator=stream)
    images = torch.rand((count, *SHAPE), generator=stream) * 0.4
    images[labels == 0, :, :, :4] += 0.5
    images[labels == 1, :, :, 4:] += 0.5
    return Part(images, labels)


def spec(defense: str = "standard", seed: int = 0, **change) -> dict:
    """A training's spec; `change` goes into `training`."""
    settings = {"epochs": 2, "batch": 16, "optimizer": "adam", "learning_rate": 0.01}
    settings |= {
        "weight_decay": 0.0,
        "momentum": 0.9,
        "schedule": "constant",
        "ema": 0.0,
        "ramp": 0.0,
        "devices": 1,
    }
    settings |= {"precision": "float32", "augment": "none", "selection": "best"}
    settings |= {"validation_attack": PGD} | change
    whole = {"defense": DEFENSES[defense], "training": settings, "seed": seed, "batch": 32}
    return whole | {"model": CNN, "threads": 1, "device": "cpu"}


def model(settings: dict = CNN, classes: int = 2, seed: int = 0):
    """A fresh small classifier."""
    return build_model(settings, SHAPE, classes, seed)


def data_files(folder, count: int = 96, train: int = 64) -> list[str]:
    """Write images, labels, meta and split as the data stages do; give their paths."""
    made = part(count)
    paths = [folder / name for name in ("images.npy", "labels.npy", "data.json", "split.json")]
    np.save(paths[0], (made.images * 255).round().to(torch.uint8).numpy())
    np.save(paths[1], made.labels.numpy())
    meta = {"shape": list(SHAPE), "classes": ["left", "right"], "max_value": 255, "source": "tiny"}
    paths[2].write_text(json.dumps(meta))
    order = list(range(count))
    split = {"train": order[:train], "validation": order[train:], "test": order[train:][::-1]}
    paths[3].write_text(json.dumps(split))
    return [str(path) for path in paths]
