"""Crafting: an example of every image at every eps, and draws of full strength."""

import pytest
import torch

from gauntlet.core import scoring, threat_models
from gauntlet.core.errors import GauntletError
from gauntlet.stages import craft
from tests.helpers import tiny
from tests.helpers.crafting import (
    KINDS,
    column,
    crafted,
    eps_of,
    labeled_images,  # noqa: F401
    ledger_of,
    spec_of,
    trained_model,  # noqa: F401
)

NEAREST = [{"kind": "fmn", "norm": "linf", "steps": 30, "eps": eps} for eps in (0.1, 0.2, 0.3)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_fell_stays_fallen(kind, model, data):
    spec = spec_of(kind)
    made = crafted(model, spec, data)
    success = column(ledger_of(model, spec, data, made), "success", int)
    assert (success[1:] >= success[:-1]).all()
    robust = success.float().mean(1)
    assert robust.tolist() == sorted(robust.tolist())


@pytest.mark.parametrize("kind", [*KINDS, "fmn"])
def test_what_is_logged_as_robust_is_what_the_model_says(kind, model, data, caplog):
    spec = spec_of(kind) if kind in KINDS else spec_of() | {"points": NEAREST}
    with pytest.MonkeyPatch.context() as patch, caplog.at_level("INFO", "gauntlet"):
        patch.setattr(scoring, "predict", None)  # no pass is made for the log alone
        made = crafted(model, spec, data)
    robust = scoring.predict(model, made.examples.flatten(0, 1)).view(3, -1) == data[1]
    assert robust.any() and not robust.all()
    # What lies beyond the ball is pulled into it: then the model may be wrong by luck.
    assert not (robust & ~made.active).any()
    assert kind == "fmn" or torch.equal(made.active, robust)
    assert f"{int(made.active[-1].sum())} of 40 still classified correctly" in caplog.text


def test_a_weak_attack_at_a_larger_eps_loses_nothing(model, data):
    spec = spec_of()
    spec["points"][2] |= {"steps": 1, "step": 1e-9, "random_start": False}
    made = crafted(model, spec, data)
    success = column(ledger_of(model, spec, data, made), "success", int).bool()
    assert success[1].any() and (success[2] >= success[1]).all()
    kept, steps = made.examples, made.forwards
    assert torch.equal(kept[2][success[1]], kept[1][success[1]])
    assert torch.equal(steps[2][success[1]], steps[1][success[1]])
    assert (steps[2] >= steps[1]).all()


def test_a_nearest_example_serves_every_eps(model, data):
    points = NEAREST
    spec = spec_of() | {"points": points}
    made = crafted(model, spec, data)
    rows = ledger_of(model, spec, data, made)
    success, far = column(rows, "success", int), column(rows, "linf")
    assert (success[1:] >= success[:-1]).all() and success[2].sum() > 3
    assert torch.equal(made.forwards[0], made.forwards[2])
    for block, point in enumerate(points):
        assert (far[block] <= point["eps"] * (1 + 1e-6)).all()
    near = success[0].bool()
    assert torch.equal(made.examples[0][near], made.examples[2][near])


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_of_full_strength_for_every_image(kind, model, data):
    spec = spec_of(kind, draws=3)
    made = crafted(model, spec, data)
    draws = made.draws
    clean = data[0]
    for eps, block in zip(eps_of(kind), draws, strict=True):
        norm = KINDS[kind].get("norm", "noise")
        assert threat_models.admissible(block, clean, norm, eps).all()
        assert (block != clean).flatten(1).any(1).all()  # also the wrong, also the fallen
        if norm in threat_models.NORMS:
            assert threat_models.distance(block, clean, norm).min() > 0.2 * min(eps, 0.1)
    one = crafted(model, spec_of(kind, draws=1), data)
    assert torch.equal(one.draws, made.draws)
    singles = []
    for draw in range(3):
        with pytest.MonkeyPatch.context() as patch:
            real = craft._attempt
            patch.setattr(craft, "_attempt", lambda *p, d=draw, r=real: r(*p[:-1], _told(p, d)))
            singles.append(crafted(model, spec_of(kind, draws=1), data))
    for block in range(3):  # each draw's own loss, averaged
        losses = [scoring.score(model, s.draws[block], data[1]).loss for s in singles]
        assert torch.allclose(made.draw_loss[block], torch.stack(losses).mean(0), atol=1e-5)
    assert not torch.equal(singles[0].draws, singles[1].draws)


def _told(arguments, draw):
    """Keep an attempt's purpose, but for a draw's number."""
    return arguments[-1] if arguments[-1] == "craft" else f"draw {draw}"


def test_without_draws_there_is_nothing_to_transfer(model, data):
    made = crafted(model, spec_of(), data)
    assert made.draws.shape == (3, 0, *tiny.SHAPE) and made.draw_loss.isnan().all()


def test_crafting_repeats_to_the_byte_and_seeds_differ(model, data):
    spec = spec_of("fgsm", draws=1)
    first, again = (crafted(model, spec, data) for _ in range(2))
    other = crafted(model, spec | {"seed": 1}, data)
    assert torch.equal(first.examples, again.examples) and torch.equal(first.draws, again.draws)
    assert not torch.equal(first.draws, other.draws)


def test_logits_that_are_no_numbers_name_the_images_place(model, data):
    def broken(images):
        logits = model(images).clone()
        logits[(images == data[0][9]).flatten(1).all(1)] = torch.nan
        return logits

    with pytest.raises(GauntletError, match=r"logits at or near image 109 are not finite"):
        crafted(broken, spec_of(), data)


def test_a_loss_that_needs_more_classes_ends_in_a_sentence(model, data):
    points = [{"kind": "apgd_t", "norm": "linf", "eps": 0.1, "steps": 3}]
    with pytest.raises(GauntletError, match="needs 4 classes or more; the model has 2: use margin"):
        crafted(model, spec_of() | {"points": points}, data)
