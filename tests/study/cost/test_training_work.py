"""Counted work of trainings against the passes that they really make."""

import pytest

from gauntlet.study.cost.dataset_sizes import DatasetSizes
from gauntlet.study.cost.work import work_of
from gauntlet.training import loop
from tests.helpers.tiny import PGD, SHAPE, given, model, part, spec

SIZES = DatasetSizes(train=48, validation=16, test=24, shape=SHAPE, classes=2)


def _shown(network, run):
    """Count the images that a network is shown while a function runs."""
    images = []
    hook = network.register_forward_hook(lambda _, given, __: images.append(len(given[0])))
    run()
    hook.remove()
    return sum(images)


@pytest.mark.parametrize("defense", ["standard", "gaussian_noise", "adversarial", "half_clean"])
@pytest.mark.parametrize("steps", [3, 6])
def test_forward_passes_of_a_training_are_counted(defense, steps):
    own, network = spec(defense), model()
    if "attack" in own["defense"]:
        own["defense"] = own["defense"] | {"attack": PGD | {"steps": steps, "restarts": 1}}
    message = work_of("train_model", own, SIZES)
    shown = _shown(network, lambda: loop.fit(network, own, part(48), part(16, seed=1)))
    watched = 2 * 16 * (3 + 2 + 4)  # validation in two epochs, which ends early for what falls
    trained = message.forwards - watched
    assert trained <= shown <= message.forwards
    assert message.updates == 2 * 48 * (2 if defense == "half_clean" else 1)


def test_forward_passes_of_trades_and_static_training_are_counted():
    for defense, more in (("trades", ()), ("static", (part(48).images,))):
        own, network = spec(defense), model()
        if "attack" in own["defense"]:
            own["defense"] = own["defense"] | {"attack": PGD | {"restarts": 1}}
        fit = (network, own, part(48), part(16, seed=1), *more)
        shown = _shown(network, lambda fit=fit: loop.fit(*fit))
        message = work_of("train_model", own, SIZES).forwards
        assert message - 2 * 16 * 9 <= shown <= message


INSIDE = {"n_fgsm": 1, "gradalign": 2, "smoothadv": 4}  # gradients by the image, per image
ONE_STEP = {"kind": "fgsm", "norm": "linf", "eps": 0.1, "step": 0.1}
COUNTED = {
    **dict.fromkeys(("n_fgsm", "free", "gradalign", "mart", "ard", "rslad", "consistency"), {}),
    **dict.fromkeys(("smoothadv", "noise_adversarial", "ensemble"), {}),
    "adversarial": {"awp": {"gamma": 0.01, "start": 0.0}},
    "standard": {"extra": {"share": 0.25}},
}


@pytest.mark.parametrize("defense", COUNTED)
def test_passes_of_every_defense_are_counted(defense):
    own, network, train = spec(defense, **COUNTED[defense]), model(), part(48)
    if "attack" in own["defense"]:
        own["defense"] = own["defense"] | {"attack": ONE_STEP}
    message = work_of("train_model", own, SIZES)
    needs = given(own, train)
    shown = _shown(network, lambda: loop.fit(network, own, train, part(16, seed=1), **needs))
    taught = 2 * 48 if "teacher" in needs else 0  # the teacher's own passes
    drawn = 2 * 48 if defense == "ensemble" else 0  # its attack is made for some batches only
    assert message.forwards - 2 * 16 * 9 - drawn <= shown + taught <= message.forwards
    attack = 2 * 48 if "attack" in own["defense"] and own["defense"]["attack"] else 0
    validated = work_of("train_model", spec("standard"), SIZES).backwards
    assert message.backwards == validated + attack + 2 * 48 * INSIDE.get(defense, 0)


def test_updates_are_counted():
    def updates(defense, **change):
        return work_of("train_model", spec(defense, **change), SIZES).updates / (2 * 48)

    assert updates("free") == 2 and updates("n_fgsm") == 1 and updates("gradalign") == 3
    assert updates("standard", awp={"gamma": 0.01, "start": 0.5}) == 1.5
    assert updates("standard", extra={"share": 0.5}) == 2
    assert updates("ard") == 2 and updates("smoothadv") == 2
