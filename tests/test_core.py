"""The heart of the stages: what training keeps, what a ledger counts, what a job leaves."""

import hashlib
import json
import math
import os

import pytest
import torch

from gauntlet import crafting, io, job, scoring, training
from gauntlet.errors import GauntletError
from gauntlet.models import build_model, evaluating, load_weights
from gauntlet.optimizers import SCHEDULES
from gauntlet.plugins import load
from gauntlet.seeding import generator

SHAPE = (1, 8, 8)
PGD = {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 3, "step": 0.05}
DEFENSES = {
    "standard": {"kind": "standard"},
    "gaussian_noise": {"kind": "gaussian_noise", "sigma": 0.1},
    "adversarial": {"kind": "adversarial", "attack": PGD, "clean_share": 0.5},
    "trades": {"kind": "trades", "attack": PGD, "beta": 1.0},
    "static": {"kind": "static", "clean_share": 0.5},
}


def _part(count, seed):
    """Two classes: bright left or bright right half."""
    stream = generator(seed, "part")
    labels = torch.randint(0, 2, (count,), generator=stream)
    images = torch.rand((count, *SHAPE), generator=stream) * 0.4
    images[labels == 0, :, :, :4] += 0.5
    images[labels == 1, :, :, 4:] += 0.5
    return training.Part(images, labels)


def _spec(defense="standard", **change):
    settings = {"epochs": 2, "batch": 16, "optimizer": "adam", "learning_rate": 0.01}
    settings |= {"weight_decay": 0.0, "momentum": 0.9, "schedule": "constant", "ema": 0.0}
    settings |= {"precision": "float32", "augment": "none", "selection": "best"}
    settings |= {"validation_attack": PGD} | change
    return {"defense": DEFENSES[defense], "training": settings, "seed": 0, "batch": 32}


def _model(seed=0, classes=2):
    settings = {"arch": "article_cnn", "channels": [4, 8], "hidden": 16}
    return build_model(settings, SHAPE, classes, seed)


def _fit(spec, seed=0):
    model, part = _model(seed), _part(64, 0)
    crafted = part.images if spec["defense"]["kind"] == "static" else None
    return training.fit(model, spec, part, _part(32, 1), crafted), model


@pytest.mark.parametrize("defense", DEFENSES)
def test_every_defense_learns_and_repeats_to_the_byte(defense):
    outcome, _ = _fit(_spec(defense, epochs=4))
    again, _ = _fit(_spec(defense, epochs=4))
    assert outcome.history[-1]["validation_clean"] > 0.9
    assert outcome.history == again.history
    assert all(torch.equal(value, again.last[name]) for name, value in outcome.last.items())


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bfloat16"},
        {"ema": 0.5},
        {"optimizer": "sgd", "learning_rate": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"augment": "flip_crop"},
        {"schedule": "cyclic"},
    ],
    ids=str,
)
def test_settings_change_the_weights(change):
    plain, _ = _fit(_spec(epochs=1))
    other, _ = _fit(_spec(epochs=1, **change))
    assert any(not torch.equal(value, other.last[name]) for name, value in plain.last.items())
    assert all(value.isfinite().all() for value in other.last.values())


def test_best_is_robust_then_clean_then_earliest():
    outcome, model = training.Outcome(), _model()
    for epoch, (robust, clean) in enumerate([(0.5, 0.7), (0.6, 0.7), (0.6, 0.8), (0.6, 0.8)], 1):
        row = {"epoch": epoch, "validation_robust": robust, "validation_clean": clean}
        training._keep(outcome, row, model)
    assert outcome.best_epoch == 3


def test_a_loss_that_is_no_number_stops_and_keeps_what_was_good(monkeypatch):
    real, calls = load("defenses", "standard"), []

    def broken(model, images, labels, *, generator):
        calls.append(1)
        return real(model, images, labels, generator=generator) * (
            math.nan if len(calls) > 5 else 1
        )

    monkeypatch.setattr(training, "load", lambda family, name: broken)
    with pytest.raises(training.NonFiniteLoss, match="epoch 2") as caught:
        _fit(_spec())
    assert caught.value.outcome.best_epoch == 1 and caught.value.outcome.best


@pytest.mark.parametrize(
    ("rows", "warns"),
    [
        ([(0.6, 0.5), (0.9, 0.1)], True),
        ([(0.6, 0.5), (0.7, 0.6)], False),
        ([(0.5, 0.1), (0.6, 0.2)], False),
    ],
)
def test_collapse_is_noticed(rows, warns):
    outcome = training.Outcome()
    for epoch, (quick, robust) in enumerate(rows, 1):
        row = {"epoch": epoch, "validation_fgsm": quick, "validation_robust": robust}
        outcome.history.append(row)
    training._watch_collapse(outcome)
    assert bool(outcome.warnings) == warns


def test_attacks_in_training_see_eval_mode_and_batch_norm_moves_only_in_updates():
    model = build_model({"arch": "preact_resnet18", "width": 4}, SHAPE, 2, 0)
    seen = []

    def spy(model, images, labels, *, generator, attack):
        hook = model.register_forward_hook(lambda *_: seen.append(model.training))
        attack(images, labels)
        hook.remove()
        return torch.nn.functional.cross_entropy(model(images), labels)

    step = training._Step(model, _spec("adversarial"))
    step.loss, part = spy, _part(16, 0)
    step.settings = {}
    model.train()
    before = model.network[1].norm1.running_mean.clone()
    with evaluating(model):
        scoring.predict(model, part.images, 8)
    assert torch.equal(before, model.network[1].norm1.running_mean)
    step(part.images, part.labels, None, generator(0, "x"))
    assert seen and not any(seen) and model.training
    assert not torch.equal(before, model.network[1].norm1.running_mean)


def test_schedules():
    assert [SCHEDULES["piecewise"](x) for x in (0, 0.5, 0.75)] == pytest.approx([1, 0.1, 0.01])
    assert SCHEDULES["cosine"](0) == 1 and SCHEDULES["cosine"](1) == pytest.approx(0)
    assert SCHEDULES["cyclic"](0.4) == pytest.approx(1) and SCHEDULES["cyclic"](1) == 0


@pytest.fixture
def crafted():
    outcome, model = _fit(_spec(epochs=3))
    part = _part(40, 2)
    part.labels[:5] = 1 - part.labels[:5]  # five images that the model gets wrong
    points = [{**PGD, "eps": eps} for eps in (0.05, 0.2, 0.4)]
    spec = {"points": points, "seed": 0, "batch": 16, "part": "test", "loss_draws": 2}
    with evaluating(model):
        return model, spec, part, crafting.craft(model, spec, part.images, part.labels)


def _rows(model, spec, part, examples, **more):
    index = torch.arange(100, 100 + len(part.labels))
    with evaluating(model):
        rows = crafting.ledger(model, spec, index, part.images, part.labels, examples, **more)
        return list(rows)


def test_a_ledger_counts_what_fell_and_nothing_else(crafted):
    model, spec, part, made = crafted
    rows = _rows(model, spec, part, made.examples, access="white-box", steps=made.steps)
    assert len(rows) == 120 and [row["index"] for row in rows[:2]] == [100, 101]
    for start in (0, 40, 80):  # the wrong ones: not attacked, no success
        assert all(row["success"] == 0 and row["steps"] == 0 for row in rows[start : start + 5])
    by_eps = [[row["success"] for row in rows[start : start + 40]] for start in (0, 40, 80)]
    assert all(a <= b <= c for a, b, c in zip(*by_eps, strict=True))
    assert sum(by_eps[0]) < sum(by_eps[2])


def test_an_example_outside_the_ball_never_counts(crafted):
    model, spec, part, made = crafted
    far = made.examples.clone()
    far[:40] = 1 - far[:40].round()
    rows = _rows(model, spec, part, far, access="white-box")
    assert not any(row["success"] for row in rows[:40])


def test_draws_are_of_all_images_and_their_loss_is_the_mean(crafted):
    model, spec, part, made = crafted
    assert made.draws.shape == (120, *SHAPE) and made.draw_loss.shape == (120,)
    moved = (made.draws[80:] - part.images).abs().amax((1, 2, 3))
    assert (moved > 0.03).all()
    assert made.draw_loss[80:].mean() > made.draw_loss[:40].mean()


def _task(folder, stage="stage"):
    (folder / "in.txt").write_text("in")
    return {
        "script": __file__,
        "stage": stage,
        "rule": "make_it",
        "inputs": {"source": str(folder / "in.txt")},
        "outputs": {name: str(folder / f"{name}.txt") for name in ("one", "two")}
        | {"provenance": str(folder / "p.json")},
        "params": {"spec": {"a": 1}, "code": "abc"},
        "log": str(folder / "log" / "it.log"),
        "folder": str(folder),
    }


def test_a_job_gives_files_their_names_and_its_provenance(tmp_path):
    def stage(source, one, two, *, spec):
        assert not (tmp_path / "one.txt").exists()
        for path in (one, two):
            with open(path, "w") as stream:
                stream.write(str(spec["a"]))

    assert job.perform(stage, _task(tmp_path)) == 0
    record = json.loads((tmp_path / "p.json").read_text())
    assert record["code"] == "abc" and record["spec"] == {"a": 1} and record["seconds"] >= 0
    assert record["inputs"][str(tmp_path / "in.txt")] == hashlib.sha256(b"in").hexdigest()
    assert record["outputs"][str(tmp_path / "two.txt")] == hashlib.sha256(b"1").hexdigest()
    assert sorted(os.listdir(tmp_path)) == ["in.txt", "log", "one.txt", "p.json", "two.txt"]


@pytest.mark.parametrize("error", [GauntletError("key x is 3; allowed is 2."), KeyError("x")])
def test_a_failed_job_leaves_a_log_and_nothing_else(error, tmp_path):
    def stage(source, one, two, *, spec):
        with open(one, "w") as stream:
            stream.write("half")
        raise error

    assert job.perform(stage, _task(tmp_path)) == 1
    log = (tmp_path / "log" / "it.log").read_text()
    assert ("Traceback" in log) == isinstance(error, KeyError)
    assert sorted(os.listdir(tmp_path)) == ["in.txt", "log"]


def test_weights_are_data_and_their_bytes_do_not_depend_on_the_name(tmp_path):
    state = _model().state_dict()
    io.save_state(state, tmp_path / "a.pt")
    io.save_state(state, tmp_path / "other.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()
    torch.save({"x": print}, tmp_path / "code.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:500])
    torch.save([1], tmp_path / "list.pt")
    for name in ("code.pt", "cut.pt", "list.pt"):
        with pytest.raises(GauntletError, match=name):
            io.load_state(tmp_path / name)
    with pytest.raises(GauntletError, match="network.9.bias"):
        load_weights(_model(classes=3), io.load_state(tmp_path / "a.pt"), "a.pt")
