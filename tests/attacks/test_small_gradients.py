"""Gradients of any size: attacks find the same on a model whose logits are scaled."""

import pytest
import torch
from torch import nn

from gauntlet.attacks.base.gradients import length, unit
from gauntlet.attacks.base.norm_balls import ball
from tests.helpers.attacked import data, network, predicted, run

SIZES = [1e-44, 1e-30, 1e-20, 1e-6, 1.0, 1e18, 1e30]


@pytest.mark.parametrize("size", SIZES)
def test_a_direction_has_length_1_at_any_size(size):
    stream = torch.Generator().manual_seed(0)
    plain = torch.randn(4, 3, 5, 5, generator=stream)
    scaled = (plain.double() * size).float()
    tolerance = 0.2 if size < 1e-38 else 1e-5  # numbers near the smallest have few digits
    assert torch.allclose(length(unit(scaled)), torch.ones(4).double(), atol=1e-6)
    assert torch.allclose(unit(scaled), unit(plain), atol=tolerance)
    area = ball(torch.full((4, 3, 5, 5), 0.5), "l2", 0.3)
    moved = area.ascend(area.images, scaled, 0.2) - area.images
    assert torch.allclose(length(moved), torch.full((4,), 0.2).double(), atol=1e-5)


def test_no_gradient_is_no_direction():
    assert torch.equal(unit(torch.zeros(2, 1, 3, 3)), torch.zeros(2, 1, 3, 3))


class _Times(torch.autograd.Function):
    """The values themselves, with a gradient of another size."""

    @staticmethod
    def forward(ctx, values, factor):
        ctx.factor = factor
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


L2 = {
    "pgd": {"norm": "l2", "eps": 0.3, "steps": 10, "step": 0.1},
    "fgsm": {"norm": "l2", "eps": 0.5, "step": 0.5},
    "apgd": {"norm": "l2", "eps": 0.3, "steps": 10},
    "apgd_t": {"norm": "l2", "eps": 0.3, "steps": 10, "loss": "margin"},
    "mifgsm": {"norm": "l2", "eps": 0.5, "step": 0.1},
    "ddn": {"steps": 20},
}


@pytest.mark.parametrize("kind", L2)
@pytest.mark.parametrize("factor", [1e-32, 1e-16, 1e12])
def test_the_size_of_the_gradient_changes_nothing(kind, factor):
    model, images = network(), data(40)
    labels = predicted(model, images)
    plain = run(kind, model, images, labels, **L2[kind])
    found = run(kind, lambda x: _Times.apply(model(x), factor), images, labels, **L2[kind])
    success = [result.success_query > 0 for result in (plain, found)]
    assert success[0].any() and torch.equal(*success)
    assert (plain.images - found.images).abs().max() < 0.05


@pytest.mark.parametrize("kind", ["cw", "fmn", "deepfool", "fab_t"])
@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_the_scale_of_the_logits_changes_no_distance(kind, factor):
    model, images = network(), data(20)
    labels, more = predicted(model, images), {"norm": "l2", "eps": None} if kind == "fab_t" else {}
    more |= {"cw": {"steps": 40, "search_steps": 4}, "fmn": {"steps": 40}}.get(kind, {})
    spans = []
    for scale in (1.0, factor):
        found = run(kind, lambda x, s=scale: model(x) * s, images, labels, **more)
        assert (found.success_query > 0).all()
        spans.append((found.images - images).flatten(1).norm(dim=1).median().item())
    assert spans[1] == pytest.approx(spans[0], rel=0.1)


def test_pgd_on_a_confident_network():
    """With logits times 10, where the cross-entropy is nearly 0, l2 PGD stays as strong."""
    from gauntlet.data.sklearn_digits import sklearn_digits

    digits = sklearn_digits([], None)
    images, labels = torch.from_numpy(digits.images).float() / 16, torch.from_numpy(digits.labels)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(40):
        for rows in torch.randperm(len(images)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    keep = (predicted(model, images) == labels).nonzero().squeeze(1)[:200]
    more = {"norm": "l2", "eps": 0.8, "steps": 40, "step": 0.1}
    found = run("pgd", lambda x: 10 * model(x), images[keep], labels[keep], **more)
    assert int((found.success_query > 0).sum()) >= 160
