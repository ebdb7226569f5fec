"""The entry of attacks: the caller's settings change nothing, what is wrong is named."""

import inspect

import pytest
import torch

from gauntlet.attacks import bind
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugins import load
from tests.helpers.attacked import SETTINGS, data, network, predicted, run, same
from tests.helpers.bad_inputs import BAD

GRADIENTS = ("pgd", "apgd", "gauntlet", "deepfool", "ddn", "cw", "fmn", "fab_t")


@pytest.mark.parametrize("kind", SETTINGS)
def test_no_images_give_an_empty_result(kind, case):
    model, images, labels = case
    result, one = (run(kind, model, images[:n], labels[:n]) for n in (0, 1))
    assert result.images.shape == (0, 1, 8, 8) and result.success_query.shape == (0,)
    assert result.members == one.members
    assert (result.success_by is None) == (one.success_by is None)


@pytest.mark.parametrize("kind", GRADIENTS)
@pytest.mark.parametrize("setting", ["inference", "no_grad", "autocast", "float64", "graph"])
def test_the_callers_settings_change_nothing(kind, setting, case):
    model, images, labels = case
    plain = run(kind, model, images, labels)
    contexts = {
        "inference": torch.inference_mode(),
        "no_grad": torch.no_grad(),
        "autocast": torch.autocast("cpu", torch.bfloat16),
    }
    given = images.clone().requires_grad_(True) if setting == "graph" else images
    try:
        if setting == "float64":
            torch.set_default_dtype(torch.float64)
        with contexts.get(setting, torch.enable_grad()):
            given = given.clone() if setting == "inference" else given
            found = run(kind, model, given, labels.clone())
            assert torch.is_inference_mode_enabled() == (setting == "inference")
            assert torch.is_autocast_enabled("cpu") == (setting == "autocast")
        assert torch.get_default_dtype() == (torch.float64 if setting == "float64" else torch.float)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(plain, found) and not found.images.requires_grad
    assert not found.images.is_inference()


@pytest.mark.parametrize("kind", ["pgd", "gauntlet", "autoattack", "cw", "square"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "uint16", "uint32"])
def test_labels_of_any_integer_type_are_taken(kind, dtype, case):
    model, images, labels = case
    plain = run(kind, model, images, labels)
    assert same(plain, run(kind, model, images, labels.to(getattr(torch, dtype))))


@pytest.mark.parametrize("kind", ["pgd", "gauntlet", "autoattack", "square", "cw", "corruptions"])
@pytest.mark.parametrize("name", BAD)
def test_other_inputs_are_named_in_one_sentence(kind, name, case):
    change, words = BAD[name]
    with pytest.raises(ValueError, match=words) as caught:
        run(kind, case[0], *change(*case[1:]))
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_streams_of_other_images_are_named(case):
    with pytest.raises(ValueError, match="There are 3 streams"):
        run("pgd", *case, streams=Streams.of_images(0, range(3)))


WRONG = [
    ("pgd", {"loss": "mse"}, "allowed are ce, margin, dlr"),
    ("apgd", {"loss": "mse"}, "allowed are ce, margin, dlr"),
    ("apgd_t", {"loss": "ce"}, "allowed are dlr, margin"),
    ("pgd", {"restarts": 2, "early_stop": False}, "restarts is 2 with early_stop off"),
    ("apgd", {"restarts": 2, "early_stop": False}, "restarts is 2 with early_stop off"),
    ("pgd", {"steps": 2.5}, "steps is 2.5"),
    ("pgd", {"steps": None}, "steps is None"),
    ("pgd", {"step": -0.1}, "step is -0.1"),
    ("pgd", {"step": float("nan")}, "step is nan"),
    ("fgsm", {"step": float("inf")}, "step is inf"),
    ("pgd", {"eps": float("nan")}, "eps is nan"),
    ("apgd", {"norm": "l3"}, "norm is 'l3'"),
    ("mifgsm", {"momentum": -1.0}, "momentum is -1.0"),
    ("spsa", {"samples": 3}, "samples is 3"),
]


@pytest.mark.parametrize(("kind", "change", "words"), WRONG)
def test_wrong_settings_are_named(kind, change, words, case):
    with pytest.raises(ValueError, match=words):
        run(kind, *case, **change)


@pytest.mark.parametrize(("kind", "classes"), [("pgd", 2), ("apgd", 2), ("apgd_t", 3)])
def test_the_ratio_of_logits_needs_more_classes(kind, classes):
    model, images = network(classes), data()
    with pytest.raises(ValueError, match=f"the model has {classes}: use margin"):
        run(kind, model, images, predicted(model, images), loss="dlr")


def test_a_function_of_ones_own_is_checked_too(monkeypatch, case):
    def mine(model, images, labels, *, streams):
        return labels.dtype

    monkeypatch.setattr("gauntlet.attacks.load", lambda family, name: mine)
    model, images, labels = case
    assert bind({"kind": "mine"})(model, images, labels.to(torch.uint8)) == torch.int64
    with pytest.raises(ValueError, match="images range"):
        bind({"kind": "mine"})(model, images + 1, labels)


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_are_still_read_from_the_function(kind):
    names = inspect.signature(load("attacks", kind)).parameters
    assert list(names)[:4] == ["model", "images", "labels", "streams"]
    assert set(SETTINGS[kind]) <= set(names)
