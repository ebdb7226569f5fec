"""Certificates check what they are given, as attacks do."""

import pytest
import torch

from gauntlet.certify.crown import crown
from gauntlet.certify.ibp import ibp
from gauntlet.certify.smoothing import smoothing
from tests.helpers.attacked import data, network, predicted
from tests.helpers.bad_inputs import BAD

KINDS = {
    "ibp": lambda *given: ibp(*given, eps=0.01, radius=False),
    "crown": lambda *given: crown(*given, eps=0.01),
    "smoothing": lambda *given: smoothing(*given, eps=0.1, sigma=0.1, n0=5, n=20),
}


@pytest.fixture(scope="module")
def case():
    model, images = network(), data(4)
    return model, images, predicted(model, images)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["normalized", "0 to 255", "bytes", "one image", "too high"])
def test_other_inputs_are_named(kind, name, case):
    model, images, labels = case
    change, words = BAD[name]
    with pytest.raises(ValueError, match=words.replace("12", "4").replace("1.6", "1.")):
        KINDS[kind](model, *change(images, labels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("setting", ["uint8", "inference", "autocast", "float64", "train", "none"])
def test_settings_of_the_caller_change_nothing(kind, setting, case):
    model, images, labels = case
    plain = KINDS[kind](model, images, labels)
    modes = {
        "inference": torch.inference_mode(),
        "autocast": torch.autocast("cpu", torch.bfloat16),
    }
    try:
        torch.set_default_dtype(torch.float64 if setting == "float64" else torch.float32)
        with modes.get(setting, torch.enable_grad()):
            model.train(setting == "train")
            truth = labels.to(torch.uint8) if setting == "uint8" else labels
            found = KINDS[kind](model, images.clone(), truth)
        assert model.training == (setting == "train")
    finally:
        torch.set_default_dtype(torch.float32)
        model.eval()
    assert torch.equal(plain.margin, found.margin)
    assert torch.equal(plain.certified, found.certified)


@pytest.mark.parametrize("kind", KINDS)
def test_no_images_give_an_empty_certificate(kind, case):
    found = KINDS[kind](case[0], case[1][:0], case[2][:0])
    assert found.certified.shape == found.radius.shape == (0,)
