"""Configurations that are right: defaults, overlays, and the specifications made from them."""

import pytest
import yaml

from gauntlet.study.attack_points import attack_points
from gauntlet.study.schema import complete
from tests.helpers.overlays import BASE, ROOT, SCHEMA, all_specs, completed, laid_over


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "article"])
def test_overlays_are_valid_and_run_their_own_studies(name):
    config = completed(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    assert "quickstart" not in config["run"]
    for study in config["run"]:
        datasets = config["studies"][study]["datasets"]
        assert {config["datasets"][dataset]["source"] for dataset in datasets} != {"sklearn_digits"}
        assert all_specs(config, study)


def test_the_input_stays_as_it_was_and_completing_twice_changes_nothing():
    config = laid_over()
    once = complete(config, SCHEMA)
    assert config == BASE
    assert complete(once, SCHEMA) == once


DEFAULTS = [
    ({}, "compute.device", "auto"),
    ({}, "training.momentum", 0.9),
    ({}, "training.init", "none"),
    ({}, "datasets.digits.split.train_limit", None),
    ({"datasets": {"d": {"source": "mnist"}}}, "datasets.d.split.test", None),
    ({"datasets": {"d": {"source": "mnist"}}}, "datasets.d.split.validation", 0.1),
    ({"datasets": {"d": {"source": "npz", "path": "x.npz"}}}, "datasets.d.images_key", "images"),
    ({"models": {"m": {"arch": "mlp"}}}, "models.m.hidden", [256, 128]),
    ({"attacks": {"a": {"kind": "pgd", "eps": 0.1}}}, "attacks.a.norm", "linf"),
    ({"attacks": {"a": {"kind": "pgd", "eps": 0.1}}}, "attacks.a.loss_draws", 0),
    ({"defenses": {"d": {"kind": "trades", "attack": "pgd7"}}}, "defenses.d.beta", 6.0),
]


@pytest.mark.parametrize(("overlay", "key", "value"), DEFAULTS)
def test_defaults_are_filled(overlay, key, value):
    found = completed(overlay)
    for part in key.split("."):
        found = found[part]
    assert found == value


def test_only_the_selected_branch_fills_its_defaults():
    config = completed()
    assert not {"draws", "steps", "sigma"} & config["attacks"]["fgsm"].keys()
    own = {"kind": "standard", "selection": "last", "label_smoothing": 0.0}
    assert config["defenses"]["baseline"] == own
    assert config["models"]["article_cnn"].keys() == {"arch", "channels", "hidden"}


@pytest.mark.parametrize("value", [0, 1, 0.5, "8/255", "0.5/255", "0/1", ["0/255", 0.1, "255/255"]])
def test_eps_may_be_a_number_a_fraction_or_an_ascending_list(value):
    completed({"attacks": {"a": {"kind": "fgsm", "eps": value}}})


POINTS = [
    ({"kind": "fgsm", "eps": "8/255"}, [(8 / 255, 8 / 255)]),
    ({"kind": "fgsm", "eps": 0.1, "random_start": True}, [(0.1, 0.125)]),
    ({"kind": "fgsm", "eps": 0.1, "random_start": True, "step": 0.0875}, [(0.1, 0.0875)]),
    ({"kind": "pgd", "eps": 0.2, "steps": 5}, [(0.2, 0.1)]),
    ({"kind": "pgd", "eps": 0.3, "steps": 3, "step": 0.1}, [(0.3, 0.1)]),
    ({"kind": "pgd", "eps": [0, "51/255"], "steps": 10}, [(0.0, 0.0), (0.2, 0.05)]),
    ({"kind": "pgd", "norm": "l2", "eps": 2, "steps": 10, "step": 0.2}, [(2.0, 0.2)]),
]


@pytest.mark.parametrize(("settings", "expected"), POINTS)
def test_an_attack_has_one_point_per_eps_with_its_step(settings, expected):
    points = attack_points(completed({"attacks": {"a": settings}})["attacks"]["a"])
    assert [(point["eps"], point["step"]) for point in points] == [
        pytest.approx(pair) for pair in expected
    ]
    assert all(type(value) is float for point in points for value in (point["eps"], point["step"]))
