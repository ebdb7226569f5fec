"""A user's own plug-ins: an attack, a defense, data, a check, a step and more, as files."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gauntlet.core import plugins

ATTACK = '''
"""One random sign step: nothing but a test."""

from gauntlet.attacks.fgsm import fgsm

NORMS = ("linf",)
CHECK_SLACK = 1.0
FORWARDS, BACKWARDS = "tries * 2", "tries"


def mine(model, images, labels, *, streams, norm: str, eps: float, tries: int = 2, early_stop=True):
    """Take one full step."""
    return fgsm(
        model, images, labels, streams=streams, norm=norm, eps=eps, step=eps, early_stop=early_stop
    )
'''
DEFENSE = '''
"""Cross-entropy on softened labels."""

from torch.nn.functional import cross_entropy

SETTINGS = {"smooth": {"minimum": 0, "exclusiveMaximum": 1}}


def softened(model, images, labels, *, generator, smooth: float = 0.1):
    """Give the cross-entropy with label smoothing."""
    return cross_entropy(model(images), labels, label_smoothing=smooth)
'''
DATA = '''
"""Stripes: a tiny data set."""

import numpy as np

from gauntlet.data._dataset import Dataset

SHAPE, CLASS_COUNT, IMAGES = (1, 8, 8), 2, 200


def stripes(mirrors, cache, *, bright: int = 200):
    """Make images with vertical or horizontal stripes."""
    noise = np.random.default_rng(0).integers(0, 50, (200, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(200, dtype=np.int64) % 2
    noise[labels == 0, :, ::2, :] += np.uint8(bright)
    noise[labels == 1, :, :, ::2] += np.uint8(bright)
    return Dataset(images=noise, labels=labels, classes=["rows", "columns"], max_value=255,
                   files=[{"name": "stripes", "sha256": "0" * 64}])
'''
CHECK = '''
"""The clean accuracy is above chance."""

from gauntlet.audit._finding import PASS, WARN, Finding


def above_chance(subject):
    """Hold the clean accuracy against one half."""
    return Finding("above_chance", PASS if subject.clean > 0.5 else WARN, {"clean": subject.clean})
'''
MODEL = '''
"""A linear classifier."""

from torch import nn

LAYERS = "[(pixels, width, 1), (width, classes, 1)]"


def linear(shape, classes, *, width: int = 8):
    """Build two linear layers."""
    depth, height, breadth = shape
    first = nn.Linear(depth * height * breadth, width)
    return nn.Sequential(nn.Flatten(), first, nn.Linear(width, classes))
'''
CERTIFICATE = '''
"""Interval bounds under another name."""

from gauntlet.certify.ibp import ibp

NORMS, DETERMINISTIC, FORWARDS = ("linf",), True, "bounds * 3"


def boxes(model, images, labels, *, norm: str, eps: float, radius: bool = False, batch: int = 8):
    """Bound every layer by intervals."""
    return ibp(model, images, labels, norm=norm, eps=eps, radius=radius, batch=batch)
'''
STEP = '''
"""Turns an image's darkest values to black."""

from torch import nn

GRADIENT, MACS = "straight_through", "pixels"
SETTINGS = {"below": {"minimum": 0, "maximum": 1}}


def blacken(shape, *, below: float = 0.1):
    """Set values below a limit to 0."""
    return nn.Threshold(below, 0.0)
'''
FILES = {
    "models/linear.py": MODEL,
    "certify/boxes.py": CERTIFICATE,
    "attacks/mine.py": ATTACK,
    "defenses/softened.py": DEFENSE,
    "data/stripes.py": DATA,
    "audit/above_chance.py": CHECK,
    "preprocess/blacken.py": STEP,
}


def written(folder: Path, files: dict[str, str] = FILES) -> Path:
    """Write plug-ins below a folder; give the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(name="own")
def own_folder(tmp_path) -> Path:
    return written(tmp_path / "own")


def study_of(folder: Path | str) -> dict:
    """Give a configuration that uses each of them."""
    return {
        "run": ["own"],
        "plugins": [str(folder)],
        "training": {"epochs": 2, "batch": 32, "validation_attack": "pgd3"},
        "datasets": {"stripes": {"source": "stripes", "bright": 150}},
        "models": {"net": {"arch": "linear", "width": 16}},
        "attacks": {
            "pgd3": {"kind": "pgd", "eps": 0.1, "steps": 3, "loss_draws": 0},
            "mine": {"kind": "mine", "eps": [0.05, 0.1], "tries": 1, "loss_draws": 0},
        },
        "defenses": {"soft": {"kind": "softened", "smooth": 0.2}},
        "certificates": {"boxes": {"kind": "boxes", "eps": [0.01, 0.05]}},
        "audit": {"images": 20, "steps": 3, "rerun": False},
        "preprocess": {"black": {"kind": "blacken", "below": 0.2}},
        "adaptive": {"steps": 3, "restarts": 1, "queries": 5},
        "studies": {
            "own": {
                "datasets": ["stripes"],
                "models": ["net"],
                "defenses": ["soft"],
                "attacks": ["mine"],
                "certificates": ["boxes"],
                "preprocess": ["black"],
                "seeds": [0],
                "audit": ["above_chance", "gradients"],
            }
        },
    }


@pytest.fixture(autouse=True)
def forgotten(monkeypatch) -> Iterator[None]:
    """Leave no plug-in behind that a test uses."""
    monkeypatch.setenv(plugins.ENVIRONMENT, "[]")
    before = set(sys.modules)
    yield
    plugins.use([])
    for name in set(sys.modules) - before:
        if name.rpartition(".")[2] in (path[:-3].split("/")[1] for path in FILES):
            del sys.modules[name]
