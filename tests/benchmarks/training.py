"""The cost of adversarial training, beside other libraries: `make benchmark-training`.

All systems train the same network, with the same weights at the start, on the same MNIST images and
one thread. Speed: a few batches of each in turn, in processor seconds of this process. Accuracy:
processor seconds of training until a common PGD in float32 leaves the asked share of validation
images right; what that PGD costs is not counted. Defenses: batches of each of ours in turn.
"""

import argparse
import contextlib
import platform
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.core import device, records
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.download.mirrors import mirrors_from_environment
from gauntlet.core.image_rng import Streams
from gauntlet.data import load_dataset
from gauntlet.models import build_model
from tests.benchmarks import training_table
from tests.benchmarks.training_defenses import measure_defenses
from tests.benchmarks.training_systems import SYSTEMS, TASKS, TO_ACCURACY, Task

SHAPE, BATCH = (1, 28, 28), 128
VALIDATION_FROM = 50_000  # place of the first validation image in MNIST's training part
NEEDED = {"torchattacks": "torchattacks", "ART": "art"}  # packages, by how systems' names begin


class Reached(Exception):
    """The asked accuracy is reached, or the time is over."""


class Watch:
    """A clock of the processor that stands still while it looks at a model."""

    def __init__(self, images: Tensor, labels: Tensor, eps: float, goal: float, limit: float):
        self.images, self.labels, self.goal, self.limit = images, labels, goal, limit
        self.attack = {"kind": "pgd", "norm": "linf", "eps": eps, "steps": 10, "step": eps / 4}
        self.curve: list[dict] = []
        self.spent, self.started = 0.0, time.process_time()

    def __call__(self, model: nn.Module) -> None:
        """Note clean and robust accuracy after an epoch; raise Reached where that is enough."""
        self.spent += time.process_time() - self.started
        batched, mode = BatchedModel(model, BATCH), model.training
        streams = Streams.of_images(0, range(len(self.labels)), "benchmark")
        found = bind(self.attack)(batched, self.images, self.labels, streams=streams).images
        robust = (batched(found).argmax(1) == self.labels).float().mean()
        clean = (batched(self.images).argmax(1) == self.labels).float().mean()
        row = {"seconds": self.spent, "clean": float(clean), "robust": float(robust)}
        self.curve.append({key: round(value, 4) for key, value in row.items()})
        model.train(mode)
        if robust >= self.goal or self.spent > self.limit:
            raise Reached
        self.started = time.process_time()


def main() -> None:
    """Measure what is asked for, print the tables and write them."""
    options = _options()
    device.prepare({"threads": 1, "device": "cpu"})
    images, labels = _mnist()
    there = [name for name in options.systems if _is_installed(name)]
    quick = [name for name in there if name in SYSTEMS]
    for name in set(options.systems) - set(there):
        print(f"{name}: not installed, left out")
    out = Path(options.out)
    record = records.read_json(out) if out.exists() else {}
    record["machine"] = device.describe() | {"python": platform.python_version(), "threads": 1}
    if "speed" in options.parts:
        record["speed"] = _speed(quick, images, labels, options)
    if "accuracy" in options.parts:
        known = [row for row in record.get("accuracy", []) if row["system"] not in there]
        rows = known + _accuracy(there, images, labels, options)
        record["accuracy"] = sorted(rows, key=lambda row: [*TO_ACCURACY].index(row["system"]))
    if "defenses" in options.parts:
        task = Task(images[:BATCH], labels[:BATCH], options.eps, 1)
        record["defenses"] = measure_defenses(task, network, options.rounds)
    records.write_json(out, record)
    page = training_table.page(record)
    out.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ["speed", "accuracy", "defenses"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--systems", nargs="+", default=[*TO_ACCURACY], choices=[*TO_ACCURACY])
    parser.add_argument("--eps", type=float, default=0.2)
    parser.add_argument("--images", type=int, default=8000, help="training images")
    parser.add_argument("--validation", type=int, default=300, help="validation images")
    parser.add_argument("--epochs", type=int, default=6, help="of systems with a constant rate")
    parser.add_argument("--cycle", type=int, default=3, help="epochs of systems with a cycle")
    parser.add_argument("--goal", type=float, default=0.65, help="robust accuracy to reach")
    parser.add_argument("--limit", type=float, default=300, help="processor seconds of one system")
    parser.add_argument("--rounds", type=int, default=5, help="of the speed of each system")
    parser.add_argument("--batches", type=int, default=3, help="of each round")
    parser.add_argument("--out", default="results/reference/benchmark/training.json")
    return parser.parse_args()


def _mnist() -> tuple[Tensor, Tensor]:
    places = {"mirrors": mirrors_from_environment(), "cache": Path("results/data/downloads")}
    found = load_dataset("mnist", {}, **places)
    images = torch.from_numpy(found.images[:60_000]).float().div(255).view(-1, *SHAPE)
    return images, torch.from_numpy(found.labels[:60_000]).long()


def _is_installed(name: str) -> bool:
    package = NEEDED.get(name.split(",")[0])
    return package is None or find_spec(package) is not None


def network(images: Tensor) -> nn.Module:
    """Give a fresh article_cnn with the same weights each time, normalized like the images."""
    model = build_model({"arch": "article_cnn"}, SHAPE, 10, 0)
    model.normalize_like(images)
    return model


def _speed(names: list[str], images: Tensor, labels: Tensor, options) -> list[dict]:
    """Time a few batches of each system in turn, and count the passes of an image."""
    count = options.batches * BATCH
    task = Task(images[:count], labels[:count], options.eps, 1)
    models = {name: network(task.images) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.rounds + 1):  # the first round warms up
        for name, model in models.items():
            started = time.process_time()
            SYSTEMS[name](model, task, lambda model: None)
            times[name].append((time.process_time() - started) / options.batches)
    rows = []
    for name in names:
        forwards, backwards = _passes(name, task)
        epoch = median(times[name][1:]) * -(-options.images // BATCH)
        passes = {"forwards": forwards, "backwards": backwards}
        rows.append({"system": name, "epoch": round(epoch, 2), **passes})
    return rows


def _passes(name: str, task: Task) -> tuple[float, float]:
    """Count the forward and the backward passes of an image in an epoch."""
    model, seen = network(task.images), {"forwards": 0, "backwards": 0}

    def forward(module, given, logits: Tensor) -> None:
        seen["forwards"] += len(logits)
        if logits.requires_grad:
            logits.register_hook(backward)

    def backward(gradient: Tensor) -> None:
        seen["backwards"] += len(gradient)

    model.register_forward_hook(forward)
    SYSTEMS[name](model, task, lambda model: None)
    return tuple(round(count / len(task.labels), 2) for count in seen.values())


def _accuracy(names: list[str], images: Tensor, labels: Tensor, options) -> list[dict]:
    """Train by each system until the goal is reached; a row for each, with its curve."""
    held = slice(VALIDATION_FROM, VALIDATION_FROM + options.validation)
    rows = []
    for name in names:
        cyclic = "PGD" not in name and "Madry" not in name
        given = {"epochs": options.cycle if cyclic else options.epochs} | TASKS.get(name, {})
        some = slice(0, options.images)
        task = Task(images[some], labels[some], options.eps, **given)
        torch.manual_seed(0)
        model = network(task.images)
        watch = Watch(images[held], labels[held], options.eps, options.goal, options.limit)
        with contextlib.suppress(Reached):
            TO_ACCURACY[name](model, task, watch)
        last = watch.curve[-1]
        reached = last["seconds"] if last["robust"] >= options.goal else None
        settings = {"goal": options.goal, "images": options.images} | given
        rows.append({"system": name, "reached": reached, **settings, "curve": watch.curve})
        print(name, watch.curve, file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()
