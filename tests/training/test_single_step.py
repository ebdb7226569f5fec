"""Single-step defenses: where they step, and what they keep and watch."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gauntlet.core.plugins import load
from gauntlet.core.rng import generator
from gauntlet.training.gradient_watch import GradientWatch
from gauntlet.training.memory import Memory
from tests.training.test_objectives import Linear, inner_of, loss_of


@pytest.mark.parametrize("label", [0, 1])
def test_n_fgsm_steps_on_from_its_noise(label):
    """Slope 2: the loss of class 0 rises towards smaller pixels, that of class 1 towards larger."""
    seen, model = [], Linear(2)
    model.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    found = loss_of("n_fgsm", model, [0.5] * 400, [label] * 400, inner=inner_of(model), eps=0.1)
    start, example = seen
    noise = start - 0.5
    assert noise.min() < -0.19 and noise.max() > 0.19 and noise.abs().max() <= 0.2 + 1e-6
    assert abs(float(noise.mean())) < 0.02
    assert torch.allclose(example - start, torch.full_like(start, 0.1 if label else -0.1))
    assert float(found) == pytest.approx(
        float(cross_entropy(model(example), torch.full((400,), label)))
    )
    seen.clear()
    loss_of("n_fgsm", model, [0.5], [label], inner=inner_of(model, size=0.5), eps=0.1, noise=0.0)
    assert float((seen[1] - 0.5).abs()) == pytest.approx(0.05)


def test_n_fgsm_stays_in_the_range():
    model, seen = Linear(2), []
    model.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    loss_of("n_fgsm", model, [0.0, 1.0] * 50, [0, 1] * 50, inner=inner_of(model), eps=0.3)
    assert all(part.min() >= 0 and part.max() <= 1 for part in seen)


def test_free_goes_one_step_further_with_each_backward_pass():
    model, memory = Linear(2), Memory()
    settings = {"memory": memory, "size": 1.0, "eps": 0.1, "replays": 1}
    for expected in (0.0, 0.1, 0.1):  # the third step would leave the ball
        loss = loss_of("free", model, [0.5], [1], **settings)
        assert float(loss) == pytest.approx(math.log(1 + math.exp(2 * (0.5 + expected))))
        loss.backward()
    settings["eps"] = 0.05  # a smaller ball now
    loss = loss_of("free", model, [0.5], [1], **settings)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(2 * 0.55)))


def test_memory_keeps_rows_that_a_smaller_batch_lacks():
    memory = Memory()
    memory.keep("change", torch.arange(4.0))
    memory.keep("change", torch.tensor([8.0, 9.0]))
    assert memory.recall("change", torch.zeros(5)).tolist() == [8, 9, 2, 3, 0]
    other = Memory()
    other.load_state_dict(memory.state_dict())
    assert other.recall("change", torch.zeros(3)).tolist() == [8, 9, 2]


class Bent(nn.Module):
    """Logits (w * x * y, 0) of two pixels x, y: the gradient turns from place to place."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        x, y = images.flatten(1).unbind(1)
        first = self.weight * x * y
        return torch.stack([first, torch.zeros_like(first)], 1)


def test_gradalign_by_hand():
    model, images = Bent(), torch.tensor([[[[0.9, 0.1]]]])
    loss = load("training.defenses", "gradalign")
    settings = {"attack": lambda images, labels: images, "inner": inner_of(model, 0.3)}
    labels = torch.tensor([0])
    found = loss(model, images, labels, generator=generator(0, "x"), weight=0.7, **settings)
    moved = images + 0.3 * (2 * torch.rand(images.shape, generator=generator(0, "x")) - 1)
    (x, y), (u, v) = images.flatten().tolist(), moved.flatten().tolist()
    cosine = (y * v + x * u) / math.hypot(x, y) / math.hypot(u, v)  # gradients ~ (y, x), (v, u)
    clean = float(cross_entropy(model(images), labels))
    assert float(found) == pytest.approx(clean + 0.7 * (1 - cosine), rel=1e-5)


def test_the_watch_sees_the_angle_between_two_gradients():
    watch = GradientWatch(True)
    first = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    examples = watch.between(first, torch.zeros(3, 2))
    (examples * torch.tensor([[0.0, 2.0], [3.0, 3.0], [1.0, 0.0]])).sum().backward()
    total, count = watch.cosines().tolist()
    assert (total, count) == pytest.approx((1.0, 2.0))  # 0 and 1; the third has no direction
    assert watch.cosines().tolist() == [0, 0]  # once for each pair
    silent = GradientWatch(False)
    assert not silent.between(first, torch.zeros(3, 2)).requires_grad
