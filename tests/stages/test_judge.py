"""The ledger of crafted examples: a row for every image, and only honest successes count."""

import dataclasses

import pytest
import torch

from gauntlet.core import scoring, threat_models
from gauntlet.stages import judge as books
from tests.helpers import tiny
from tests.helpers.crafting import (
    EPS,
    KINDS,
    WRONG,
    column,
    crafted,
    eps_of,
    labeled_images,  # noqa: F401
    ledger_of,
    spec_of,
    trained_model,  # noqa: F401
)


def _with(made, examples):
    return dataclasses.replace(made, examples=examples)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_stand_beside_their_images(kind, model, data):
    spec = spec_of(kind, draws=1)
    made = crafted(model, spec, data)
    assert made.examples.shape == made.draws.shape == (3, 40, *tiny.SHAPE)
    rows = ledger_of(model, spec, data, made)
    assert len(rows) == 120 and all(set(row) == set(books.COLUMNS) for row in rows)
    assert [row["index"] for row in rows] == list(range(100, 140)) * 3
    assert [float(row["eps"]) for row in rows] == [eps for eps in eps_of(kind) for _ in range(40)]
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
    spec = spec_of(kind)
    made = crafted(model, spec, data)
    for block in range(3):
        assert torch.equal(made.examples[block][WRONG], data[0][WRONG])
        assert (made.forwards[block][WRONG] == 0).all()
        assert (made.forwards[block][6:] > 0).all()
    success = column(ledger_of(model, spec, data, made), "success", int)
    assert success[:, WRONG].sum() == 0
    assert kind == "noise" or success.sum() > 0
    hostile = _with(made, (1 - data[0]).expand(3, -1, -1, -1, -1))
    loose = spec_of(kind, **{"sigma" if kind == "noise" else "eps": 99.0})
    success = column(ledger_of(model, loose, data, hostile), "success", int)
    assert success[:, WRONG].sum() == 0 and success[:, 6:].sum() > 50


@pytest.mark.parametrize("harm", ["too far", "below 0", "not a number", "half a ball too far"])
def test_an_inadmissible_example_never_counts(harm, model, data):
    spec = spec_of()
    made = crafted(model, spec, data)
    before = column(ledger_of(model, spec, data, made), "success", int)
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
    rows = ledger_of(model, spec, data, _with(made, examples))
    after = column(rows, "success", int)
    assert torch.equal(after[:2], before[:2])
    assert after[2][away if harm.startswith("half") else slice(None)].sum() == 0
    fooled = column(rows, "adversarial_prediction", int)[2] != data[1]
    assert fooled[6:].any()  # the model was fooled, by what is not allowed


def test_probabilities_given_as_logits_are_named(model, data):
    def squashed(images):
        return model(images).softmax(1)

    made = crafted(squashed, spec_of(), data)
    assert {row["note"] for row in ledger_of(squashed, spec_of(), data, made)} == {
        scoring.PROBABILITIES
    }
    assert {row["note"] for row in ledger_of(model, spec_of(), data, made)} == {""}
