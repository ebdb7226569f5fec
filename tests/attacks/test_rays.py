"""RayS on models whose nearest example is known, its queries, and its bad settings."""

import pytest
import torch

from gauntlet.attacks.rays import rays
from gauntlet.core.threat_models import admissible, distance

COUNT = 8


def _linear(shape: tuple[int, ...], classes: int = 2):
    """Give a linear model, images, labels and exact linf distances, where no edge is in the way."""
    stream = torch.Generator().manual_seed(0)
    values = torch.Size(shape).numel()
    weights = torch.randn(classes, values, generator=stream, dtype=torch.float64)
    images = 0.4 + 0.2 * torch.rand(COUNT, *shape, generator=stream)

    def model(batch):
        return 10 * ((batch - 0.5).flatten(1) @ weights.to(batch.dtype).T)

    scores = (images - 0.5).flatten(1).double() @ weights.T
    labels = scores.argmax(1)
    steep = (weights[labels][:, None] - weights).abs().sum(2).clamp(min=1e-12)
    spans = (scores.gather(1, labels[:, None]) - scores) / steep
    exact = spans.scatter(1, labels[:, None], torch.inf).amin(1)
    return model, images, labels, exact


@pytest.mark.parametrize(("shape", "classes"), [((1, 1, 2), 2), ((1, 4, 4), 2), ((3, 4, 4), 5)])
def test_rays_comes_near_the_exact_distance(shape, classes):
    model, images, labels, exact = _linear(shape, classes)
    result = rays(model, images, labels, queries=4000, precision=1e-4)
    far = distance(result.images, images, "linf")
    assert (result.success_query > 0).all()
    assert (far > exact - 1e-6).all() and (far < 1.1 * exact + 3e-4).all()
    assert (model(result.images).argmax(1) != labels).all()
    assert admissible(result.images, images, "linf", float(far.max())).all()


def test_more_queries_never_give_a_farther_example():
    model, images, labels, _ = _linear((3, 4, 4), 5)
    found = [
        distance(rays(model, images, labels, queries=n).images, images, "linf")
        for n in (30, 200, 1000)
    ]
    assert (found[1] <= found[0] + 1e-9).all() and (found[2] <= found[1] + 1e-9).all()
    assert found[2].mean() < 0.8 * found[0].mean()


@pytest.mark.parametrize("queries", [1, 2, 7, 100])
def test_no_image_takes_more_queries_than_allowed(queries):
    model, images, labels, _ = _linear((1, 4, 4))
    result = rays(model, images, labels, queries=queries)
    assert (result.forwards == queries).all() and not result.backwards.any()


def test_with_an_eps_an_image_is_done_that_near():
    model, images, labels, exact = _linear((1, 4, 4))
    eps = 2 * float(exact.max())
    early = rays(model, images, labels, queries=3000, eps=eps)
    assert (distance(early.images, images, "linf") <= eps).all()
    assert (early.forwards < 500).all()


def test_rays_sees_classes_only():
    model, images, labels, _ = _linear((1, 4, 4), 3)
    plain = rays(model, images, labels, queries=200)
    ranked = rays(lambda x: model(x).argsort(1).argsort(1) - 1.0, images, labels, queries=200)
    assert torch.equal(plain.images, ranked.images)


def test_a_model_that_never_changes_gives_back_the_image():
    images = torch.rand((3, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(3, dtype=torch.int64)
    deaf = torch.tensor([1.0, 0.0])
    result = rays(lambda x: deaf.repeat(len(x), 1), images, labels, queries=50)
    assert torch.equal(result.images, images) and not result.success_query.any()


def test_an_image_that_is_wrong_already_is_its_own_example():
    model, images, labels, _ = _linear((1, 4, 4))
    wrong = labels.clone()
    wrong[:3] = 1 - wrong[:3]
    result = rays(model, images, wrong, queries=50)
    assert (result.forwards[:3] == 1).all() and torch.equal(result.images[:3], images[:3])
    assert (result.forwards[3:] == 50).all()


@pytest.mark.parametrize(
    "bad",
    [{"norm": "l2"}, {"queries": 0}, {"precision": 0.0}, {"eps": -0.1}, {"eps": float("nan")}],
)
def test_bad_settings_are_named(bad):
    model, images, labels, _ = _linear((1, 1, 2))
    name = next(iter(bad))
    with pytest.raises(ValueError, match=f"{name} is"):
        rays(model, images, labels, **bad)
