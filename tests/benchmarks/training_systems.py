"""Ways to train against an attack, side by side: ours, other libraries', and a published recipe.

A system is a function `(model, task, watch)`: it trains the model in place and calls `watch(model)`
after each epoch. One of a library that is not installed gives None.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from gauntlet.core.rng import generator
from gauntlet.stages.inputs import laid_out
from gauntlet.training.batches import Part, batches
from gauntlet.training.data_parallel import SingleProcess
from gauntlet.training.step import Learner
from tests.helpers import tiny

System = Callable[[nn.Module, "Task", Callable[[nn.Module], None]], None]
CLASSES, SEED, PEAK = 10, 0, 0.4
FLAT, CYCLIC = 1e-3, 5e-3  # learning rates of Adam: constant, and at the peak of a cycle


@dataclass
class Task:
    """What all systems train on, and against what; `steps` are those of PGD inside."""

    images: Tensor
    labels: Tensor
    eps: float
    epochs: int
    batch: int = 128
    steps: int = 7

    @property
    def step(self) -> float:
        """Give the length of a step of PGD."""
        return 2.5 * self.eps / self.steps

    def epoch(self, number: int):
        """Give the batches of an epoch in a random order."""
        stream = generator(SEED, "benchmark", number)
        for rows in torch.randperm(len(self.labels), generator=stream).split(self.batch):
            yield self.images[rows], self.labels[rows]


def ours(defense: dict, **training) -> System:
    """Train by one of our defenses; `pgd` or `fgsm` as its attack are completed for the task."""

    def train(model: nn.Module, task: Task, watch) -> None:
        spec = spec_of(task, defense, **training)
        model = laid_out(model)  # as every job of a study does
        learner, part = Learner(model, spec, SingleProcess()), Part(task.images, task.labels)
        for epoch in range(1, task.epochs + 1):
            learner.train()
            stream = generator(SEED, "train", epoch)
            order = torch.randperm(len(part.labels), generator=stream)
            for batch in batches(part, None, order, spec, epoch):
                done = (epoch - 1 + batch.done) / task.epochs
                learner.set_rate(done)
                learner.update(batch.images, batch.labels, None, stream, done)
            watch(model)

    return train


def spec_of(task: Task, defense: dict, **training) -> dict:
    """Give the spec of a training of ours."""
    attacks = {
        "pgd": {"kind": "pgd", "steps": task.steps, "step": task.step},
        "fgsm": {"kind": "fgsm", "step": 1.25 * task.eps, "random_start": True},
    }
    own = dict(defense)
    if "attack" in own:
        own["attack"] = attacks[own["attack"]] | {"norm": "linf", "eps": task.eps}
    own |= {"eps": task.eps} if "eps" in own else {}
    settings = {"batch": task.batch, "learning_rate": FLAT, "epochs": task.epochs} | training
    return tiny.spec(**settings) | {"defense": own, "batch": task.batch}


def torchattacks_pgd(model: nn.Module, task: Task, watch) -> None:
    """Train on the examples of torchattacks' PGD, as its documentation shows."""
    import torchattacks

    attack = torchattacks.PGD(model, eps=task.eps, alpha=task.step, steps=task.steps)
    optimizer = torch.optim.Adam(model.parameters(), FLAT)
    for epoch in range(task.epochs):
        model.train()
        for images, labels in task.epoch(epoch):
            _update(model, optimizer, attack(images, labels), labels)
        watch(model)


def fast_adversarial(model: nn.Module, task: Task, watch) -> None:
    """Train by FGSM from a random start under a cyclic learning rate.

    Written from Wong et al. 2020, "Fast is better than free", with the settings of its MNIST
    experiment: Adam, steps of 1.25 eps; only the gradient by the image is computed inside.
    """
    optimizer, done = torch.optim.Adam(model.parameters(), CYCLIC), 0
    total = task.epochs * -(-len(task.labels) // task.batch)
    model.train()
    for epoch in range(task.epochs):
        for images, labels in task.epoch(epoch):
            share, done = done / total, done + 1
            rate = np.interp(share, [0, PEAK, 1], [0, CYCLIC, 0])
            optimizer.param_groups[0]["lr"] = float(rate)
            change = torch.empty_like(images).uniform_(-task.eps, task.eps).requires_grad_()
            loss = cross_entropy(model(images + change), labels)
            (slope,) = torch.autograd.grad(loss, change)
            change = (change.detach() + 1.25 * task.eps * slope.sign()).clamp(-task.eps, task.eps)
            _update(model, optimizer, (images + change).clamp(0, 1), labels)
        watch(model)


def art_madry(model: nn.Module, task: Task, watch) -> None:
    """Train by ART's AdversarialTrainerMadryPGD, one epoch a call."""
    from art.defences.trainer import AdversarialTrainerMadryPGD

    known = _classifier(model, torch.optim.Adam(model.parameters(), FLAT))
    settings = {"eps": task.eps, "eps_step": task.step, "max_iter": task.steps}
    trainer = AdversarialTrainerMadryPGD(known, 1, task.batch, **settings)
    trainer.attack.set_params(verbose=False)
    for _ in range(task.epochs):
        _silently(trainer.fit, *_arrays(task))
        watch(model)


def art_fbf(model: nn.Module, task: Task, watch) -> None:
    """Train by ART's AdversarialTrainerFBFPyTorch, whose own schedule is made for SGD."""
    from art.defences.trainer import AdversarialTrainerFBFPyTorch

    optimizer = torch.optim.SGD(model.parameters(), 0.21, momentum=0.9, weight_decay=5e-4)
    trainer = AdversarialTrainerFBFPyTorch(_classifier(model, optimizer), eps=task.eps)
    own, count = trainer._batch_process, -(-len(task.labels) // task.batch)
    seen = []

    def counted(*batch):
        found = own(*batch)
        seen.append(1)
        if len(seen) % count == 0:
            watch(model)
        return found

    trainer._batch_process = counted
    settings = {"batch_size": task.batch, "nb_epochs": task.epochs}
    _silently(partial(trainer.fit, **settings), *_arrays(task))


def _update(model: nn.Module, optimizer, examples: Tensor, labels: Tensor) -> None:
    loss = cross_entropy(model(examples), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _classifier(model: nn.Module, optimizer):
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        *(model, nn.CrossEntropyLoss(), (1, 28, 28), CLASSES, optimizer),
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def _arrays(task: Task) -> tuple[np.ndarray, np.ndarray]:
    return task.images.numpy(), one_hot(task.labels, CLASSES).float().numpy()


def _silently(function: Callable, *given) -> None:
    """Call a function that draws progress bars."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        function(*given)


FAST = {"precision": "bfloat16", "schedule": "cyclic", "learning_rate": CYCLIC}
PGD = {"kind": "adversarial", "attack": "pgd"}
SYSTEMS: dict[str, System] = {
    "torchattacks, PGD": torchattacks_pgd,
    "ART, Madry": art_madry,
    "ART, FBF": art_fbf,
    "fast_adversarial": fast_adversarial,
    "gauntlet, PGD": ours(PGD),
    "gauntlet, PGD, bfloat16": ours(PGD, precision="bfloat16"),
    "gauntlet, FGSM-RS, bfloat16": ours({"kind": "adversarial", "attack": "fgsm"}, **FAST),
    "gauntlet, N-FGSM, bfloat16": ours({"kind": "n_fgsm", "eps": None, "noise": 1.0}, **FAST),
}
SHORT = {"epochs": 1, "batch": 32}  # config/fast_training.yaml: one cycle, many small updates
AS_OURS = "fast_adversarial, our batch and cycle"
TASKS = {  # what systems change in the task of training to an accuracy
    "gauntlet, FGSM-RS, bfloat16": SHORT,
    "gauntlet, N-FGSM, bfloat16": SHORT,
    AS_OURS: SHORT,
}
TO_ACCURACY = SYSTEMS | {AS_OURS: fast_adversarial}
SAME = {  # the systems of the same algorithm: of ours, what each is held against
    "torchattacks, PGD": ("torchattacks, PGD", "ART, Madry"),
    "fast_adversarial": ("fast_adversarial", "ART, FBF"),
}
