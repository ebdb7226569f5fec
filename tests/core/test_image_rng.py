"""Random streams: what an image draws depends on the image and the key alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.image_rng import Streams

PLACES = torch.arange(400)


def _streams(seed=0, places=PLACES, *purpose):
    return Streams.of_images(seed, places, *purpose)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 399), min_size=1, max_size=9), restart=st.integers(0, 9))
def test_an_image_draws_the_same_in_any_company(rows, restart):
    whole, rows = _streams().fork("restart", restart), torch.tensor(rows)
    part = _streams().select(rows).fork("restart", torch.full((len(rows),), restart))
    assert torch.equal(part.uniform(2, 3), whole.uniform(2, 3)[rows])
    assert torch.equal(part.normal(5), whole.normal(5)[rows])
    assert torch.equal(part.integers(7, 4), whole.integers(7, 4)[rows])
    alone = _streams(places=PLACES[rows]).fork("restart", restart)
    assert torch.equal(alone.uniform(3), whole.uniform(3)[rows])


def test_seeds_purposes_keys_and_images_share_nothing():
    base = _streams()
    others = [_streams(1), _streams(0, PLACES, "b"), base.fork("a"), base.fork(0), base.fork(1)]
    others += [base.fork("a", "b"), base.fork("b", "a"), _streams(places=PLACES + 400)]
    draws = [stream.uniform(50).flatten() for stream in (base, *others)]
    joined = torch.stack(draws).double()
    likeness = torch.corrcoef(joined) - torch.eye(len(draws))
    assert likeness.abs().max() < 0.03
    assert len(base.states.unique()) == 400


def test_numbers_are_spread_as_they_should_be():
    draws = _streams().uniform(500).flatten().double().sort().values
    steps = torch.linspace(0, 1, len(draws)).double()
    assert (draws - steps).abs().max() < 0.004  # Kolmogorov and Smirnov, far inside 1 %
    normal = _streams().normal(500).flatten().double()
    assert normal.mean().abs() < 0.01 and abs(normal.std() - 1) < 0.01
    assert abs((normal**4).mean() - 3) < 0.1 and normal.abs().max() < 6
    counts = _streams().integers(10, 500).flatten().bincount(minlength=10).double()
    assert ((counts / 20000 - 1).abs() < 0.05).all()


def test_a_row_may_be_named_twice():
    twice = _streams().select(torch.tensor([3, 3])).fork("restart", torch.tensor([0, 1]))
    first, second = twice.uniform(20)
    assert not torch.equal(first, second)
    assert torch.equal(first, _streams().fork("restart", 0).uniform(20)[3])


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4)])
def test_shapes(shape):
    assert _streams().uniform(*shape).shape == (400, *shape)
