"""A model behind a step, and one with a detector: what an attack sees is what the judge counts."""

import pytest
import torch
from torch import nn

from gauntlet.attacks import bind
from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.errors import GauntletError
from gauntlet.core.rng import generator
from gauntlet.preprocess import make_step
from gauntlet.preprocess.base.fronts import Defended, Detector, Rejecting, front_of
from gauntlet.preprocess.base.substitutes import cut

CLASSES = 4


class Plain(nn.Module):
    """The first values of an image are its logits."""

    def forward(self, images):
        return images.flatten(1)[:, :CLASSES]


class LastValue(Detector):
    """Rejects by the last value of the image."""

    def excess(self, model, images):
        return images.flatten(1)[:, -1] - 0.5


def drawn(count: int = 400) -> torch.Tensor:
    return torch.rand((count, 1, 1, CLASSES + 1), generator=generator(0, "fronts"))


def test_a_step_stands_before_the_model():
    front = front_of(make_step({"kind": "bit_depth", "bits": 1}, (1, 1, 5), 0), Plain())
    assert isinstance(front, Defended) and front.against(2) is front
    images = drawn()
    assert torch.equal(front(images), images.round().flatten(1)[:, :CLASSES])


@pytest.mark.parametrize(
    ("step", "found"), [(nn.Flatten(), r"\[2, 5\]"), (nn.Unflatten(3, (5, 1)), "1, 1, 5, 1")]
)
def test_a_step_that_changes_the_shape_is_one_sentence(step, found):
    with pytest.raises(GauntletError, match=f"makes .*{found}.*allowed are images of the same"):
        front_of(step, Plain())(drawn(2))


def test_the_last_class_wins_exactly_where_an_image_is_rejected():
    images = drawn()
    front = front_of(LastValue(), Plain())
    assert isinstance(front, Rejecting)
    answers, plain = front(images).argmax(1), Plain()(images).argmax(1)
    rejected = images.flatten(1)[:, -1] > 0.5
    assert 100 < int(rejected.sum()) < 300
    assert torch.equal(answers, torch.where(rejected, CLASSES, plain))


@pytest.mark.parametrize("label", range(CLASSES))
def test_an_example_succeeds_only_if_it_is_wrong_and_accepted(label):
    images, front = drawn(), front_of(LastValue(), Plain())
    fooled = front.against(label)(images).argmax(1) != label
    wrong = Plain()(images).argmax(1) != label
    accepted = images.flatten(1)[:, -1] <= 0.5
    assert torch.equal(fooled, wrong & accepted)
    assert 0 < int(fooled.sum()) < len(images)


def test_the_margin_is_the_smaller_of_both_ways_to_fail():
    """Margin of the largest other class: min(margin of the model, distance to rejection)."""
    images, front = drawn(), front_of(LastValue(), Plain())
    logits = front.against(1)(images)
    others = logits[:, [0, 2, 3]].amax(1)
    own = Plain()(images)
    margin = own[:, [0, 2, 3]].amax(1) - own[:, 1]
    accepted = 0.5 - images.flatten(1)[:, -1]
    assert torch.allclose(others - logits[:, 1], torch.minimum(margin, accepted), atol=1e-6)


def test_an_attack_finds_what_is_wrong_and_accepted():
    """Every image starts right and accepted; noise enough to pass both within reach."""
    images = torch.full((6, 1, 1, CLASSES + 1), 0.5)
    images[..., 0], images[..., -1] = 0.6, 0.45
    labels, front = torch.zeros(6, dtype=torch.int64), front_of(LastValue(), Plain())
    attack = bind({"kind": "adaptive", "norm": "linf", "eps": 0.1, "steps": 20, "queries": 20})
    made = attack(BatchedModel(front.against(0)), images, labels).images
    answers = front(made).argmax(1)
    assert bool((answers != 0).all()) and bool((answers != CLASSES).all())


def test_cutting_keeps_the_gradient_of_what_is_cut():
    images = torch.tensor([-0.5, 0.5, 1.5], requires_grad=True)
    made = cut(images)
    assert made.tolist() == [0, 0.5, 1]
    (gradient,) = torch.autograd.grad((made * torch.tensor([1.0, 2.0, 3.0])).sum(), images)
    assert gradient.tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["jpeg", "bit_depth"])
def test_the_attack_gives_rounding_a_gradient_and_leaves_the_answers(kind):
    front = front_of(make_step({"kind": kind}, (1, 8, 8), 0), nn.Flatten())
    images = torch.rand((8, 1, 8, 8), generator=generator(0, "rounding"))
    through = BatchedModel(StraightThrough(front))
    plain = BatchedModel(front)
    assert torch.equal(through(images), plain(images))
    weights = torch.randn((64,), generator=generator(1, "rounding"))

    def toward(logits, rows):
        return logits @ weights

    assert not bool(plain.gradient(images, toward)[0].any())
    found = through.gradient(images, toward)[0].flatten(1)
    cosine = torch.nn.functional.cosine_similarity(found, weights.expand(8, -1))
    assert float(cosine.min()) > 0.9
