"""Attacks that see logits or classes only, on models whose worst case is known."""

import pytest
import torch
from torch import nn

from gauntlet.attacks.base.square_patches import _bumps
from gauntlet.attacks.hopskipjump import hopskipjump
from gauntlet.attacks.spsa import spsa
from gauntlet.attacks.square import _share, square
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import ORDERS, admissible, distance

DUAL = {"linf": 1, "l2": 2}
COUNT = 16


def _linear(shape, classes, seed=0):
    """Give a linear model and, for each norm, the exact distances of its images."""
    maker = torch.Generator().manual_seed(seed)
    weights = torch.randn(classes, torch.Size(shape).numel(), generator=maker) / 4
    images = 0.4 + 0.2 * torch.rand((COUNT, *shape), generator=maker)

    def model(batch):
        return (batch - 0.5).flatten(1) @ weights.T

    logits = model(images)
    labels = logits.argmax(1)
    margins = logits.gather(1, labels[:, None]) - logits
    exact = {}
    for norm, order in DUAL.items():
        size = torch.linalg.vector_norm(weights[labels][:, None] - weights, order, dim=2)
        share = (margins / size.clamp(min=1e-9)).scatter(1, labels[:, None], torch.inf)
        exact[norm] = share.amin(1)
    return model, images, labels, exact


def _net(shape=(3, 9, 7), classes=5):
    maker = torch.Generator().manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(189, 24), nn.ReLU(), nn.Linear(24, classes))
    for weight in net.parameters():
        weight.data = torch.randn(weight.shape, generator=maker) / 5
    net.requires_grad_(False)
    images = torch.rand((COUNT, *shape), generator=maker).clamp(0.02, 0.9)
    return net, images, net(images).argmax(1)


def _streams(count=COUNT, seed=0):
    return Streams.of_images(seed, range(count), "attack")


class Counted:
    """A model that counts the images it was shown, padding included, and refuses gradients."""

    def __init__(self, model):
        self.model, self.seen, self.calls = model, 0, 0

    def __call__(self, images):
        assert not images.requires_grad and not torch.is_grad_enabled()
        self.seen, self.calls = self.seen + len(images), self.calls + 1
        return self.model(images)


RUNS = {
    "square-linf": (square, {"norm": "linf", "eps": 0.1, "queries": 150}),
    "square-l2": (square, {"norm": "l2", "eps": 1.6, "queries": 150}),
    "square-restarts": (square, {"norm": "linf", "eps": 0.1, "queries": 60, "restarts": 3}),
    "spsa-linf": (spsa, {"norm": "linf", "eps": 0.2, "steps": 14, "samples": 32}),
    "spsa-l2": (spsa, {"norm": "l2", "eps": 1.5, "steps": 14, "samples": 32}),
    "hopskipjump-l2": (hopskipjump, {"norm": "l2", "steps": 3, "init_evals": 20}),
    "hopskipjump-linf": (hopskipjump, {"norm": "linf", "steps": 3, "init_evals": 20}),
}


@pytest.mark.parametrize("name", RUNS)
def test_examples_and_counts(name):
    net, images, labels = _net()
    attack, settings = RUNS[name]
    before, model = images.clone(), Counted(net)
    result = attack(model, images, labels, streams=_streams(), **settings)
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
    net, images, labels = _net()
    attack, settings = RUNS[name]
    runs = [attack(net, images, labels, streams=_streams(seed=s), **settings) for s in (0, 0, 1)]
    assert torch.equal(runs[0].images, runs[1].images)
    assert torch.equal(runs[0].forwards, runs[1].forwards)
    assert not torch.equal(runs[0].images, runs[2].images)


@pytest.mark.parametrize("name", RUNS)
def test_an_image_does_not_know_its_batch(name):
    net, images, labels = _net()
    attack, settings = RUNS[name]
    streams = _streams()
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
    model, images, labels, exact = _linear((1, 6, 6), classes)
    eps = float(exact[norm].median()) * 0.999
    settings = {"queries": 400} if attack is square else {"steps": 15, "samples": 32}
    result = attack(model, images, labels, streams=_streams(), norm=norm, eps=eps, **settings)
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
    model, images, labels, exact = _linear((1, 6, 6), classes)
    eps = float(exact[norm].median()) * factor
    result = attack(model, images, labels, streams=_streams(), norm=norm, eps=eps, **settings)
    due = exact[norm] * factor <= eps
    assert due.sum() >= COUNT // 2
    assert (result.success_query > 0)[due].all()


@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 3)])
def test_hopskipjump_comes_near_the_exact_distance(norm, shape):
    model, images, labels, exact = _linear(shape, 2)
    settings = {"norm": norm, "steps": 15, "init_evals": 100}
    result = hopskipjump(model, images, labels, streams=_streams(), **settings)
    ratio = distance(result.images, images, norm) / exact[norm]
    assert (result.success_query > 0).all()
    assert ratio.min() > 1 - 1e-3 and ratio.max() < 1.1


def test_hopskipjump_gets_nearer_with_more_steps_and_queries():
    net, images, labels = _net()
    mean = [
        distance(
            hopskipjump(
                net, images, labels, streams=_streams(), norm="l2", steps=steps, init_evals=evals
            ).images,
            images,
            "l2",
        ).mean()
        for steps, evals in ((1, 10), (5, 40), (20, 80))
    ]
    assert mean[0] > 1.1 * mean[1] > 1.1 * mean[2]


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_hopskipjump_sees_classes_only(shift):
    """Logits that keep their order and nothing else give the same walk."""
    net, images, labels = _net()

    def ranked(batch):
        return net(batch).argsort(1).argsort(1) + shift

    settings = {"streams": _streams(), "norm": "l2", "steps": 3, "init_evals": 20}
    plain = hopskipjump(net, images, labels, **settings)
    order = hopskipjump(ranked, images, labels, **settings)
    assert torch.equal(plain.images, order.images)


def test_hopskipjump_counts_its_queries():
    """Where the first noise is misclassified, a start, searches, votes and steps are all."""
    images = torch.full((COUNT, 1, 2, 2), 0.01)

    def model(batch):
        over = batch.flatten(1).sum(1) - 0.1
        return torch.stack([-over, over], 1)

    labels = torch.zeros(COUNT, dtype=torch.int64)
    result = hopskipjump(
        model, images, labels, streams=_streams(), norm="l2", steps=4, init_evals=10, max_evals=15
    )
    search, votes = 10, 10 + 14 + 15 + 15
    least = 1 + 1 + search + votes + 4 * (1 + search)
    assert (result.forwards >= least).all() and (result.forwards <= least + 4 * 24).all()


def test_hopskipjump_without_a_start_gives_back_the_image():
    images = torch.rand((3, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(3, dtype=torch.int64)

    def deaf(batch):
        return torch.tensor([1.0, 0.0]).repeat(len(batch), 1)

    result = hopskipjump(deaf, images, labels, streams=_streams(3), norm="l2", tries=7)
    assert torch.equal(result.images, images) and not result.success_query.any()
    assert result.forwards.tolist() == [8, 8, 8]


@pytest.mark.parametrize("attack", [square, spsa, hopskipjump])
def test_what_is_misclassified_already_costs_one_query(attack):
    net, images, labels = _net()
    wrong = labels.clone()
    wrong[:4] = (wrong[:4] + 1) % 5
    extra = {} if attack is hopskipjump else {"eps": 0.0}
    brief = {square: {"queries": 20}, spsa: {"steps": 2, "samples": 4}, hopskipjump: {"steps": 1}}
    result = attack(net, images, wrong, streams=_streams(), norm="l2", **extra, **brief[attack])
    assert (result.forwards[:4] == 1).all() and (result.success_query[:4] == 1).all()
    assert torch.equal(result.images[:4], images[:4]) and (result.forwards[4:] > 1).all()


@pytest.mark.parametrize("name", [name for name in RUNS if not name.startswith("hop")])
def test_the_fallen_are_left_alone(name):
    """An image's queries end with the call that succeeded."""
    net, images, labels = _net()
    attack, settings = RUNS[name]
    result = attack(net, images, labels, streams=_streams(), **settings)
    success = result.success_query > 0
    assert (result.forwards == result.success_query)[success].all()
    if (~success).any():
        assert result.forwards[success].float().mean() < result.forwards[~success].float().mean()


def test_square_spends_no_pass_on_what_changes_nothing():
    """On a grey image a patch of one pixel is as it was in every second query."""
    images = torch.full((COUNT, 1, 5, 5), 0.5)

    def deaf(batch):
        return torch.tensor([1.0, 0.0]).repeat(len(batch), 1)

    labels = torch.zeros(COUNT, dtype=torch.int64)
    settings = {"norm": "linf", "eps": 0.1, "queries": 400, "p_init": 0.01}
    result = square(deaf, images, labels, streams=_streams(), **settings)
    assert ((result.forwards > 150) & (result.forwards < 250)).all()
    flat = square(deaf, images, labels, streams=_streams(), **{**settings, "eps": 0.0})
    assert (flat.forwards == 1).all() and torch.equal(flat.images, images)


@pytest.mark.parametrize("norm", DUAL)
def test_square_keeps_the_highest_margin_of_the_survivors(norm):
    model, images, labels, exact = _linear((1, 6, 6), 2)
    eps = float(exact[norm].min()) * 0.9
    shown = []

    def watched(batch):
        shown.append(model(batch).clone())
        return model(batch)

    result = square(watched, images, labels, streams=_streams(), norm=norm, eps=eps, queries=50)
    assert not result.success_query.any()
    sign = 1 - 2 * labels.float()
    kept = (model(result.images) @ torch.tensor([-1.0, 1.0])) * sign
    first = (shown[0] @ torch.tensor([-1.0, 1.0])) * sign
    assert (kept >= first).all() and (kept > first + 0.1 * eps).all()


def test_square_schedule_and_patch():
    halvings = {1: 1, 10: 1, 11: 2, 50: 2, 200: 4, 501: 16, 2000: 32, 8000: 256, 8001: 512}
    for number, divisor in halvings.items():
        assert _share(0.8, number, 10_000) == 0.8 / divisor
    assert _share(0.8, 500, 1000) == 0.8 / 128 and _share(0.8, 5, 1000) == 0.8 / 2
    upright, lying = _bumps(5)
    assert torch.allclose(upright, lying.T) and abs(float(upright.norm()) - 1) < 1e-6
    assert (upright[:2] > 0).all() and (upright[2:] < 0).all()
    assert float(upright[1, 2]) == float(upright[:2].max())


@pytest.mark.parametrize("attack", [square, spsa, hopskipjump])
@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 2, 5), (2, 13, 4)])
def test_any_shape_and_one_image(attack, norm, shape):
    model, images, labels, _ = _linear(shape, 3)
    extra = {} if attack is hopskipjump else {"eps": 0.02}
    brief = {square: {"queries": 30}, spsa: {"steps": 2, "samples": 4}, hopskipjump: {"steps": 2}}
    settings = {"norm": norm, **extra, **brief[attack]}
    result = attack(model, images[:1], labels[:1], streams=_streams(1), **settings)
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
    net, images, labels = _net()
    settings = {"norm": "l2"} if attack is hopskipjump else {"norm": "l2", "eps": 0.1}
    with pytest.raises(ValueError, match=r"is|norm"):
        attack(net, images, labels, streams=_streams(), **{**settings, **change})


def test_norms_are_known():
    assert set(DUAL) < set(ORDERS)
