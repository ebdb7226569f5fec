"""Crafting and ledgers: every image at every eps, and only honest successes count."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from craft_examples import craft_examples
from gauntlet.core import scoring, tensor_io, threat_models
from gauntlet.core.errors import GauntletError
from gauntlet.models import evaluating
from gauntlet.stages import craft
from gauntlet.stages import judge as books
from gauntlet.training import loop
from tests.helpers import tiny
from transfer_examples import transfer_examples

WRONG = slice(0, 6)  # images whose label is not what the model says
EPS = (0.02, 0.15, 0.3)
KINDS = {
    "pgd": {"kind": "pgd", "norm": "linf", "steps": 4, "step": 0.05},
    "pgd-l2": {"kind": "pgd", "norm": "l2", "steps": 4, "step": 1.0},
    "fgsm": {"kind": "fgsm", "norm": "linf", "step": 0.375, "random_start": True},
    "noise": {"kind": "gaussian_noise", "draws": 3},
}
NEAREST = [{"kind": "fmn", "norm": "linf", "steps": 30, "eps": eps} for eps in (0.1, 0.2, 0.3)]


@pytest.fixture(scope="module")
def model():
    fresh = tiny.model()
    loop.fit(fresh, tiny.spec(epochs=3), tiny.part(64), tiny.part(32, 1))
    return fresh.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def data(model):
    made = tiny.part(40, 2)
    labels = scoring.predict(model, made.images)
    labels[WRONG] = 1 - labels[WRONG]
    return made.images, labels


def _eps(kind):
    return [10 * eps for eps in EPS] if kind == "pgd-l2" else list(EPS)


def _spec(kind="pgd", draws=0, **change):
    name = "sigma" if kind == "noise" else "eps"
    points = [KINDS[kind] | {name: eps} | change for eps in _eps(kind)]
    own = {"part": "test", "precision": "float32", "loss_draws": draws}
    return {"points": points, "seed": 0, "batch": 16} | own


def _victims(data):
    return craft.EvalImages(torch.arange(100, 140), *data)


def _craft(model, spec, data, keep=None):
    return craft.craft(model, spec, _victims(data), keep)


def _ledger(model, spec, data, made, access="white-box"):
    return list(books.ledger(model, spec, _victims(data), made.examples, access, made))


def _with(made, examples):
    return dataclasses.replace(made, examples=examples)


def _column(rows, name, kind=float):
    return torch.tensor([kind(row[name]) for row in rows]).view(len(EPS), -1)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_stand_beside_their_images(kind, model, data):
    spec = _spec(kind, draws=1)
    made = _craft(model, spec, data)
    assert made.examples.shape == made.draws.shape == (3, 40, *tiny.SHAPE)
    rows = _ledger(model, spec, data, made)
    assert len(rows) == 120 and all(set(row) == set(books.COLUMNS) for row in rows)
    assert [row["index"] for row in rows] == list(range(100, 140)) * 3
    assert [float(row["eps"]) for row in rows] == [eps for eps in _eps(kind) for _ in range(40)]
    for place, row in enumerate(rows):
        image, truth = data[0][place % 40][None], data[1][place % 40][None]
        example = made.examples[place // 40, place % 40][None]
        scores = scoring.score(model, example, truth)
        assert row["label"] == truth and row["adversarial_prediction"] == scores.prediction
        assert float(row["adversarial_loss"]) == pytest.approx(float(scores.loss), abs=1e-4)
        assert float(row["clean_loss"]) == pytest.approx(
            float(scoring.score(model, image, truth).loss), abs=1e-4
        )
        for norm in threat_models.NORMS:
            far = float(threat_models.distance(example, image, norm))
            assert float(row[norm]) == pytest.approx(far, rel=1e-6, abs=1e-6)
        assert row["norm"] == KINDS[kind].get("norm", "noise") and row["access"] == "white-box"


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_images_are_left_alone_and_never_count(kind, model, data):
    spec = _spec(kind)
    made = _craft(model, spec, data)
    for block in range(3):
        assert torch.equal(made.examples[block][WRONG], data[0][WRONG])
        assert (made.forwards[block][WRONG] == 0).all()
        assert (made.forwards[block][6:] > 0).all()
    success = _column(_ledger(model, spec, data, made), "success", int)
    assert success[:, WRONG].sum() == 0
    assert kind == "noise" or success.sum() > 0
    hostile = _with(made, (1 - data[0]).expand(3, -1, -1, -1, -1))
    loose = _spec(kind, **{"sigma" if kind == "noise" else "eps": 99.0})
    success = _column(_ledger(model, loose, data, hostile), "success", int)
    assert success[:, WRONG].sum() == 0 and success[:, 6:].sum() > 50


@pytest.mark.parametrize("kind", KINDS)
def test_what_fell_stays_fallen(kind, model, data):
    spec = _spec(kind)
    made = _craft(model, spec, data)
    success = _column(_ledger(model, spec, data, made), "success", int)
    assert (success[1:] >= success[:-1]).all()
    robust = success.float().mean(1)
    assert robust.tolist() == sorted(robust.tolist())


@pytest.mark.parametrize("kind", [*KINDS, "fmn"])
def test_what_is_logged_as_robust_is_what_the_model_says(kind, model, data, caplog):
    spec = _spec(kind) if kind in KINDS else _spec() | {"points": NEAREST}
    with pytest.MonkeyPatch.context() as patch, caplog.at_level("INFO", "gauntlet"):
        patch.setattr(scoring, "predict", None)  # no pass is made for the log alone
        made = _craft(model, spec, data)
    robust = scoring.predict(model, made.examples.flatten(0, 1)).view(3, -1) == data[1]
    assert robust.any() and not robust.all()
    # What lies beyond the ball is pulled into it: then the model may be wrong by luck.
    assert not (robust & ~made.active).any()
    assert kind == "fmn" or torch.equal(made.active, robust)
    assert f"{int(made.active[-1].sum())} of 40 still classified correctly" in caplog.text


def test_a_weak_attack_at_a_larger_eps_loses_nothing(model, data):
    spec = _spec()
    spec["points"][2] |= {"steps": 1, "step": 1e-9, "random_start": False}
    made = _craft(model, spec, data)
    success = _column(_ledger(model, spec, data, made), "success", int).bool()
    assert success[1].any() and (success[2] >= success[1]).all()
    kept, steps = made.examples, made.forwards
    assert torch.equal(kept[2][success[1]], kept[1][success[1]])
    assert torch.equal(steps[2][success[1]], steps[1][success[1]])
    assert (steps[2] >= steps[1]).all()


@pytest.mark.parametrize("harm", ["too far", "below 0", "not a number", "half a ball too far"])
def test_an_inadmissible_example_never_counts(harm, model, data):
    spec = _spec()
    made = _craft(model, spec, data)
    before = _column(_ledger(model, spec, data, made), "success", int)
    assert before[2].sum() > 3
    examples = made.examples.clone()
    if harm == "too far":
        examples[2] = 1 - data[0]
    elif harm == "below 0":
        examples[2, :, 0, 0, 0] = -1e-3
    elif harm == "not a number":
        examples[2, :, 0, 0, 0] = torch.nan
    else:
        examples[2] = data[0] + 1.5 * (examples[2] - data[0])
        away = threat_models.distance(examples[2], data[0], "linf") > EPS[2] * 1.001
        examples[2].clamp_(0, 1)
        away &= threat_models.distance(examples[2], data[0], "linf") > EPS[2] * 1.001
    rows = _ledger(model, spec, data, _with(made, examples))
    after = _column(rows, "success", int)
    assert torch.equal(after[:2], before[:2])
    assert after[2][away if harm.startswith("half") else slice(None)].sum() == 0
    fooled = _column(rows, "adversarial_prediction", int)[2] != data[1]
    assert fooled[6:].any()  # the model was fooled, by what is not allowed


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_of_full_strength_for_every_image(kind, model, data):
    spec = _spec(kind, draws=3)
    made = _craft(model, spec, data)
    draws = made.draws
    clean = data[0]
    for eps, block in zip(_eps(kind), draws, strict=True):
        norm = KINDS[kind].get("norm", "noise")
        assert threat_models.admissible(block, clean, norm, eps).all()
        assert (block != clean).flatten(1).any(1).all()  # also the wrong, also the fallen
        if norm in threat_models.NORMS:
            assert threat_models.distance(block, clean, norm).min() > 0.2 * min(eps, 0.1)
    one = _craft(model, _spec(kind, draws=1), data)
    assert torch.equal(one.draws, made.draws)
    singles = []
    for draw in range(3):
        with pytest.MonkeyPatch.context() as patch:
            real = craft._attempt
            patch.setattr(craft, "_attempt", lambda *p, d=draw, r=real: r(*p[:-1], _told(p, d)))
            singles.append(_craft(model, _spec(kind, draws=1), data))
    for block in range(3):  # each draw's own loss, averaged
        losses = [scoring.score(model, s.draws[block], data[1]).loss for s in singles]
        assert torch.allclose(made.draw_loss[block], torch.stack(losses).mean(0), atol=1e-5)
    assert not torch.equal(singles[0].draws, singles[1].draws)


def _told(arguments, draw):
    """Keep an attempt's purpose, but for a draw's number."""
    return arguments[-1] if arguments[-1] == "craft" else f"draw {draw}"


def test_without_draws_there_is_nothing_to_transfer(model, data):
    made = _craft(model, _spec(), data)
    assert made.draws.shape == (3, 0, *tiny.SHAPE) and made.draw_loss.isnan().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_without_images_gives_files_without_rows(kind, model, tmp_path):
    spec = _spec(kind, 1) | {"model": tiny.CNN, "threads": 1, "device": "cpu", "shard": "1-of-99"}
    tensor_io.save_state(model.state_dict(), tmp_path / "best.pt")
    names = [str(tmp_path / name) for name in ("examples.npy", "draws.npy", "own.csv")]
    before = torch.are_deterministic_algorithms_enabled()
    try:
        craft_examples(*tiny.data_files(tmp_path), str(tmp_path / "best.pt"), *names, spec=spec)
    finally:
        torch.use_deterministic_algorithms(before)
    assert [np.load(name).shape for name in names[:2]] == [(0, *tiny.SHAPE)] * 2
    assert Path(names[2]).read_text().splitlines() == [",".join(books.COLUMNS)]


def test_crafting_repeats_to_the_byte_and_seeds_differ(model, data):
    spec = _spec("fgsm", draws=1)
    first, again = (_craft(model, spec, data) for _ in range(2))
    other = _craft(model, spec | {"seed": 1}, data)
    assert torch.equal(first.examples, again.examples) and torch.equal(first.draws, again.draws)
    assert not torch.equal(first.draws, other.draws)


@pytest.mark.parametrize("draws", [1, 0])
def test_stages_write_what_they_judged_and_label_transfer(draws, model, tmp_path):
    spec = _spec("pgd", draws) | {"model": tiny.CNN, "threads": 1, "device": "cpu"}
    files = tiny.data_files(tmp_path)
    tensor_io.save_state(model.state_dict(), tmp_path / "best.pt")
    tensor_io.save_state(tiny.model(seed=9).state_dict(), tmp_path / "other.pt")
    names = [str(tmp_path / name) for name in ("examples.npy", "draws.npy", "own.csv", "moved.csv")]
    before = torch.are_deterministic_algorithms_enabled()
    try:
        craft_examples(*files, str(tmp_path / "best.pt"), *names[:3], spec=spec)
        ask = (*files, str(tmp_path / "other.pt"), names[1], names[3])
        if not draws:
            with pytest.raises(GauntletError, match="draws.npy.*loss_draws"):
                transfer_examples(*ask, spec=spec)
            return
        transfer_examples(*ask, spec=spec)
    finally:
        torch.use_deterministic_algorithms(before)
    own, moved = (list(csv.DictReader(Path(name).read_text().splitlines())) for name in names[2:])
    assert {row["access"] for row in own} == {"white-box"}
    assert {row["access"] for row in moved} == {"transfer"}
    assert {row["forwards"] + row["draw_loss"] for row in moved} == {""}
    assert [row["index"] for row in own] == [row["index"] for row in moved]
    assert [int(row["index"]) for row in own[:32]] == list(range(95, 63, -1))
    examples = np.load(names[1])
    assert examples.dtype == np.float32
    with evaluating(tiny.model(seed=9)) as other:
        said = scoring.predict(other, torch.from_numpy(examples)).tolist()
    assert [int(row["adversarial_prediction"]) for row in moved] == said


def test_probabilities_given_as_logits_are_named(model, data):
    def squashed(images):
        return model(images).softmax(1)

    made = _craft(squashed, _spec(), data)
    assert {row["note"] for row in _ledger(squashed, _spec(), data, made)} == {
        scoring.PROBABILITIES
    }
    assert {row["note"] for row in _ledger(model, _spec(), data, made)} == {""}


def test_logits_that_are_no_numbers_name_the_images_place(model, data):
    def broken(images):
        logits = model(images).clone()
        logits[(images == data[0][9]).flatten(1).all(1)] = torch.nan
        return logits

    with pytest.raises(GauntletError, match=r"logits at or near image 109 are not finite"):
        _craft(broken, _spec(), data)


def test_a_loss_that_needs_more_classes_ends_in_a_sentence(model, data):
    points = [{"kind": "apgd_t", "norm": "linf", "eps": 0.1, "steps": 3}]
    with pytest.raises(GauntletError, match="needs 4 classes or more; the model has 2: use margin"):
        _craft(model, _spec() | {"points": points}, data)


def test_a_nearest_example_serves_every_eps(model, data):
    points = NEAREST
    spec = _spec() | {"points": points}
    made = _craft(model, spec, data)
    rows = _ledger(model, spec, data, made)
    success, far = _column(rows, "success", int), _column(rows, "linf")
    assert (success[1:] >= success[:-1]).all() and success[2].sum() > 3
    assert torch.equal(made.forwards[0], made.forwards[2])
    for block, point in enumerate(points):
        assert (far[block] <= point["eps"] * (1 + 1e-6)).all()
    near = success[0].bool()
    assert torch.equal(made.examples[0][near], made.examples[2][near])
