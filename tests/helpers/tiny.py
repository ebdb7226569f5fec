"""Tiny data, models and specs on which a training takes well under a second."""

import json

import numpy as np
import torch

from gauntlet.core.rng import generator
from gauntlet.models import build_model
from gauntlet.training.loop import Part

SHAPE = (1, 8, 8)
PGD = {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 3, "step": 0.05}
FGSM = {"kind": "fgsm", "norm": "linf", "eps": 0.1, "step": 0.1, "random_start": True}
DEFENSES = {
    "standard": {"kind": "standard"},
    "gaussian_noise": {"kind": "gaussian_noise", "sigma": 0.1},
    "adversarial": {"kind": "adversarial", "attack": PGD},
    "half_clean": {"kind": "adversarial", "attack": PGD, "clean_share": 0.5},
    "trades": {"kind": "trades", "attack": PGD, "beta": 1.0},
    "ibp": {"kind": "ibp", "eps": 0.01, "kappa": 0.5},
    "crown_ibp": {"kind": "crown_ibp", "eps": 0.01, "kappa": 0.0},
    "static": {"kind": "static", "clean_share": 0.5},
    "n_fgsm": {"kind": "n_fgsm", "eps": 0.1},
    "free": {"kind": "free", "eps": 0.1, "replays": 2},
    "gradalign": {"kind": "gradalign", "attack": FGSM, "weight": 0.2},
    "mart": {"kind": "mart", "attack": PGD},
    "ard": {"kind": "ard", "attack": PGD, "alpha": 0.5, "temperature": 3.0},
    "rslad": {"kind": "rslad", "attack": PGD},
    "ensemble": {"kind": "ensemble", "attack": FGSM},
    "noise_adversarial": {"kind": "noise_adversarial", "attack": PGD, "sigma": 0.1},
    "mtl_ibp": {"kind": "mtl_ibp", "attack": FGSM, "eps": 0.01},
    "cc_ibp": {"kind": "cc_ibp", "attack": FGSM, "eps": 0.01},
    "sabr": {"kind": "sabr", "attack": FGSM, "eps": 0.01},
    "consistency": {"kind": "consistency", "sigma": 0.1},
    "smoothadv": {"kind": "smoothadv", "sigma": 0.1, "eps": 0.2},
}
BOUNDED_BELOW = ("gradalign",)  # whose loss has a term that does not come near 0
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
        "rollback": False,
        "patience": 0,
        "swa": 0.0,
        "awp": None,
        "ramp_start": 0.0,
        "ramp_shape": "linear",
        "freeze": 0,
        "mix": "none",
        "extra": None,
    }
    settings |= {"precision": "float32", "augment": "none", "selection": "best"}
    settings |= {"validation_attack": PGD} | change
    whole = {"defense": DEFENSES[defense], "training": settings, "seed": seed, "batch": 32}
    return whole | {"model": CNN, "threads": 1, "device": "cpu"}


def model(settings: dict = CNN, classes: int = 2, seed: int = 0):
    """A fresh small classifier."""
    return build_model(settings, SHAPE, classes, seed)


def given(spec: dict, train: Part) -> dict:
    """What a defense needs besides data: examples of files, a teacher, further images."""
    kind, found = spec["defense"]["kind"], {}
    if kind == "static":
        found["crafted"] = train.images.flip(2)
    if kind == "ensemble":
        found["crafted"] = torch.stack([train.images.flip(2), 1 - train.images], 1)
    if kind in ("ard", "rslad"):
        found["teacher"] = teacher(train.images)
    if spec["training"]["extra"]:
        found["extra"] = part(20, 7)
    return found


def teacher(images):
    """A fixed classifier that knows which half is bright."""
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(images[0].numel(), 2))
    halves = torch.zeros(2, *images.shape[1:])
    halves[0, ..., :4], halves[1, ..., 4:] = 1, 1
    with torch.no_grad():
        linear[1].weight.copy_(halves.flatten(1) * 0.2)
        linear[1].bias.zero_()
    return linear.eval().requires_grad_(False)


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
