"""External models in a configuration: runs, specifications, and what stands beside them."""

import pytest
import yaml

from gauntlet.study import specs
from gauntlet.study.matrix import AS_GIVEN, external_models
from gauntlet.study.own_files import own_file_problems
from gauntlet.study.specs_models import import_spec
from tests.helpers.external_studies import GIVEN, LAYERS, SHA, study
from tests.helpers.overlays import ROOT, all_specs, completed


@pytest.mark.parametrize(
    "settings",
    [
        GIVEN,
        GIVEN | {"weights": "https://a.b/w.pt?download=1", "sha256": SHA},
        {"arch": "factory", "factory": "a.b:c", "weights": "own", "arguments": {"model": {"x": 1}}},
        {"arch": "onnx", "weights": "results/made.onnx", "input_range": [0, 255]},
        {"arch": "declared", "weights": "w.pt", "layers": LAYERS},
    ],
)
def test_an_external_model_stands_once_with_the_first_seed(settings):
    config = completed(study(settings))
    (run,) = specs.runs(config, "s")
    assert run == ("digits", "theirs", AS_GIVEN, 3)
    made = specs.craft_spec(config, *run, "pgd40", "test")
    assert made["model"].keys().isdisjoint({"weights", "sha256", "expected_clean_accuracy"})
    assert specs.plugins(made)[-1] == f"gauntlet.models.{settings['arch']}"
    assert import_spec(config, "digits", "theirs", 3)["model"] == made["model"]


def test_the_example_is_valid_and_takes_what_the_run_itself_makes():
    text = (ROOT / "config" / "external.yaml").read_text()
    config = completed(yaml.safe_load(text))
    assert own_file_problems(config) == []
    names = external_models(config, "external")
    assert {config["models"][name]["arch"] for name in names} == {
        *("article_cnn", "declared", "torchscript", "exported", "onnx")
    }
    assert all(all_specs(config, study) for study in config["run"])


def test_a_mixed_study_crosses_only_what_is_trained():
    mixed = study(models=["article_cnn", "theirs"], defenses=[AS_GIVEN, "baseline", "pgd_at"])
    mixed["studies"]["s"]["transfer"] = {"source": "all", "attacks": ["pgd40"]}
    config = completed(mixed)
    runs = specs.runs(config, "s")
    assert [run[1:] for run in runs] == [
        *[("article_cnn", name, seed) for name in ("baseline", "pgd_at") for seed in (3, 4)],
        ("theirs", AS_GIVEN, 3),
    ]
    assert specs.transfer_sets(config, "s", AS_GIVEN) == []
    assert specs.transfer_sets(config, "s", "pgd_at") == [("baseline", "pgd40")]
    assert specs.table_spec(config, "s")["external"] == ["theirs"]


def test_own_models_have_the_specifications_that_they_had():
    config = completed()
    made = specs.craft_spec(config, "digits", "article_cnn", "baseline", 0, "fgsm", "test")
    assert made["model"] == {"arch": "article_cnn", "channels": None, "hidden": None}
    assert "external" not in specs.table_spec(config, "quickstart")


def test_declared_layers_may_be_trained_here():
    config = completed({"models": {"mine": {"arch": "declared", "layers": LAYERS}}})
    assert config["models"]["mine"]["layers"][0]["groups"] == 1


def test_an_edit_of_a_factorys_file_is_another_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = completed(study({"arch": "factory", "factory": "nets.mine:make", "weights": "own"}))
    run = ("digits", "theirs", AS_GIVEN, 3, "pgd40", "test")
    sources = []
    for text in (None, "a = 1", "a = 2"):
        if text:
            (tmp_path / "nets").mkdir(exist_ok=True)
            (tmp_path / "nets" / "mine.py").write_text(text)
        sources.append(specs.craft_spec(config, *run)["model"]["source"])
    assert sources[0] is None and len(set(sources)) == 3
