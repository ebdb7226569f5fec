"""Systems that `benchmark_peers` measures: Gauntlet's attacks and those of other libraries.

A system takes a model, images, labels, eps and a batch size and gives examples; those of NEAREST
take no eps. A library that is not installed gives None.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.attacks import bind
from gauntlet.core import device
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams

POOL = 512
System = Callable[[torch.nn.Module, Tensor, Tensor, float, int], Tensor]


def _gauntlet(settings: dict, precision: str) -> System:
    def attack(model, images, labels, eps, batch):
        device.keep_memory()
        batched, given = (
            BatchedModel(model, batch, precision),
            settings | {"norm": "linf", "eps": eps},
        )
        if "step" in given:
            given["step"] = eps / 10
        examples, right = images.clone(), BatchedModel(model)(images).argmax(1) == labels
        for rows in torch.arange(len(labels)).split(POOL):
            rows = rows[right[rows]]
            if len(rows):
                streams = Streams.of_images(0, rows, "benchmark")
                found = bind(given)(batched, images[rows], labels[rows], streams=streams)
                examples[rows] = found.images
        return examples

    return attack


def _batched(attack: Callable[[Tensor, Tensor], Tensor], images, labels, batch: int) -> Tensor:
    parts = zip(images.split(batch), labels.split(batch), strict=True)
    return torch.cat([attack(some, truth).detach() for some, truth in parts])


def _restarts(attack, model, images, labels, batch: int, restarts: int) -> Tensor:
    """Restart a peer that cannot: what fell stays, all images are attacked each time."""
    best, success = images.clone(), torch.zeros_like(labels, dtype=torch.bool)
    for _ in range(restarts):
        examples = _batched(attack, images, labels, batch)
        fresh = (BatchedModel(model)(examples).argmax(1) != labels) & ~success
        best[fresh], success = examples[fresh], success | fresh
    return best


def _torchattacks(restarts: int) -> System | None:
    try:
        import torchattacks
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        attack = torchattacks.PGD(model, eps=eps, alpha=eps / 10, steps=40, random_start=True)
        return _restarts(attack, model, images, labels, batch, restarts)

    return run


def _foolbox(restarts: int) -> System | None:
    try:
        import foolbox
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        known = foolbox.PyTorchModel(model, bounds=(0, 1))
        attack = foolbox.attacks.LinfPGD(abs_stepsize=eps / 10, steps=40)

        def once(some, truth):
            return attack(known, some, truth, epsilons=eps)[1]

        return _restarts(once, model, images, labels, batch, restarts)

    return run


def _art(restarts: int) -> System | None:
    try:
        from art.attacks.evasion import ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        loss, shape = torch.nn.CrossEntropyLoss(), tuple(images.shape[1:])
        known = PyTorchClassifier(model, loss, shape, 10, clip_values=(0, 1), device_type="cpu")
        attack = ProjectedGradientDescentPyTorch(
            *(known,), eps=eps, eps_step=eps / 10, max_iter=40, batch_size=batch, verbose=False
        )
        attack.set_params(num_random_init=1)

        def once(some, truth):
            return torch.from_numpy(attack.generate(some.numpy(), truth.numpy()))

        return _restarts(once, model, images, labels, batch, restarts)

    return run


def _autoattack() -> System | None:
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        attack = AutoAttack(model, norm="Linf", eps=eps, version="standard", device="cpu", seed=0)
        return attack.run_standard_evaluation(images, labels, batch_size=batch)[0]

    return run


def _own_nearest(**settings) -> Callable:
    def run(model, images, labels, eps, batch):
        device.keep_memory()
        streams = Streams.of_images(0, range(len(labels)), "benchmark")
        attack = bind({"norm": "l2"} | settings)
        return attack(BatchedModel(model, batch), images, labels, streams=streams).images

    return lambda: run


def _foolbox_nearest(name: str, **settings) -> Callable:
    def make():
        try:
            import foolbox
        except ImportError:
            return None

        def run(model, images, labels, eps, batch):
            known = foolbox.PyTorchModel(model, bounds=(0, 1))
            attack = getattr(foolbox.attacks, name)(**settings)
            return torch.cat(
                [
                    attack(known, some, truth, epsilons=None)[1]
                    for some, truth in zip(images.split(batch), labels.split(batch), strict=True)
                ]
            )

        return run

    return make


def _towards(targets: int) -> dict:
    return {"kind": "apgd_t", "steps": 20, "targets": targets}


def _of_100_classes(settings: dict) -> System:
    """Attack the same network with 90 classes more, which it never chooses."""

    def run(model, images, labels, eps, batch):
        def wider(seen):
            logits = model(seen)
            return torch.cat([logits, logits.amin(1, keepdim=True).expand(-1, 90) - 1], 1)

        return _gauntlet(settings, "bfloat16")(wider, images, labels, eps, batch)

    return run


PGD = {"kind": "pgd", "steps": 40, "step": None}
TIMES_TEN = PGD | {"restarts": 10}
SUITES = {  # how to make a system, and the batches that it is measured at (none: those asked for)
    "pgd40": {
        "gauntlet, bfloat16": (lambda: _gauntlet(PGD, "bfloat16"), None),
        "gauntlet, float32": (lambda: _gauntlet(PGD, "float32"), None),
        "torchattacks": (lambda: _torchattacks(1), None),
        "foolbox": (lambda: _foolbox(1), None),
        "ART": (lambda: _art(1), None),
    },
    "pgd40x10": {
        "gauntlet, bfloat16": (lambda: _gauntlet(TIMES_TEN, "bfloat16"), [128]),
        "torchattacks": (lambda: _torchattacks(10), [64]),
        "foolbox": (lambda: _foolbox(10), [64]),
        "ART": (lambda: _art(10), [64]),
    },
    "autoattack": {
        "gauntlet's ensemble": (lambda: _gauntlet({"kind": "gauntlet"}, "bfloat16"), [128]),
        "gauntlet, autoattack": (lambda: _gauntlet({"kind": "autoattack"}, "bfloat16"), [128]),
        "AutoAttack (reference)": (_autoattack, [250]),
    },
    "l2": {
        "gauntlet, DDN": (_own_nearest(kind="ddn"), [128]),
        "foolbox, DDN": (_foolbox_nearest("DDNAttack", steps=100), [128]),
        "gauntlet, FMN": (_own_nearest(kind="fmn"), [128]),
        "foolbox, FMN": (_foolbox_nearest("L2FMNAttack", steps=100), [128]),
        "gauntlet, C&W": (_own_nearest(kind="cw", steps=150), [128]),
        "foolbox, C&W": (
            _foolbox_nearest("L2CarliniWagnerAttack", steps=200, stepsize=0.1),
            [128],
        ),
        "gauntlet, DeepFool": (_own_nearest(kind="deepfool"), [128]),
        "foolbox, DeepFool": (_foolbox_nearest("L2DeepFoolAttack", steps=50), [128]),
    },
    "growth": {
        "gauntlet, 1 restart": (lambda: _gauntlet(PGD, "bfloat16"), [128]),
        "gauntlet, 5 restarts": (lambda: _gauntlet(PGD | {"restarts": 5}, "bfloat16"), [128]),
        "gauntlet, 20 restarts": (lambda: _gauntlet(PGD | {"restarts": 20}, "bfloat16"), [128]),
        "gauntlet, 9 targets of 10 classes": (lambda: _gauntlet(_towards(9), "bfloat16"), [128]),
        "gauntlet, 99 targets of 100 classes": (lambda: _of_100_classes(_towards(99)), [128]),
    },
}
