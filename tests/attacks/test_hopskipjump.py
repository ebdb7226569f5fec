"""HopSkipJump: the distances it reaches, the queries it spends, and that it sees classes only."""

import pytest
import torch

from gauntlet.attacks.hopskipjump import hopskipjump
from gauntlet.core.threat_models import distance
from tests.helpers.black_box import COUNT, DUAL, linear, seeded, small_net


@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 3)])
def test_hopskipjump_comes_near_the_exact_distance(norm, shape):
    model, images, labels, exact = linear(shape, 2)
    settings = {"norm": norm, "steps": 15, "init_evals": 100}
    result = hopskipjump(model, images, labels, streams=seeded(), **settings)
    ratio = distance(result.images, images, norm) / exact[norm]
    assert (result.success_query > 0).all()
    assert ratio.min() > 1 - 1e-3 and ratio.max() < 1.1


def test_hopskipjump_gets_nearer_with_more_steps_and_queries():
    net, images, labels = small_net()
    mean = [
        distance(
            hopskipjump(
                net, images, labels, streams=seeded(), norm="l2", steps=steps, init_evals=evals
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
    net, images, labels = small_net()

    def ranked(batch):
        return net(batch).argsort(1).argsort(1) + shift

    settings = {"streams": seeded(), "norm": "l2", "steps": 3, "init_evals": 20}
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
        model, images, labels, streams=seeded(), norm="l2", steps=4, init_evals=10, max_evals=15
    )
    search, votes = 10, 10 + 14 + 15 + 15
    least = 1 + 1 + search + votes + 4 * (1 + search)
    assert (result.forwards >= least).all() and (result.forwards <= least + 4 * 24).all()


def test_hopskipjump_without_a_start_gives_back_the_image():
    images = torch.rand((3, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(3, dtype=torch.int64)

    def deaf(batch):
        return torch.tensor([1.0, 0.0]).repeat(len(batch), 1)

    result = hopskipjump(deaf, images, labels, streams=seeded(3), norm="l2", tries=7)
    assert torch.equal(result.images, images) and not result.success_query.any()
    assert result.forwards.tolist() == [8, 8, 8]
