"""The networks of `make benchmark-strength`: trained by config/strength.yaml, or made public."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from gauntlet.stages import inputs
from tests.helpers.places import ROOT

CONFIG = ROOT / "config" / "strength.yaml"
EPS = {"digits": 0.15, "mnist": 0.3, "fashion_mnist": 0.1, "cifar10_jpeg": 8 / 255}
PUBLIC = ("fast_fgsm_mnist.pth", "convex_mnist_0_3.pth")
TRAINING_IMAGES = 60_000  # of MNIST; those of the test part follow
PUBLIC_IMAGES = 1000  # the first ones of the test part


@dataclass
class Network:
    """A network in eval mode, with the images [N, C, H, W] and labels [N] to attack it on."""

    name: str
    model: nn.Module
    images: Tensor
    labels: Tensor
    eps: float


def names(results: Path, public: Path | None) -> list[str]:
    """Name the networks that are there, the public ones first."""
    there = [name for name in PUBLIC if public and (public / name).exists()]
    known = yaml.safe_load(CONFIG.read_text())["studies"].values()
    asked = [
        f"{data}/{model}/{defense}"
        for study in known
        for data in study["datasets"]
        for model in study["models"]
        for defense in study["defenses"]
    ]
    return there + [name for name in asked if _weights(results, name).exists()]


def load(name: str, results: Path, public: Path | None) -> Network:
    """Load one network by its name."""
    if name in PUBLIC:
        return _public(public / name, results / "data" / "mnist")
    dataset = name.split("/")[0]
    data, weights = results / "data" / dataset, _weights(results, name)
    files = [data / file for file in ("images.npy", "labels.npy", "data.json", "split.json")]
    _, images, labels = inputs.load_part(*files, "test", torch.device("cpu"))
    small = name.split("/")[1] == "small"
    own = {"channels": [16, 32], "hidden": 100} if small else {"channels": None, "hidden": None}
    spec = {"model": {"arch": "article_cnn"} | own}
    model = inputs.trained_model(spec, data / "data.json", weights)
    return Network(name, model.eval().requires_grad_(False), images, labels, EPS[dataset])


def _weights(results: Path, name: str) -> Path:
    return results / "runs" / name / "seed0" / "best.pt"


def _public(path: Path, mnist: Path) -> Network:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, dict):
        state = state.get("state_dict", state)
    state = state[0] if isinstance(state, list) else state
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10)),
    )
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    rows = slice(TRAINING_IMAGES, TRAINING_IMAGES + PUBLIC_IMAGES)
    pixels = np.load(mnist / "images.npy", mmap_mode="r")[rows]
    truth = torch.from_numpy(np.load(mnist / "labels.npy", mmap_mode="r")[rows].copy())
    images = torch.from_numpy(pixels.astype(np.float32) / 255)
    return Network(path.name, model.eval().requires_grad_(False), images, truth, EPS["mnist"])
