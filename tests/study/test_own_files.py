"""The user's own files: there, and with names that Snakemake leaves as they are."""

import pytest

from gauntlet.study.own_files import own_file_problems
from tests.helpers.external_studies import study
from tests.helpers.overlays import BASE, completed
from tests.helpers.searched import searching

FOLDER = {"source": "image_folder", "size": [8, 8]}


def test_a_file_that_is_not_there_is_named_for_studies_that_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = completed(study() | {"run": ["s"]})
    (message,) = own_file_problems(config)
    assert "models.theirs.weights is 'theirs.pt'" in message and str(tmp_path) in message
    (tmp_path / "theirs.pt").write_bytes(b"x")
    assert own_file_problems(config) == []
    assert own_file_problems(completed(study())) == [] and BASE["run"] == ["quickstart"]


NAMES = {
    "run_{seed}.pt": "{seed}",
    "run_{ seed , [0-9]{2} }.pt": "{ seed , [0-9]{2} }",
    "a<b>.pt": "<b>",
    "{}.pt": "",
    "a{b.pt": "",
    "a<B>.pt": "",
    "$x {y z}.pt": "",
    "wei ghts/m\u00f6del (1) 'x'.pt": "",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_which_snakemake_would_replace_something_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    config = completed(study({"arch": "torchscript", "weights": name}) | {"run": ["s"]})
    found = own_file_problems(config)
    assert [f"would replace {NAMES[name]};" in text for text in found] == [True] * bool(NAMES[name])


def test_files_of_data_are_looked_at_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("{a}", "<b>"):
        (tmp_path / name).mkdir()
    (tmp_path / "{c}").write_text("3")
    split = {"test_indices": "{c}"}
    datasets = {"folder": FOLDER | {"path": "{a}"}, "zip": FOLDER | {"path": "<b>.zip"}}
    datasets["numbers"] = {"source": "sklearn_digits", "split": split}
    overlay = study() | {"run": ["s"], "datasets": datasets}
    overlay["studies"]["s"]["datasets"] = [*datasets]
    found = own_file_problems(completed(overlay))
    keys = ("models.theirs.weights", "datasets.zip.path", "datasets.numbers.split.test_indices")
    assert [text.startswith(key) for text, key in zip(found, keys, strict=True)] == [True] * 3


def test_files_of_a_search_are_looked_for_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = {"arch": "torchvision", "name": "resnet18", "pretrained": "typo.pth"}
    more = {"kind": "trades", "attack": "pgd7", "extra": {"path": "no.npz", "share": 0.5}}
    further = {"models": {"net": net}, "defenses": {"more": more}}
    found = own_file_problems(searching({"model": "net", "defense": "more"}, further))
    assert "models.net.pretrained is 'typo.pth'" in found[0]
    assert "training.extra.path is 'no.npz'" in found[1]
