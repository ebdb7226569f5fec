"""`key.path=value`: values in the type that the schema wants, unknown keys with the nearest."""

import pytest

from gauntlet.cli.configuration import read_configuration
from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.overrides import merged, read_overrides
from gauntlet.core.locations import schema_path, workflow_home
from gauntlet.study.schema import complete, load_schema

CONVERTED = [
    ("training.epochs=2", 2),
    ("training.learning_rate=1e-4", 1e-4),
    ("compute.batch=null", None),
    ("run=quickstart", ["quickstart"]),
    ("studies.quickstart.seeds=0,1", [0, 1]),
    ("studies.quickstart.seeds=[3]", [3]),
    ("studies.quickstart.audit=true", True),
    ("attacks.fgsm.eps=8/255", "8/255"),
    ("attacks.fgsm.eps=0.1", 0.1),
    ("attacks.curve.eps=0.1,0.2", [0.1, 0.2]),
    ("attacks.mine={kind: pgd, eps: 0.1}", {"kind": "pgd", "eps": 0.1}),
    ("models.mine.weights=7", "7"),
    ("figures.style=default", "default"),
]
REFUSED = [
    ("training.epoch=2", "training.epoch is no known key; allowed are .* nearest is 'epochs'"),
    ("trainin.epochs=2", "trainin is no known key; .* nearest is 'training'"),
    ("training.epochs.more=2", "training.epochs.more is no known key; it has no keys below it"),
    ("attacks.fgsm.steps=2", "attacks.fgsm.steps is no known key"),
    ("training", "'training' is no setting; allowed is key.path=value"),
    ("training..epochs=2", "is no setting"),
    ("run=[", "run is '\\[', which is no value in YAML"),
    ("training.epochs=two", "training.epochs is 'two'; allowed is a whole number"),
    ("training.epochs=2.5", "training.epochs is 2.5; allowed is a whole number"),
    ("attacks.fgsm.eps=-1", "attacks.fgsm.eps is -1"),
    ("attacks.fgsm.eps=0.1,[", r"eps is '\[', which is no value in YAML"),
]


def _base():
    return read_base(workflow_home() / "config" / "config.yaml")


def read_base(path):
    import yaml

    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(("word", "value"), CONVERTED, ids=[word for word, _ in CONVERTED])
def test_a_value_gets_the_type_of_its_key(word, value):
    base = _base()
    base = merged(base, {"models": {"mine": {"arch": "onnx", "weights": "x"}}})
    found = read_overrides([word], base, load_schema(str(schema_path())))
    for key in word.partition("=")[0].split("."):
        found = found[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(("word", "sentence"), REFUSED, ids=[word for word, _ in REFUSED])
def test_a_wrong_setting_is_named_before_any_job(word, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageMistake, match=sentence):
        read_configuration(None, [word])
    assert not list(tmp_path.iterdir())


def test_settings_become_a_file_that_snakemake_can_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read_configuration("mnist", ["training.epochs=2", "compute.threads=3"])
    assert found.studies == ["mnist"]
    assert (found.whole["training"]["epochs"], found.whole["compute"]["threads"]) == (2, 3)
    assert [file.name for file in found.files][0] == "mnist.yaml"
    written = read_base(found.files[1])
    assert written == {"training": {"epochs": 2}, "compute": {"threads": 3}}
    laid = merged(merged(_base(), read_base(found.files[0])), written)
    assert complete(laid, schema_path()) == found.whole


def test_a_later_setting_sees_what_an_earlier_one_added():
    words = ["attacks.mine={kind: pgd, eps: 0.1}", "attacks.mine.steps=3"]
    found = read_overrides(words, _base(), load_schema(str(schema_path())))
    assert found == {"attacks": {"mine": {"kind": "pgd", "eps": 0.1, "steps": 3}}}
