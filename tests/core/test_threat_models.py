"""The balls: nothing leaves them, whatever rounding does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.attacks.base import norm_balls
from gauntlet.core import threat_models
from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import generator

SHAPES = st.tuples(st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))
EPS = st.one_of(st.sampled_from([0.0, 1e-4, 8 / 255, 0.3, 1.0]), st.floats(0, 1))


def _images(shape, seed):
    images = torch.rand(shape, generator=generator(seed, "images"))
    images[0].round_()  # pixels at the range's ends too
    return images


@settings(max_examples=60, deadline=None)
@given(norm=st.sampled_from(threat_models.NORMS), shape=SHAPES, eps=EPS, seed=st.integers(0, 9))
def test_no_hook_leaves_the_ball(norm, shape, eps, seed):
    images = _images(shape, seed)
    area = norm_balls.ball(images, norm, eps)
    start = area.random_start(Streams.of_images(seed, range(len(images)), "start"))
    gradient = torch.randn(shape, generator=generator(seed, "gradient"))
    far = area.ascend(start, gradient, 10 * eps + 0.1)
    for examples in (start, far):
        assert examples.dtype == torch.float32
        assert threat_models.admissible(examples, images, norm, eps).all()


@pytest.mark.parametrize("norm", threat_models.NORMS)
def test_eps_zero_changes_nothing(norm):
    images = _images((4, 1, 5, 5), 1)
    area = norm_balls.ball(images, norm, 0.0)
    assert torch.equal(area.random_start(Streams.of_images(0, range(len(images)), "start")), images)


@pytest.mark.parametrize("norm", threat_models.NORMS)
def test_a_long_step_reaches_the_edge(norm):
    images = torch.full((2, 1, 4, 4), 0.5)
    area = norm_balls.ball(images, norm, 0.2)
    far = area.ascend(images, torch.ones_like(images), 5.0)
    assert threat_models.distance(far, images, norm).tolist() == pytest.approx([0.2, 0.2], rel=1e-5)


def test_the_judge_refuses_what_breaks_the_threat_model():
    images = torch.full((5, 1, 2, 2), 0.5)
    examples = images.clone()
    examples[1] += 0.11  # outside the ball
    examples[2, 0, 0, 0] = float("nan")
    examples[3, 0, 0, 0] = 1.00001  # outside [0, 1]
    examples[4] += 0.1
    fine = threat_models.admissible(examples, images, "linf", 0.1)
    assert fine.tolist() == [True, False, False, False, True]


def test_l2_start_fills_the_ball():
    images = torch.full((400, 1, 2, 2), 0.5)
    start = norm_balls.ball(images, "l2", 0.1).random_start(
        Streams.of_images(0, range(len(images)), "start")
    )
    radii = threat_models.distance(start, images, "l2") / 0.1
    assert (radii <= 0.5).double().mean().item() == pytest.approx(0.5**4, abs=0.03)


@pytest.mark.parametrize(
    ("norm", "eps", "words"), [("l7", 0.1, "linf, l2, l1"), ("linf", -0.1, "0 or more")]
)
def test_bad_settings_are_named(norm, eps, words):
    with pytest.raises(ValueError, match=words):
        norm_balls.ball(torch.zeros(1, 1, 2, 2), norm, eps)
