"""Part of the GPU check: CIFAR-10 from JPEG archives, trained, then attacked by `gauntlet`."""

import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gauntlet.api import attack
from gauntlet.core import device
from gauntlet.core.batched_model import BatchedModel
from gauntlet.data.image_folder import image_folder
from gauntlet.models import build_model
from gauntlet.training import loop
from gauntlet.training.loop import Part
from tests.benchmarks.gpu_budget import CUT, SKIPPED, Row
from tests.helpers import tiny

EPS = 8 / 255
HELD = 1000  # training images that validate
TRAINING = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4, "schedule": "cyclic"}
TRAINING |= {"precision": "bfloat16", "augment": "flip_crop", "selection": "last"}
DEFENSES = {
    "N-FGSM": {"kind": "n_fgsm", "eps": EPS},
    "PGD-2": {
        "kind": "adversarial",
        "attack": {"kind": "pgd", "norm": "linf", "eps": EPS, "steps": 2, "step": EPS / 2},
    },
}
PUBLISHED = (
    ("FGSM-RS, AutoAttack (original images)", 43.2, "RobustBench Wong2020Fast; preact_resnet18"),
    (
        "PGD-7, AutoAttack (original images)",
        "47 to 49",
        "long schedules; Rice et al. 2020 and others",
    ),
)
COUNTS = (1000, 64)  # images that `gauntlet` and `autoattack` attack
TINY_COUNTS = (8, 4)


def cifar(options, left: Callable[[], float]) -> Iterator[Row]:
    """Read the images, train two defenses, and attack what comes of it."""
    where = device.prepare(
        {"threads": 1 if options.device == "cpu" else 8, "device": options.device}
    )
    with tempfile.TemporaryDirectory() as made:
        folder = tiny_archives(Path(made)) if options.tiny else options.cifar
        if folder is None or not (folder / "train.zip").is_file():
            yield Row("", "all of it", state=SKIPPED, note="--cifar names no folder with train.zip")
            return
        began = time.perf_counter()
        data = image_folder([], Path(made), path=str(folder))
        yield Row("", "reading the JPEG archives", time.perf_counter() - began, "s")
    train, held, test = _parts(data, where, 10 if options.tiny else HELD)
    for place, (name, defense) in enumerate(DEFENSES.items()):
        share = left() / (len(DEFENSES) - place)
        end = time.monotonic() + share
        yield from _one(
            name, defense, (train, held, test), options, lambda e=end: e - time.monotonic()
        )
    for name, value, source in PUBLISHED:
        yield Row("", name, value, "% robust", state="published", note=source)


def _parts(data, where: torch.device, held: int) -> tuple[Part, Part, Part]:
    """Give training, validation and test part on the device; the archives are sorted by class."""
    count, stream = data.canonical["train"], np.random.default_rng(0)
    order = stream.permutation(count)
    test = count + stream.permutation(len(data.labels) - count)

    def part(rows) -> Part:
        images = torch.from_numpy(data.images[rows].astype(np.float32) / 255)
        return Part(images.to(where), torch.from_numpy(data.labels[rows]).to(where))

    return part(order[held:]), part(order[:held]), part(test)


def _one(name: str, defense: dict, parts, options, left) -> Iterator[Row]:
    """Train for as many of the epochs as the time allows, then attack."""
    train, held, test = parts
    wanted = 1 if options.tiny else 15
    spec = _spec(defense, options, wanted)
    seconds = _trial(spec, train, held, options)
    fitting = int(0.55 * left() / max(seconds, 1e-9))
    epochs = min(wanted, fitting)
    if epochs < 1:
        yield Row("", f"{name}, training", state=CUT, note=f"an epoch takes {seconds:.0f} s")
        return
    model, began = _network(options, train.images), time.perf_counter()
    spec["training"]["epochs"] = epochs
    loop.fit(model, spec, train, held)
    took = time.perf_counter() - began
    state, note = ("measured", "") if epochs == wanted else (CUT, f"{epochs} of {wanted} epochs")
    yield Row("", f"{name}, {wanted} epochs", took, "s", state=state, note=note)
    rate = epochs * len(train.labels) / took
    yield Row("", f"{name}, training", rate, "images/s", note="with validation after each epoch")
    yield from _attacked(name, model.eval().requires_grad_(False), test, options, left)


def _network(options, images: Tensor):
    settings = {"arch": "preact_resnet18", "width": 4 if options.tiny else 64}
    model = build_model(settings, tuple(images.shape[1:]), 10, 0).to(images.device)
    model.normalize_like(images)
    return model.to(memory_format=torch.channels_last)


def _spec(defense: dict, options, epochs: int) -> dict:
    validating = {"kind": "pgd", "norm": "linf", "eps": EPS, "steps": 10, "step": EPS / 4}
    own = TRAINING | {"validation_attack": validating, "batch": 16 if options.tiny else 256}
    whole = tiny.spec("standard", epochs=epochs, **own)
    return whole | {"defense": defense, "device": options.device, "batch": 1000}


def _trial(spec: dict, train: Part, held: Part, options) -> float:
    """Give the seconds of an epoch, from a few batches after one that warms up."""
    few = spec["training"]["batch"] * (2 if options.tiny else 10)
    some, short = (
        Part(train.images[:few], train.labels[:few]),
        Part(held.images[:8], held.labels[:8]),
    )
    once = {**spec, "training": {**spec["training"], "epochs": 1}}
    for _ in range(2):
        began = time.perf_counter()
        loop.fit(_network(options, some.images), once, some, short)
        took = time.perf_counter() - began
    return took * len(train.labels) / len(some.labels)


def _attacked(name: str, model, test: Part, options, left) -> Iterator[Row]:
    """Measure clean accuracy, and what `gauntlet` and our AutoAttack leave of it."""
    clean = BatchedModel(model, 1000)(test.images).argmax(1) == test.labels
    yield Row("", f"{name}, clean, {len(clean)} images", 100 * float(clean.float().mean()), "%")
    counts = TINY_COUNTS if options.tiny else COUNTS
    for kind, count in zip(("gauntlet", "autoattack"), counts, strict=True):
        what = f"{name}, {kind}, {count} images"
        if left() < 15 and not options.tiny:
            yield Row("", what, state=CUT, note=f"{left():.0f} s were left")
            continue
        began = time.perf_counter()
        given = {"queries": 10} if options.tiny and kind == "gauntlet" else {}
        images, labels = test.images[:count], test.labels[:count]
        found = attack(model, images, labels, eps=EPS, attack=kind, progress=False, **given)
        took = time.perf_counter() - began
        yield Row(
            "",
            what,
            100 * found.robust_accuracy,
            "% robust",
            note="JPEG images, not comparable exactly",
        )
        yield Row("", f"{name}, {kind}", count / took, "images/s")


def tiny_archives(folder: Path) -> Path:
    """Make archives in the layout of the real ones, with a few images of each of ten classes."""
    from PIL import Image

    stream = np.random.default_rng(0)
    for part, each in (("train", 6), ("test", 2)):
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            for place in range(10):
                for number in range(each):
                    pixels = stream.integers(0, 256, (32, 32, 3)) // 2 + 12 * place
                    buffer = io.BytesIO()
                    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=95)
                    archive.writestr(f"{part}/class{place}/{number:04}.jpg", buffer.getvalue())
    return folder
