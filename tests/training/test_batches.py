"""Batches: further images, squares that are cut out or mixed."""

import pytest
import torch

from gauntlet.core.rng import generator
from gauntlet.training import loop, mixing
from gauntlet.training.batches import Part, batches, own_size
from tests.helpers import tiny


def _flat(count, start):
    labels = torch.arange(start, start + count)
    return Part(labels.float().view(-1, 1, 1, 1).expand(-1, 1, 4, 4) / 100, labels)


def _spec(share, batch=10):
    return {"training": {"batch": batch, "extra": {"share": share}}, "seed": 0}


@pytest.mark.parametrize(("share", "own"), [(0.3, 7), (0.5, 5), (0.99, 1), (0.01, 9)])
def test_further_images_fill_their_share_of_each_batch(share, own):
    spec = _spec(share)
    assert own_size(spec["training"]) == own or share == 0.01
    size = own_size(spec["training"])
    found = list(batches(_flat(20, 0), _flat(30, 50), torch.arange(20), spec, 1))
    for batch in found:
        mine = int((batch.labels < 50).sum())
        assert mine == len(batch.rows) and len(batch.labels) - mine == max(10 - size, 1)
        assert torch.equal(batch.labels[:mine], batch.rows)
        assert torch.equal((batch.images[:, 0, 0, 0] * 100).round().long(), batch.labels)
    assert sum(len(batch.rows) for batch in found) == 20


def test_all_further_images_come_before_one_comes_again():
    spec = _spec(0.5)
    order = torch.arange(40)
    found = [b.labels[len(b.rows) :] for b in batches(_flat(40, 0), _flat(15, 50), order, spec, 1)]
    assert sorted(torch.cat(found[:3]).tolist()) == list(range(50, 65))
    other = [b.labels[len(b.rows) :] for b in batches(_flat(40, 0), _flat(15, 50), order, spec, 2)]
    assert torch.cat(found).tolist() != torch.cat(other).tolist()


def test_a_training_sees_further_images():
    watch, model = [], tiny.model()
    model.register_forward_pre_hook(
        lambda module, given: watch.append(given[0]) if module.training else None
    )
    extra = Part(torch.full((8, *tiny.SHAPE), 0.5), torch.zeros(8, dtype=torch.int64))
    spec = tiny.spec(extra={"share": 0.25}, epochs=1)
    outcome = loop.fit(model, spec, tiny.part(48), tiny.part(16, 1), extra=extra)
    assert [len(images) for images in watch] == [16] * 4
    gray = [int((images == 0.5).flatten(1).all(1).sum()) for images in watch]
    assert gray == [4] * 4 and len(outcome.history) == 1


def test_cutout_makes_one_square_black():
    images, labels = torch.ones(200, 3, 8, 8), torch.arange(200)
    found, same = mixing.cutout(images, labels, generator(0, "x"), 0)
    assert torch.equal(same, labels) and found.unique().tolist() == [0, 1]
    black = (found == 0).all(1)
    assert torch.equal(black, (found == 0).any(1))  # in all channels alike
    sides = black.any(2).sum(1), black.any(1).sum(1)
    assert all(int(side.max()) == 4 and int(side.min()) >= 2 for side in sides)
    assert torch.equal(black.flatten(1).sum(1), sides[0] * sides[1])
    assert len(black.flatten(1).unique(dim=0)) > 20


def test_cutmix_mixes_labels_by_area():
    labels = torch.arange(6)
    images = labels.float().view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    shares = set()
    for seed in range(20):
        found, soft = mixing.cutmix(images, labels, generator(seed, "x"), 6)
        assert torch.allclose(soft.sum(1), torch.ones(6))
        for row in range(6):
            for other in range(6):
                area = float((found[row] == other).float().mean())
                assert float(soft[row, other]) == pytest.approx(area, abs=1e-6)
        shares.add(round(float(soft[0, 0]), 3))
    assert len(shares) > 5


@pytest.mark.parametrize("defense", ["standard", "adversarial", "trades", "n_fgsm", "rslad"])
@pytest.mark.parametrize("mix", ["cutout", "cutmix"])
def test_mixed_images_are_learned(defense, mix):
    spec, train = tiny.spec(defense, mix=mix, epochs=5), tiny.part(64)
    outcome = loop.fit(tiny.model(), spec, train, tiny.part(32, 1), **tiny.given(spec, train))
    assert outcome.history[-1]["validation_clean"] > 0.8
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]
