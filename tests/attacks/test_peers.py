"""Attacks beside other libraries' on one small trained model; needs `make test-peers`."""

import pytest
import torch

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import distance
from gauntlet.training import loop
from tests.helpers import tiny

torchattacks = pytest.importorskip("torchattacks", reason="needs make test-peers")
foolbox = pytest.importorskip("foolbox", reason="needs make test-peers")
pyautoattack = pytest.importorskip("pyautoattack", reason="needs make test-peers")

EPS = 0.22


@pytest.fixture(scope="module")
def case():
    model = tiny.model(classes=10)  # the reference aims at 9 others, always
    loop.fit(model, tiny.spec("adversarial", epochs=4), tiny.part(96), tiny.part(32, 1))
    part = tiny.part(80, 2)
    model.eval().requires_grad_(False)
    right = model(part.images).argmax(1) == part.labels
    return model, part.images[right], part.labels[right]


@pytest.fixture(autouse=True)
def seeded():
    """Let the others' random starts be the same each time."""
    torch.manual_seed(0)


def _ours(case, kind, norm, **more):
    model, images, labels = case
    streams = Streams.of_images(0, range(len(labels)), "peers")
    attack = bind({"kind": kind, "norm": norm} | more)
    return attack(BatchedModel(model), images, labels, streams=streams).images


def _active(case, examples):
    model, _, labels = case
    return model(examples).argmax(1) == labels


def _agree(ours, theirs, most):
    """Ours fails on at most a few images more than theirs, and mostly on the same ones."""
    assert int(ours.sum()) <= int(theirs.sum()) + most
    assert int((ours != theirs).sum()) <= max(most, int(0.1 * len(ours)))
    assert 0 < int(theirs.sum()) < len(theirs), "all or none: nothing is compared"


def test_pgd(case):
    model, images, labels = case
    theirs = torchattacks.PGD(model, eps=EPS, alpha=EPS / 10, steps=40)(images, labels)
    ours = _ours(case, "pgd", "linf", eps=EPS, steps=40, step=EPS / 10)
    _agree(_active(case, ours), _active(case, theirs), 2)


def test_fgsm_is_the_same_step(case):
    model, images, labels = case
    theirs = torchattacks.FGSM(model, eps=EPS)(images, labels)
    ours = _ours(case, "fgsm", "linf", eps=EPS, step=EPS)
    success = ~_active(case, ours)
    moved = ours.flatten(1).ne(images.flatten(1)).any(1)
    assert torch.allclose(ours[moved & ~success], theirs[moved & ~success], atol=1e-6)
    assert torch.equal(success, ~_active(case, theirs))


@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_apgd(case, loss):
    model, images, labels = case
    attack = torchattacks.APGD(model, eps=EPS, steps=50, n_restarts=1, loss=loss, seed=0)
    ours = _ours(case, "apgd", "linf", eps=EPS, steps=50, loss=loss)
    _agree(_active(case, ours), _active(case, attack(images, labels)), 2)


def test_square(case):
    model, images, labels = case
    attack = torchattacks.Square(model, eps=EPS, n_queries=600, n_restarts=1, seed=0)
    ours = _active(case, _ours(case, "square", "linf", eps=EPS, queries=600))
    theirs = _active(case, attack(images, labels))
    assert int(ours.sum()) <= int(theirs.sum()) + 4 and 0 < int(theirs.sum()) < len(theirs)


def test_the_reference_ensemble(case):
    model, images, labels = case
    few = images[:24], labels[:24]
    attack = pyautoattack.AutoAttack(model, eps=EPS, norm="Linf", device="cpu", seed=0)
    theirs, _ = attack.run_standard_evaluation(*few, batch_size=64)
    small = (model, *few)
    left = int(_active(small, theirs).sum())
    for kind, more in (("autoattack", 1), ("gauntlet", 0)):
        assert int(_active(small, _ours(small, kind, "linf", eps=EPS)).sum()) <= left + more


@pytest.mark.parametrize(
    ("kind", "peer"),
    [
        ("ddn", lambda: foolbox.attacks.DDNAttack(steps=100)),
        ("cw", lambda: foolbox.attacks.L2CarliniWagnerAttack(steps=300, binary_search_steps=6)),
        ("deepfool", lambda: foolbox.attacks.L2DeepFoolAttack(steps=50)),
    ],
)
def test_nearest_examples(case, kind, peer):
    model, images, labels = case
    known = foolbox.PyTorchModel(model, bounds=(0, 1))
    _, theirs, success = peer()(known, images, labels, epsilons=None)
    ours = _ours(case, kind, "l2")
    assert not _active(case, ours).any()
    near = distance(ours, images, "l2")[success].median()
    assert near <= 1.02 * distance(theirs, images, "l2")[success].median()
