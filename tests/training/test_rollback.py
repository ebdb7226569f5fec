"""A training that collapses goes back to its last good state."""

import pytest
import torch
from sklearn.datasets import load_digits

from gauntlet.models import build_model
from gauntlet.training import loop
from gauntlet.training.batches import Part
from gauntlet.training.catastrophic_overfitting import TURN, is_beginning
from gauntlet.training.epoch_totals import EpochTotals
from gauntlet.training.rollback import SHORTER, Rollback
from gauntlet.training.step import Update
from tests.helpers import tiny

MLP = {"arch": "mlp", "hidden": [256, 256]}
EPS = 0.4


def _digits(rows):
    found = load_digits()
    images = torch.tensor(found.images[rows], dtype=torch.float32)[:, None] / 16
    return Part(images, torch.tensor(found.target[rows]))


def _fit_on_digits(**change):
    attack = {"kind": "pgd", "norm": "linf", "eps": EPS, "steps": 10, "step": EPS / 4}
    spec = tiny.spec(epochs=14, batch=50, learning_rate=0.003, validation_attack=attack, **change)
    step = {"kind": "fgsm", "norm": "linf", "eps": EPS, "step": EPS}
    spec |= {"defense": {"kind": "adversarial", "attack": step}, "model": MLP}
    model, train = build_model(MLP, (1, 8, 8), 10, 0), _digits(slice(0, 600))
    model.normalize_like(train.images)
    return loop.fit(model, spec, train, _digits(slice(600, 780)))


def _same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_provoked_collapse_is_seen_and_taken_back():
    """One step of eps 0.4: gradients turn within the ball, FGSM no longer finds what PGD does."""
    seen = _fit_on_digits().history
    first = next(row for row in seen if row["collapsed"] or is_beginning(row))
    best = max(row["gradient_cosine"] for row in seen)
    assert first["gradient_cosine"] < 0.5 * best
    assert first["validation_fgsm"] > first["validation_robust"] + 0.3
    back = _fit_on_digits(rollback=True)
    place = first["epoch"] - 1
    assert [row["rolled_back"] for row in back.history[: place + 1]] == [0] * place + [1]
    assert back.history[place]["step_share"] == SHORTER
    after = back.history[place + 1]["gradient_cosine"]
    assert after > first["gradient_cosine"]


@pytest.mark.parametrize("change", [{}, {"ema": 0.9}, {"swa": 0.3}, {"optimizer": "sgd"}])
def test_weights_after_a_rollback_are_those_of_the_last_good_epoch(change, monkeypatch):
    """The third of four epochs is said to have collapsed."""
    monkeypatch.setattr(loop, "is_collapsed", lambda history, row: row["epoch"] == 3)
    states = {}

    def fit(epochs, rollback):
        spec = tiny.spec("adversarial", epochs=epochs, rollback=rollback, **change)
        return loop.fit(tiny.model(), spec, tiny.part(50), tiny.part(24, 1))

    for epochs in (2, 3, 4):
        states[epochs] = fit(epochs, True)
    assert _same(states[3].last, states[2].last)
    assert not _same(states[4].last, states[3].last)
    shares = [row["step_share"] for row in states[4].history]
    assert shares == [1.0, 1.0, SHORTER, SHORTER]
    assert states[3].best_epoch < 3 and "rolled_back" not in fit(2, False).history[0]
    record = loop.choice_record(tiny.spec(selection="last", epochs=3), states[3])
    assert (record["selected_epoch"], record["epochs_done"]) == (2, 3)
    assert record["rolled_back"] == [3]


def test_steps_are_shorter_after_it():
    step = loop.Learner(tiny.model(), tiny.spec("adversarial"), loop.SingleProcess()).step
    part, moved = tiny.part(16), []
    for share in (1.0, 0.1):
        step.step_share = share
        inner = step.inner(torch.Generator(), 1.0)
        inner.settings["random_start"] = False
        moved.append(float((inner.attack(part.images, part.labels) - part.images).abs().max()))
    assert moved == pytest.approx([0.1, 3 * 0.1 * 0.05], abs=1e-6)


def test_the_first_state_is_good_too():
    layer = torch.nn.Linear(2, 2)
    start, kept = layer.weight.detach().clone(), Rollback({"layer": layer})
    with torch.no_grad():
        layer.weight.add_(1)
    other = Rollback({"layer": layer})
    other.load_state_dict(kept.state_dict())
    other.back()
    assert torch.equal(layer.weight, start) and other.share == SHORTER
    with torch.no_grad():
        layer.weight.add_(1)  # the kept state is a copy
    other.back()
    assert torch.equal(layer.weight, start) and other.share == SHORTER**2


def _updates(cosines, history):
    totals = EpochTotals(torch.device("cpu"), history, True)
    for number, cosine in enumerate(cosines, 1):
        totals.add(number, 10, Update(torch.tensor(1.0), torch.tensor([10 * cosine, 10.0])))
    return totals.row()


def test_the_batch_in_which_gradients_turn_is_marked():
    steady = [{"gradient_cosine": 0.8}]
    assert _updates([0.8] * 30, [])["collapse_begins"] == 0
    assert _updates([0.8, 0.5] * 20, steady)["collapse_begins"] == 0
    turned = _updates([0.8] * 20 + [0.0] * 30, steady)
    assert 20 < turned["collapse_begins"] <= 35 and TURN == 0.3
    assert turned["gradient_cosine"] == pytest.approx(0.32)


@pytest.mark.parametrize(
    ("quick", "robust", "begins", "expected"),
    [(0.9, 0.5, 7, True), (0.9, 0.5, 0, False), (0.9, 0.7, 7, False), (0.9, 0.5, None, False)],
)
def test_turned_gradients_count_where_pgd_sees_more_than_fgsm(quick, robust, begins, expected):
    row = {"validation_fgsm": quick, "validation_robust": robust}
    row |= {} if begins is None else {"collapse_begins": begins}
    assert is_beginning(row) == expected


def test_watching_changes_no_bit(monkeypatch):
    spec = tiny.spec("adversarial")
    spec["defense"] = {"kind": "adversarial", "attack": tiny.FGSM}
    fits = []
    for single in (True, False):
        monkeypatch.setattr("gauntlet.training.step.is_single_step", lambda _, one=single: one)
        fits.append(loop.fit(tiny.model(), spec, tiny.part(50), tiny.part(24, 1)))
    assert "gradient_cosine" in fits[0].history[0]
    assert "gradient_cosine" not in fits[1].history[0] and _same(fits[0].last, fits[1].last)
