"""What becomes of weights: perturbed, averaged, frozen; and when a training ends."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.rng import generator
from gauntlet.training import loop
from gauntlet.training.adversarial_weights import perturbed
from gauntlet.training.averaging import WeightAverage
from gauntlet.training.freezing import freeze_first, train_mode
from gauntlet.training.ramp import radius_share
from gauntlet.training.step import Step
from tests.helpers import tiny

KINDS = ["standard", "adversarial", "trades", "mart", "n_fgsm", "gradalign", "rslad"]


def _copy(state):
    return {name: value.detach().clone() for name, value in state.items()}


def _same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def _step_and_batch(kind, arch=tiny.NORMED):
    spec, part = tiny.spec(kind), tiny.part(16)
    given = tiny.given(spec, part)
    step = Step(tiny.model(arch), spec, given.get("teacher"))
    step.model.train()
    return step, (part.images, part.labels, given.get("crafted"), generator(0, "x"), 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_perturbed_weights_raise_the_loss_and_are_as_before_afterwards(kind):
    step, batch = _step_and_batch(kind)
    with torch.random.fork_rng():
        before = float(step(*batch).detach())
    names = dict(step.model.named_parameters())
    stream = generator(0, "x")
    state, batch = _copy(step.model.state_dict()), (*batch[:3], stream, batch[4])
    with perturbed(step, batch, 0.02):
        moved = {name: weight.detach() - state[name] for name, weight in names.items()}
        inside = step(*batch)
        inside.backward()
    assert float(inside.detach()) > before
    for name, move in moved.items():
        expected = 0.02 * float(state[name].norm()) if move.dim() > 1 else 0.0
        assert float(move.norm()) == pytest.approx(expected, rel=1e-3), name
    assert _same({name: state[name] for name in names}, names)
    assert step.model.training and all(weight.requires_grad for weight in names.values())
    assert step.given is None


def test_the_perturbation_is_the_gradients_direction():
    spec, part = tiny.spec(), tiny.part(8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    step, weight = Step(model, spec), model[1].weight
    batch = (part.images, part.labels, None, generator(0), 1.0)
    (gradient,) = torch.autograd.grad(step(*batch), [weight])
    before = weight.detach().clone()
    with perturbed(step, batch, 0.1):
        move = weight.detach() - before
    expected = 0.1 * before.norm() * gradient / gradient.norm()
    assert torch.allclose(move, expected, atol=1e-7) and torch.equal(weight, before)


def test_a_perturbed_loss_is_on_the_same_examples():
    step, batch = _step_and_batch("adversarial")
    seen = []
    step.model.register_forward_pre_hook(
        lambda module, given: seen.append(given[0].detach()) if module.training else None
    )
    with perturbed(step, batch, 0.01):
        step(*batch)
    assert len(seen) == 2 and torch.equal(seen[0], seen[1])


def test_batch_statistics_move_once_an_update():
    spec = tiny.spec("adversarial", awp={"gamma": 0.01, "start": 0.0})
    model = tiny.model(tiny.NORMED)
    loop.fit(model, spec, tiny.part(64), tiny.part(16, 1))
    counts = [n for name, n in model.state_dict().items() if name.endswith("num_batches_tracked")]
    assert counts and all(int(count) == 2 * 4 for count in counts)


def test_awp_begins_when_it_should():
    def last(awp):
        spec = tiny.spec("standard", awp=awp)
        return loop.fit(tiny.model(), spec, tiny.part(32), tiny.part(16, 1)).last

    plain = last(None)
    assert not _same(plain, last({"gamma": 0.01, "start": 0.0}))
    assert not _same(plain, last({"gamma": 0.01, "start": 0.5}))
    assert _same(plain, last({"gamma": 0.01, "start": 0.9}))


def test_a_loss_that_is_no_number_leaves_weights_as_they_were(monkeypatch):
    step, batch = _step_and_batch("standard")
    state = _copy(step.model.state_dict())
    with pytest.raises(RuntimeError, match="stop"), perturbed(step, batch, 0.1):
        raise RuntimeError("stop")
    assert _same(dict(step.model.named_parameters()), state)


def test_stochastic_weight_averaging_is_a_mean_over_epochs():
    model = nn.BatchNorm1d(2)
    average, values = WeightAverage(model, {"ema": 0.0, "swa": 0.5}), []
    for epoch in range(1, 5):
        with torch.no_grad():
            model.weight.fill_(epoch)
            model.running_mean.fill_(10 * epoch)
        average.after_epoch(epoch / 4)
        values.append(float(average.module.weight[0]))
    assert values == [1, 2, 3, 3.5]  # until half of the training the weights themselves
    assert float(average.module.running_mean[0]) == pytest.approx(35)
    other = WeightAverage(nn.BatchNorm1d(2), {"ema": 0.0, "swa": 0.5})
    other.load_state_dict(average.state_dict())
    assert other.count == 2 and float(other.module.weight[0]) == 3.5
    assert WeightAverage(model, {"ema": 0.0, "swa": 0.0}).module is model


def test_the_average_is_what_is_kept():
    spec = tiny.spec(epochs=3, swa=0.3)
    model, states = tiny.model(), []
    for epochs in (1, 2, 3):  # a constant rate: each is the beginning of the next
        model = tiny.model()
        outcome = loop.fit(model, tiny.spec(epochs=epochs), tiny.part(32), tiny.part(16, 1))
        states.append(outcome.last)
    found = loop.fit(tiny.model(), spec, tiny.part(32), tiny.part(16, 1)).last
    for name, value in found.items():
        mean = torch.stack([state[name].float() for state in states]).mean(0)
        assert torch.allclose(value.float(), mean, atol=1e-6), name


@pytest.mark.parametrize("count", [1, 3])
def test_frozen_layers_stay_and_the_others_move(count):
    model = tiny.model(tiny.NORMED)
    start = _copy(model.state_dict())
    layers = [part for part in model.modules() if list(part.parameters(recurse=False))]
    held = {id(weight) for layer in layers[:count] for weight in layer.parameters(recurse=False)}
    names = [name for name, weight in model.named_parameters() if id(weight) in held]
    spec = tiny.spec("adversarial", freeze=count)
    loop.fit(model, spec, tiny.part(32), tiny.part(16, 1))
    moved = {
        name for name, value in model.state_dict().items() if not torch.equal(value, start[name])
    }
    assert names and not moved & set(names)
    others = {name for name, _ in model.named_parameters()} - set(names)
    assert moved >= others


def test_statistics_of_frozen_layers_stay():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    frozen = freeze_first(model, 2)
    train_mode(model, frozen)
    model(torch.rand(8, 1, 5, 5))
    assert int(model[0].num_batches_tracked) == 0 and int(model[2].num_batches_tracked) == 1


def test_one_layer_is_left_to_train():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with pytest.raises(
        GauntletError, match=r"freeze is 2, but the network has 2 .*; allowed is 0 to 1"
    ):
        freeze_first(model, 2)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"ramp": 0.5}, {0: 0, 0.25: 0.5, 0.5: 1, 1: 1}),
        ({"ramp": 0.5, "ramp_start": 0.25}, {0: 0, 0.25: 0, 0.5: 0.5, 0.75: 1, 1: 1}),
        ({"ramp": 1.0, "ramp_shape": "cosine"}, {0: 0, 1 / 3: 0.25, 0.5: 0.5, 1: 1}),
        ({"ramp": 1.0, "ramp_shape": "smooth"}, {0: 0, 0.25: 1 / 13, 0.5: 5 / 13, 1: 1}),
        ({"ramp": 0.0, "ramp_start": 0.5}, {0: 0, 0.4: 0, 0.5: 1}),
    ],
)
def test_shapes_of_a_ramp(settings, values):
    training = {"ramp_start": 0.0, "ramp_shape": "linear"} | settings
    for done, share in values.items():
        assert radius_share(training, done) == pytest.approx(share, abs=1e-9)


def test_a_training_ends_when_nothing_gets_better(monkeypatch):
    robust = iter([0.2, 0.5, 0.4, 0.5, 0.3, 0.9])

    def measured(*_):
        return {"validation_clean": 0.9, "validation_fgsm": 0, "validation_robust": next(robust)}

    monkeypatch.setattr(loop, "validate", measured)
    spec = tiny.spec(epochs=6, patience=3)
    outcome = loop.fit(tiny.model(), spec, tiny.part(32), tiny.part(16, 1))
    assert len(outcome.history) == 5 and outcome.best_epoch == 2
    record = loop.choice_record(spec, outcome)
    assert (record["epochs"], record["epochs_done"], record["selected_epoch"]) == (6, 5, 2)
