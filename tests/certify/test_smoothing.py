"""Randomised smoothing against cases whose smoothed probability is known exactly."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy.stats import beta, norm

from gauntlet.certify import certify, deterministic
from gauntlet.certify.smoothing import certified_radius, lower_bound, smoothing
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits
from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from tests.helpers import tiny

SIGMA, PHI = 0.5, NormalDist()


class Half:
    """Two classes on either side of a plane: P(class 1 under noise) = Phi(distance / sigma)."""

    def __init__(self):
        weights = torch.randn(64, generator=torch.Generator().manual_seed(3)).double()
        self.weights, self.asked = weights / weights.norm(), 0

    def __call__(self, images):
        self.asked += len(images)
        assert not torch.is_grad_enabled() and images.dtype == torch.float32
        side = (images.flatten(1).double() - 0.5) @ self.weights
        return torch.stack([-side, side], 1).float()

    def images(self, distances):
        shifts = torch.tensor(distances).double()[:, None] * self.weights
        return (0.5 + shifts).float().view(-1, *tiny.SHAPE)


def streams(count, seed=0):
    return Streams.of_images(seed, range(count), "tests")


def prove(model, images, labels, seed=0, eps=0.1, **change):
    settings = {"sigma": SIGMA, "n0": 20, "n": 1000, "alpha": 0.001, "norm": "l2"} | change
    return smoothing(model, images, labels, eps=eps, streams=streams(len(images), seed), **settings)


@pytest.mark.parametrize("hits", [0, 1, 499, 500, 501, 999, 1000])
@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_lower_bound_is_clopper_and_pearsons(hits, alpha):
    expected = beta.ppf(alpha, hits, 1000 - hits + 1) if hits else 0.0
    assert float(lower_bound(np.array([hits]), 1000, alpha)[0]) == pytest.approx(
        expected, abs=1e-12
    )


def test_radius_of_a_unanimous_vote_is_the_published_one():
    # Cohen et al. 2019, section 3.2.2: n = 100,000 and alpha = 0.001 end at about 4 sigma (3.8)
    found = certified_radius(np.array([100_000]), 100_000, 0.001, 0.25)[0]
    assert found == pytest.approx(0.25 * norm.ppf(0.001 ** (1 / 100_000)), rel=1e-5)
    assert found / 0.25 == pytest.approx(3.8115, abs=1e-3)


@pytest.mark.parametrize("far", [0.15, 0.4, 0.8])
def test_radius_stays_below_the_true_one_with_the_stated_confidence(far):
    """On a half space the smoothed classifier's distance to its boundary is the image's own."""
    model, trials, alpha = Half(), 120, 0.05
    images, labels = model.images([far] * trials), torch.ones(trials, dtype=torch.int64)
    found = prove(model, images, labels, n=400, alpha=alpha)
    above = int((found.radius > far).sum())
    # binomial(120, 0.05): more than 14 has a chance of 1e-3; none at all would be too careful
    assert above <= 14
    p = PHI.cdf(far / SIGMA)
    expected = certified_radius(np.array([round(400 * p)]), 400, alpha, SIGMA)[0]
    assert float(found.radius.mean()) == pytest.approx(expected, abs=0.15 * far + 0.02)


def test_radius_is_close_for_many_draws():
    model = Half()
    far = [0.2, 0.45, 0.7]
    found = prove(model, model.images(far), torch.ones(3, dtype=torch.int64), n=40_000)
    for radius, true in zip(found.radius.tolist(), far, strict=True):
        assert 0.93 * true < radius < true
    assert model.asked >= 3 * 40_020


def test_a_wrong_smoothed_prediction_has_no_radius():
    model = Half()
    found = prove(model, model.images([0.6, -0.6]), torch.tensor([0, 0]))
    assert found.radius[0] == 0 and found.radius[1] > 0.3
    assert found.certified.tolist() == [False, True] and not found.abstained.any()


def test_abstains_where_the_vote_is_open():
    model = Half()
    found = prove(model, model.images([0.0, 0.002, 1.5]), torch.tensor([1, 1, 1]))
    assert found.abstained.tolist() == [True, True, False]
    assert found.radius[:2].tolist() == [0, 0] and not found.certified[:2].any()


def test_a_smaller_alpha_proves_less_and_more_draws_prove_more():
    model = Half()
    images, labels = model.images([0.5] * 8), torch.ones(8, dtype=torch.int64)
    sure, surer = (prove(model, images, labels, alpha=a).radius for a in (0.1, 1e-6))
    assert (surer < sure).all()
    more = prove(model, images, labels, n=20_000, alpha=1e-6).radius
    assert more.mean() > surer.mean()


def test_certified_at_eps_and_margin_follow_the_radius():
    model = Half()
    images, labels = model.images([0.3, 0.6, 0.9]), torch.ones(3, dtype=torch.int64)
    found = [prove(model, images, labels, eps=eps) for eps in (0.05, 0.4, 5.0)]
    for eps, one in zip((0.05, 0.4, 5.0), found, strict=True):
        assert torch.equal(one.radius, found[0].radius)
        assert torch.equal(one.certified, one.radius >= eps)
        assert torch.allclose(one.margin, one.radius - eps)
        assert one.radius.dtype == one.margin.dtype == torch.float64
    assert found[0].certified.all() and not found[2].certified.any()


def test_results_depend_on_no_batch_and_no_order():
    network, centre = tiny.model(), torch.full((8, *tiny.SHAPE), 0.5)
    network.eval().requires_grad_(False)

    def model(images):
        return network(images) - network(centre)[:1]

    images = 0.5 + 0.1 * torch.randn(12, *tiny.SHAPE, generator=torch.Generator().manual_seed(0))
    labels = model(images).argmax(1)
    settings = {"eps": 0.1, "sigma": 0.2, "n0": 30, "n": 1500}
    whole = smoothing(model, images, labels, streams=streams(12), **settings)
    small = smoothing(BatchedModel(model, 17), images, labels, streams=streams(12), **settings)
    assert torch.equal(whole.radius, small.radius)
    turned = torch.arange(11, -1, -1)
    for rows in (turned, torch.tensor([5]), torch.tensor([7, 2])):
        part = smoothing(
            model, images[rows], labels[rows], streams=streams(12).select(rows), **settings
        )
        assert torch.equal(part.radius, whole.radius[rows])
    other = smoothing(model, images, labels, streams=streams(12, seed=1), **settings)
    assert not torch.equal(other.radius, whole.radius)


def test_a_generator_serves_where_images_have_no_place():
    model = Half()
    images, labels = model.images([0.4, 0.5]), torch.ones(2, dtype=torch.int64)
    one, two = (
        smoothing(model, images, labels, eps=0.1, sigma=SIGMA, n=200, generator=stream)
        for stream in (torch.Generator().manual_seed(4), torch.Generator().manual_seed(4))
    )
    assert torch.equal(one.radius, two.radius) and (one.radius > 0).all()


BAD = {
    "norm": ({"norm": "linf"}, "norm is 'linf'.*l2"),
    "sigma 0": ({"sigma": 0.0}, "sigma is 0.0; allowed is a number above 0"),
    "sigma nan": ({"sigma": math.nan}, "sigma is nan"),
    "no choice": ({"n0": 0}, "n0 is 0"),
    "no draws": ({"n": 0}, "n is 0"),
    "alpha 0": ({"alpha": 0}, "alpha is 0; allowed is a number between 0 and 1"),
    "alpha 1": ({"alpha": 1}, "alpha is 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_end_in_one_sentence(case):
    change, message = BAD[case]
    with pytest.raises(GauntletError, match=message):
        prove(Half(), torch.full((1, *tiny.SHAPE), 0.5), torch.tensor([0]), **change)


def test_logits_that_are_no_numbers_are_no_vote():
    with pytest.raises(NonFiniteLogits):
        prove(
            lambda images: images.flatten(1)[:, :2] * math.nan,
            torch.zeros(1, 1, 2, 2),
            torch.tensor([0]),
        )


def test_the_family_loads_it_by_name():
    model = Half()
    point = {"kind": "smoothing", "norm": "l2", "eps": 0.1, "sigma": SIGMA, "n": 100}
    found = certify(model, model.images([0.5]), torch.tensor([1]), point, streams(1))
    assert bool(found.certified[0]) and not deterministic("smoothing")
    with pytest.raises(GauntletError, match="'linf', which smoothing cannot certify; allowed: l2"):
        certify(model, model.images([0.5]), torch.tensor([1]), point | {"norm": "linf"}, streams(1))
