"""Random streams: what an image draws depends on the image and the key alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core import image_rng
from gauntlet.core.image_rng import Streams

PLACES = torch.arange(400)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
WORD = 2**64


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


def _split_mix(state: int, count: int) -> list[int]:
    """Give the first numbers of SplitMix64, as the paper writes it, in Python's own integers."""
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % WORD
        mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % WORD
        numbers.append(mixed ^ (mixed >> 31))
    return numbers


@pytest.mark.cuda
@pytest.mark.parametrize("device", DEVICES)
def test_bits_are_those_of_the_paper_on_every_device(device):
    streams = _streams(3, PLACES[:20]).fork("reference")
    exact = [_split_mix(state % WORD, 6) for state in streams.states.tolist()]
    drawn = streams.integers(1000, 2, 3, device=device)
    assert drawn.device.type == device
    assert drawn.flatten(1).tolist() == [[bits // 2**11 % 1000 for bits in row] for row in exact]
    floats = streams.uniform(6, device=device)
    assert floats.device.type == device
    assert floats.tolist() == [[(bits // 2**40) / 2**24 for bits in row] for row in exact]


@pytest.mark.cuda
@pytest.mark.parametrize("device", DEVICES)
def test_draws_on_a_device_are_those_of_the_cpu(device):
    moved = Streams(_streams().states.to(device)).select(PLACES[:50].to(device)).fork("a", 3)
    here = _streams().select(PLACES[:50]).fork("a", 3)
    for draw in (Streams.uniform, Streams.normal):
        assert torch.equal(draw(moved, 5, device=device).cpu(), draw(here, 5))
    assert torch.equal(moved.integers(9, 5, device=device).cpu(), here.integers(9, 5))


def test_numbers_are_made_on_the_device_where_its_integers_are_the_same(monkeypatch):
    places = []

    def mixed(bits):
        places.append(bits.device.type)
        return bits

    streams = _streams()
    monkeypatch.setattr(image_rng, "SAME_BITS", ("cpu", "meta"))
    monkeypatch.setattr(image_rng, "_mixed", mixed)
    assert streams.uniform(2, device="meta").device.type == "meta"
    assert streams.integers(5, 2, device="meta").device.type == "meta"
    assert places == ["meta", "meta"]
    monkeypatch.setattr(image_rng, "SAME_BITS", ("cpu",))
    assert streams.uniform(2, device="meta").device.type == "meta"
    assert places == ["meta", "meta", "cpu"]
