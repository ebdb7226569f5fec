"""Pretrained weights in a configuration: who downloads, who begins from them, what is refused."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study import job_needs, specs, specs_models
from gauntlet.study.own_files import own_file_problems
from tests.helpers.overlays import completed

RUN = {"dataset": "digits", "model": "m", "defense": "baseline", "seed": "0"}


def config(pretrained, defense="baseline", **more):
    model = {"arch": "torchvision", "name": "resnet18", "pretrained": pretrained, **more}
    lists = {"datasets": ["digits"], "models": ["m"], "defenses": [defense], "attacks": ["fgsm"]}
    study = {"s": lists | {"seeds": [0]}}
    return completed({"run": ["s"], "models": {"m": model}, "studies": study})


def needs(settings, **names):
    return [job.rule for job in job_needs.pretrained_weights(settings, RUN | names)]


@pytest.mark.parametrize("chosen, name", [(True, "DEFAULT"), ("IMAGENET1K_V1", "IMAGENET1K_V1")])
def test_published_weights_are_downloaded_before_a_training(chosen, name):
    settings = config(chosen)
    assert needs(settings) == ["download_weights"]
    wanted = {"name": "resnet18", "pretrained": name}
    assert specs_models.weights_spec(settings, "m") == wanted
    assert specs.train_spec(settings, **RUN)["pretrained"] == name


def test_a_file_is_an_input_and_its_name_decides_nothing():
    settings = config("weights/mine.pth")
    assert needs(settings) == []
    assert specs.train_spec(settings, **RUN)["pretrained"] is None
    assert specs.train_spec(config("other.pth"), **RUN) == specs.train_spec(settings, **RUN)
    with pytest.raises(GauntletError, match="has no URL"):
        specs_models.weights_spec(settings, "m")


@pytest.mark.parametrize("chosen", [None, False])
def test_without_them_nothing_is_new(chosen):
    settings = config(chosen)
    assert needs(settings) == []
    assert "pretrained" not in specs.train_spec(settings, **RUN)


def test_a_training_that_goes_on_from_another_does_not_begin_from_them():
    settings = config(True, "static")
    assert needs(settings, defense="static") == []
    assert "pretrained" not in specs.train_spec(settings, **RUN | {"defense": "static"})


def test_attacks_do_not_depend_on_where_a_training_began():
    names = RUN | {"attack": "fgsm", "part": "test"}
    assert specs.craft_spec(config(True), **names) == specs.craft_spec(config(None), **names)


def test_a_file_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (sentence,) = own_file_problems(config("mine.pth"))
    assert sentence.startswith("models.m.pretrained is 'mine.pth', but there is no such file")
    (tmp_path / "mine.pth").write_bytes(b"x")
    assert own_file_problems(config("mine.pth")) == []


def test_an_own_file_may_have_its_own_input_settings():
    assert config("mine.pth", mean=0.5, std=0.5, input_size=[64, 64])
    assert config(True, input_size=[64, 64])


WRONG = {
    "a number": ({"pretrained": 3}, "m.pretrained is 3; allowed is true, the name of weights"),
    "two sources": (
        {"pretrained": True, "weights": "w.pt"},
        "m.pretrained is set, but the model comes with its weights",
    ),
    "two normalizations": (
        {"pretrained": True, "mean": 0.5},
        "m.mean is 0.5, but the pretrained weights bring their normalization",
    ),
    "a checksum": ({"pretrained": True, "sha256": "0" * 64}, "m.sha256 is"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named(case):
    change, said = WRONG[case]
    with pytest.raises(GauntletError) as error:
        config(**change)
    assert said in str(error.value)


def test_first_layers_can_keep_pretrained_weights():
    """The example of docs/how-to/bring_your_model.md."""
    frozen = {"defenses": {"baseline": {"freeze": 40}}}
    model = {"arch": "torchvision", "name": "resnet18"}
    lists = {"datasets": ["digits"], "models": ["m"], "defenses": ["baseline"], "attacks": ["fgsm"]}
    own = {"run": ["s"], "studies": {"s": lists | {"seeds": [0]}}} | frozen
    made = completed(own | {"models": {"m": model | {"pretrained": True}}})
    assert specs.train_spec(made, **RUN)["training"]["freeze"] == 40
    with pytest.raises(GauntletError, match="freeze is 40, .* models.m has no pretrained weights"):
        completed(own | {"models": {"m": model}})
