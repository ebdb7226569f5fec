"""What one batch of each defense costs, in batches of plain training."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from gauntlet.core.plugins import available
from gauntlet.core.rng import generator
from gauntlet.training.data_parallel import SingleProcess
from gauntlet.training.step import FAMILY, Learner
from tests.benchmarks.training_systems import Task, spec_of

KINDS = {  # settings beyond the defaults; "pgd" and "fgsm" are completed for the task
    "standard": {},
    "gaussian_noise": {"sigma": 0.1},
    "adversarial": {"attack": "pgd"},
    "n_fgsm": {"eps": None},
    "gradalign": {"attack": "fgsm"},
    "free": {"eps": None, "replays": 8},
    "trades": {"attack": "pgd"},
    "mart": {"attack": "pgd"},
    "ard": {"attack": "pgd", "alpha": 0.5, "temperature": 3.0},
    "rslad": {"attack": "pgd"},
    "static": {"clean_share": 0.5},
    "ensemble": {"attack": "fgsm"},
    "noise_adversarial": {"attack": "pgd", "sigma": 0.1},
    "ibp": {"eps": None, "kappa": 0.5},
    "crown_ibp": {"eps": None, "kappa": 0.0},
    "mtl_ibp": {"attack": "fgsm", "eps": None},
    "cc_ibp": {"attack": "fgsm", "eps": None},
    "sabr": {"attack": "fgsm", "eps": None},
    "consistency": {"sigma": 0.25},
    "smoothadv": {"sigma": 0.25, "eps": None},
}


def measure_defenses(task: Task, network: Callable[[Tensor], nn.Module], rounds: int) -> list[dict]:
    """Time a batch of every defense in turn, in float32; the first round warms up.

    A row for each: the inner attack, processor seconds of a batch, and the cost in batches of plain
    training. Raises KeyError for a defense that has no settings here.
    """
    steps = {name: _step(name, task, network) for name in sorted(available(FAMILY))}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            started = time.process_time()
            step()
            times[name].append(time.process_time() - started)
    seconds = {name: median(found[1:]) for name, found in times.items()}
    return [
        {
            "defense": name,
            "attack": KINDS[name].get("attack", ""),
            "seconds": round(seconds[name], 4),
            "cost": round(seconds[name] / seconds["standard"], 2),
        }
        for name in sorted(steps, key=seconds.get)
    ]


def _step(name: str, task: Task, network) -> Callable[[], object]:
    """Give a function that updates a fresh network by one defense on the task's images."""
    images, labels = task.images, task.labels
    crafted = {"static": images.flip(2), "ensemble": torch.stack([images, images.flip(2)], 1)}
    spec = spec_of(task, {"kind": name} | KINDS[name], ramp=0.5)
    teacher = network(images).eval().requires_grad_(False) if name in ("ard", "rslad") else None
    learner, stream = Learner(network(images), spec, SingleProcess(), teacher), generator(0, name)
    learner.train()
    return lambda: learner.update(images, labels, crafted.get(name), stream, 0.5)
