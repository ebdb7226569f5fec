"""What all attacks that see logits or classes only owe, on models whose worst case is known."""

import pytest
import torch

from gauntlet.attacks.hopskipjump import hopskipjump
from gauntlet.attacks.spsa import spsa
from gauntlet.attacks.square import square
from gauntlet.core.threat_models import ORDERS, admissible
from tests.helpers.black_box import COUNT, DUAL, RUNS, linear, seeded, small_net


class Counted:
    """A model that counts the images it was shown, padding included, and refuses gradients."""

    def __init__(self, model):
        self.model, self.seen, self.calls = model, 0, 0

    def __call__(self, images):
        assert not images.requires_grad and not torch.is_grad_enabled()
        self.seen, self.calls = self.seen + len(images), self.calls + 1
        return self.model(images)


@pytest.mark.parametrize("name", RUNS)
def test_examples_and_counts(name):
    net, images, labels = small_net()
    attack, settings = RUNS[name]
    before, model = images.clone(), Counted(net)
    result = attack(model, images, labels, streams=seeded(), **settings)
    success = result.success_query > 0
    assert result.images.dtype == torch.float32 and torch.equal(images, before)
    assert admissible(result.images, images, settings["norm"], settings.get("eps", 99)).all()
    assert torch.equal(net(result.images).argmax(1) != labels, success)
    assert success.any(), "the attack finds nothing: the test tests nothing"
    assert (result.forwards > 0).all() and not result.backwards.any()
    assert (result.success_query <= result.forwards).all()
    total = int(result.forwards.sum())
    assert total <= model.seen <= total + 7 * model.calls


@pytest.mark.parametrize("name", RUNS)
def test_same_streams_same_bytes_and_others_differ(name):
    net, images, labels = small_net()
    attack, settings = RUNS[name]
    runs = [attack(net, images, labels, streams=seeded(seed=s), **settings) for s in (0, 0, 1)]
    assert torch.equal(runs[0].images, runs[1].images)
    assert torch.equal(runs[0].forwards, runs[1].forwards)
    assert not torch.equal(runs[0].images, runs[2].images)


@pytest.mark.parametrize("name", RUNS)
def test_an_image_does_not_know_its_batch(name):
    net, images, labels = small_net()
    attack, settings = RUNS[name]
    streams = seeded()
    whole = attack(net, images, labels, streams=streams, **settings)
    for row in (0, 5, COUNT - 1):
        rows = torch.tensor([row])
        alone = attack(net, images[rows], labels[rows], streams=streams.select(rows), **settings)
        assert torch.equal(whole.success_query[rows] > 0, alone.success_query > 0)
        assert torch.allclose(whole.images[rows], alone.images, atol=1e-4)


@pytest.mark.parametrize("attack", [square, spsa])
@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("classes", [2, 4])
def test_nothing_falls_below_the_exact_distance(attack, norm, classes):
    model, images, labels, exact = linear((1, 6, 6), classes)
    eps = float(exact[norm].median()) * 0.999
    settings = {"queries": 400} if attack is square else {"steps": 15, "samples": 32}
    result = attack(model, images, labels, streams=seeded(), norm=norm, eps=eps, **settings)
    success = result.success_query > 0
    assert success.any() and not (success & (exact[norm] > eps)).any()


CLEARLY = {  # by how much eps must be above the exact distance for all to fall
    "square-linf": (square, "linf", 1.15, {"queries": 1500}),
    "square-l2": (square, "l2", 3.0, {"queries": 1500}),
    "spsa-linf": (spsa, "linf", 1.1, {"samples": 128, "steps": 60}),
    "spsa-l2": (spsa, "l2", 1.15, {"samples": 128, "steps": 60}),
}


@pytest.mark.parametrize("name", CLEARLY)
@pytest.mark.parametrize("classes", [2, 4])
def test_all_fall_clearly_above_the_exact_distance(name, classes):
    attack, norm, factor, settings = CLEARLY[name]
    model, images, labels, exact = linear((1, 6, 6), classes)
    eps = float(exact[norm].median()) * factor
    result = attack(model, images, labels, streams=seeded(), norm=norm, eps=eps, **settings)
    due = exact[norm] * factor <= eps
    assert due.sum() >= COUNT // 2
    assert (result.success_query > 0)[due].all()


@pytest.mark.parametrize("attack", [square, spsa, hopskipjump])
def test_what_is_misclassified_already_costs_one_query(attack):
    net, images, labels = small_net()
    wrong = labels.clone()
    wrong[:4] = (wrong[:4] + 1) % 5
    extra = {} if attack is hopskipjump else {"eps": 0.0}
    brief = {square: {"queries": 20}, spsa: {"steps": 2, "samples": 4}, hopskipjump: {"steps": 1}}
    result = attack(net, images, wrong, streams=seeded(), norm="l2", **extra, **brief[attack])
    assert (result.forwards[:4] == 1).all() and (result.success_query[:4] == 1).all()
    assert torch.equal(result.images[:4], images[:4]) and (result.forwards[4:] > 1).all()


@pytest.mark.parametrize("name", [name for name in RUNS if not name.startswith("hop")])
def test_the_fallen_are_left_alone(name):
    """An image's queries end with the call that succeeded."""
    net, images, labels = small_net()
    attack, settings = RUNS[name]
    result = attack(net, images, labels, streams=seeded(), **settings)
    success = result.success_query > 0
    assert (result.forwards == result.success_query)[success].all()
    if (~success).any():
        assert result.forwards[success].float().mean() < result.forwards[~success].float().mean()


@pytest.mark.parametrize("attack", [square, spsa, hopskipjump])
@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 2, 5), (2, 13, 4)])
def test_any_shape_and_one_image(attack, norm, shape):
    model, images, labels, _ = linear(shape, 3)
    extra = {} if attack is hopskipjump else {"eps": 0.02}
    brief = {square: {"queries": 30}, spsa: {"steps": 2, "samples": 4}, hopskipjump: {"steps": 2}}
    settings = {"norm": norm, **extra, **brief[attack]}
    result = attack(model, images[:1], labels[:1], streams=seeded(1), **settings)
    assert result.images.shape == (1, *shape)
    assert admissible(result.images, images[:1], norm, extra.get("eps", 99)).all()


BAD = [
    (square, {"norm": "l1"}),
    (square, {"eps": -0.1}),
    (square, {"queries": 0}),
    (square, {"restarts": 0}),
    (square, {"p_init": 0.0}),
    (square, {"p_init": 1.5}),
    (spsa, {"norm": "l1"}),
    (spsa, {"eps": -0.1}),
    (spsa, {"steps": 0}),
    (spsa, {"samples": 3}),
    (spsa, {"samples": 0}),
    (spsa, {"delta": 0.0}),
    (spsa, {"learning_rate": -1.0}),
    (hopskipjump, {"norm": "l1"}),
    (hopskipjump, {"steps": 0}),
    (hopskipjump, {"init_evals": 0}),
    (hopskipjump, {"max_evals": 0}),
    (hopskipjump, {"tries": 0}),
]


@pytest.mark.parametrize("attack, change", BAD)
def test_bad_settings_raise(attack, change):
    net, images, labels = small_net()
    settings = {"norm": "l2"} if attack is hopskipjump else {"norm": "l2", "eps": 0.1}
    with pytest.raises(ValueError, match=r"is|norm"):
        attack(net, images, labels, streams=seeded(), **{**settings, **change})


def test_norms_are_known():
    assert set(DUAL) < set(ORDERS)
