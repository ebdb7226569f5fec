"""Training: what each defense's loss sees, what moves, what is kept and what is noticed."""

import pytest
import torch
from torch import nn

from gauntlet.core import tensor_io
from gauntlet.core.plugins import load
from gauntlet.core.rng import generator
from gauntlet.training import loop
from gauntlet.training.data_parallel import SingleProcess
from gauntlet.training.optimizers import SCHEDULES, average_into, make_optimizer, set_learning_rate
from gauntlet.training.step import Step
from gauntlet.training.validation import validate
from tests.helpers import tiny
from train_model import train_model


def _fit(spec, settings=tiny.CNN, train=None, crafted=None, watch=None):
    model, train = tiny.model(settings), train or tiny.part(64)
    if watch is not None:
        model.register_forward_pre_hook(
            lambda module, given: watch.append((module.training, given[0].detach().clone()))
        )
    given = tiny.given(spec, train) | ({} if crafted is None else {"crafted": crafted})
    return loop.fit(model, spec, train, tiny.part(32, 1), **given), model


def _loss(defense, model, part, seed=0):
    spec = tiny.spec(defense)
    given = tiny.given(spec, part)
    step, crafted = Step(model, spec, given.get("teacher")), given.get("crafted")
    return float(step(part.images, part.labels, crafted, generator(seed, "loss"), 1.0).detach())


def _same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("defense", tiny.DEFENSES)
def test_every_defense_lowers_its_loss_and_learns(defense, precision):
    before = _loss(defense, tiny.model(), tiny.part(64))
    outcome, model = _fit(tiny.spec(defense, epochs=4, precision=precision))
    share = 0.8 if defense in tiny.BOUNDED_BELOW else 0.7
    assert _loss(defense, model, tiny.part(64)) < share * before
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]
    assert outcome.history[-1]["validation_clean"] > 0.9
    assert [row["epoch"] for row in outcome.history] == [1, 2, 3, 4]
    assert all(value.dtype == torch.float32 for value in outcome.best.values())


def test_robust_training_withstands_more_than_plain_training():
    robust = {}
    for name in ("standard", "adversarial", "trades"):
        spec = tiny.spec(name, epochs=5)
        strong = tiny.PGD | {"eps": 0.25, "step": 0.1, "steps": 4}
        spec["training"]["validation_attack"] = strong
        if name != "standard":
            spec["defense"] = spec["defense"] | {"attack": strong}
        robust[name] = max(row["validation_robust"] for row in _fit(spec)[0].history)
    assert min(robust["adversarial"], robust["trades"]) > robust["standard"] + 0.05


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([(0.2, 0.9), (0.5, 0.6), (0.4, 0.9)], 2),
        ([(0.2, 0.9), (0.5, 0.6), (0.5, 0.8)], 3),
        ([(0.5, 0.8), (0.5, 0.8), (0.5, 0.7)], 1),
        ([(0.0, 0.5), (0.0, 0.6), (0.0, 0.6)], 2),
    ],
)
@pytest.mark.parametrize("selection", ["best", "last"])
def test_checkpoint_is_most_robust_then_clean_then_earliest(rows, best, selection, monkeypatch):
    message, states = iter(rows), []

    def measured(model, spec, epoch, images, labels, processes):
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        robust, clean = next(message)
        return {"validation_clean": clean, "validation_fgsm": 0, "validation_robust": robust}

    monkeypatch.setattr(loop, "validate", measured)
    spec = tiny.spec(epochs=3, selection=selection)
    outcome, _ = _fit(spec)
    assert outcome.best_epoch == best
    assert _same(outcome.best, states[best - 1]) and _same(outcome.last, states[2])
    assert not _same(states[0], states[1]) and not _same(states[1], states[2])
    record, chosen = loop.choice_record(spec, outcome), best if selection == "best" else 3
    assert (record["selected_epoch"], record["selection"]) == (chosen, selection)
    assert (record["validation_robust"], record["validation_clean"]) == rows[chosen - 1]


def test_moving_average():
    mean, model = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    with torch.no_grad():
        mean.weight.fill_(0)
        model.weight.fill_(1)
        model.running_mean.fill_(5)
    average_into(mean, model, 0.9)
    assert torch.allclose(mean.weight, torch.full((3,), 0.1))
    assert torch.equal(mean.running_mean, model.running_mean)
    first = tiny.model().state_dict()
    outcome, model = _fit(tiny.spec(epochs=1, batch=64, ema=0.75))
    for name, value in model.state_dict().items():
        assert torch.allclose(outcome.last[name], first[name].lerp(value, 0.25), atol=1e-7)
    assert not _same(outcome.last, model.state_dict())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("constant", {0: 1, 0.5: 1, 1: 1}),
        ("cosine", {0: 1, 1 / 3: 0.75, 0.5: 0.5, 1: 0}),
        ("cyclic", {0: 0, 0.2: 0.5, 0.4: 1, 0.7: 0.5, 1: 0}),
        ("piecewise", {0: 1, 0.49: 1, 0.5: 0.1, 0.74: 0.1, 0.75: 0.01, 1: 0.01}),
    ],
)
def test_schedules(name, values):
    settings = tiny.spec(schedule=name, learning_rate=0.2)["training"]
    optimizer = make_optimizer(tiny.model(), settings)
    for done, share in values.items():
        assert SCHEDULES[name](done) == pytest.approx(share, abs=1e-9)
        assert set_learning_rate(optimizer, settings, done) == pytest.approx(0.2 * share, abs=1e-9)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * share, abs=1e-9)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("after", [0, 9])
def test_a_loss_that_is_no_number_ends_it(bad, after, monkeypatch, tmp_path):
    calls, real = [], load("training.defenses", "standard")

    def standard(model, images, labels, *, generator):
        calls.append(1)
        return real(model, images, labels, generator=generator) * (bad if len(calls) > after else 1)

    monkeypatch.setattr("gauntlet.training.defenses.standard.standard", standard)
    with pytest.raises(loop.NonFiniteLoss, match=f"epoch {after // 4 + 1};") as caught:
        _fit(tiny.spec(epochs=5))
    kept = caught.value.outcome
    assert len(kept.history) == after // 4 and bool(kept.best) == bool(after)
    assert all(value.isfinite().all() for value in kept.best.values())
    calls.clear()
    with pytest.raises(loop.NonFiniteLoss):
        _stage(tmp_path, "run", tiny.spec(epochs=5))
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == ({"last_good.pt"} if after else set())
    if after:
        state = tensor_io.load_state(tmp_path / "run" / "last_good.pt")
        assert state.keys() == tiny.model().state_dict().keys()


def _stage(root, name, spec):
    (root / name).mkdir()
    before = torch.are_deterministic_algorithms_enabled()
    outputs = ("best.pt", "last.pt", "history.csv", "train.json")
    paths = [str(root / name / file) for file in outputs]
    try:
        train_model(*tiny.data_files(root), [], [], [], [], [], *paths, spec=spec)
    finally:
        torch.use_deterministic_algorithms(before)
    return [(root / name / file).read_bytes() for file in outputs]


@pytest.mark.parametrize("defense", ["standard", "adversarial", "gaussian_noise"])
def test_same_spec_same_bytes_other_seed_other_bytes(defense, tmp_path):
    spec = tiny.spec(defense, augment="flip_crop")
    torch.manual_seed(1)
    first = _stage(tmp_path, "first", spec)
    torch.manual_seed(2)
    assert _stage(tmp_path, "again", spec) == first
    other = _stage(tmp_path, "other", tiny.spec(defense, seed=1, augment="flip_crop"))
    assert other[0] != first[0] and other[1] != first[1] and other[2] != first[2]


@pytest.mark.parametrize("defense", ["adversarial", "trades"])
def test_batch_statistics_move_only_in_updates(defense):
    """Batches have 16 images, and validation 32."""
    watch = []
    outcome, model = _fit(tiny.spec(defense), tiny.NORMED, watch=watch)
    updates = 2 * 4 * (1 if defense == "adversarial" else 2)
    moved = [n for name, n in model.state_dict().items() if name.endswith("num_batches_tracked")]
    assert moved and all(int(count) == updates for count in moved)
    assert sum(mode for mode, _ in watch) == updates
    inside = [images for mode, images in watch if not mode and len(images) == 16]
    assert len(inside) >= 2 * 4 * tiny.PGD["steps"]  # the attack's passes, in eval mode
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    held = tiny.part(32, 1)
    validate(model, tiny.spec(defense), 1, held.images, held.labels, SingleProcess())
    assert _same(before, model.state_dict()) and model.training
    assert not _same(outcome.best, tiny.model(tiny.NORMED).state_dict())


@pytest.mark.parametrize(("count", "sizes"), [(33, [16, 17]), (34, [16, 16, 2]), (16, [16])])
def test_no_batch_of_one_image(count, sizes):
    """Batch norm at 1x1 cannot train on one value per channel."""
    watch = []
    _fit(tiny.spec(epochs=1), tiny.NORMED, train=tiny.part(count), watch=watch)
    assert [len(images) for mode, images in watch if mode] == sizes


def test_every_image_is_seen_once_an_epoch_in_a_new_order():
    watch, part = [], tiny.part(50)
    _fit(tiny.spec(), train=part, watch=watch)
    seen = torch.cat([images for mode, images in watch if mode])
    orders = [
        [int((part.images == image).flatten(1).all(1).nonzero()) for image in images]
        for images in seen.split(50)
    ]
    assert [sorted(order) for order in orders] == [list(range(50))] * 2
    assert orders[0] != orders[1] and orders[0] != sorted(orders[0])


def test_static_pairs_each_image_with_its_own_example():
    watch, part = [], tiny.part(64)
    _fit(tiny.spec("static"), train=part, crafted=1 - part.images, watch=watch)
    seen = [images for mode, images in watch if mode]
    assert len(seen) == 16 and not torch.equal(seen[0], part.images[:16])
    for clean, crafted in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(crafted, 1 - clean)


def test_a_ramp_lets_the_attack_inside_grow():
    step, part = Step(tiny.model(), tiny.spec("adversarial", ramp=0.5)), tiny.part(16)
    moved = [
        float(
            (step.inner(generator(0, "x"), done).attack(part.images, part.labels) - part.images)
            .abs()
            .max()
        )
        for done in (0.0, 0.25, 0.5, 1.0)
    ]
    assert moved == pytest.approx([0, 0.05, 0.1, 0.1], abs=1e-6)
