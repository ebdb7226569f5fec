"""Models from outside through the whole workflow: the same numbers as the model they came from."""

import copy
import csv
import hashlib
import json
import re

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.models.external.downloads import fetch_weights
from tests.helpers.servers import serving
from tests.helpers.snakes import STUDY, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

RUN = "results/runs/digits/article_cnn/baseline/seed0/"
LAYERS = [
    {"layer": "conv2d", "channels": 4, "kernel": 3, "padding": 1},
    {"layer": "max_pool2d", "kernel": 2},
    {"layer": "relu"},
    {"layer": "conv2d", "channels": 8, "kernel": 3, "padding": 1},
    {"layer": "max_pool2d", "kernel": 2},
    {"layer": "relu"},
    {"layer": "flatten"},
    {"layer": "linear", "features": 16},
    {"layer": "relu"},
    {"layer": "linear", "features": 10},
]
MODELS = {
    "ours": {"arch": "article_cnn", "channels": [4, 8], "hidden": 16, "weights": f"{RUN}last.pt"},
    "declared": {"arch": "declared", "layers": LAYERS, "weights": f"{RUN}last.pt"},
    "torchscript": {"arch": "torchscript", "weights": f"{RUN}export/model.torchscript"},
    "exported": {"arch": "exported", "weights": f"{RUN}export/model.pt2"},
    "onnx": {"arch": "onnx", "weights": f"{RUN}export/model.onnx"},
}
DARK = {"input_range": [100, 101], "expected_clean_accuracy": 0.9}  # not what it takes
OVERLAY = merged(
    copy.deepcopy(STUDY),
    {
        # a script's gradients in a lower precision are rounded at other places
        "compute": {"precision": "float32"},
        "training": {"epochs": 12, "batch": 32, "learning_rate": 0.01},
        "datasets": {"digits": {"split": {"train_limit": 300}}},
        "models": MODELS | {"dark": MODELS["onnx"] | DARK},
        "studies": {
            "tiny": {
                "models": ["article_cnn", *MODELS, "dark"],
                "defenses": ["baseline", "as_given"],
                "attacks": ["quick", "pgd3", "ramp"],
                "transfer": {"source": "all", "attacks": ["pgd3"]},
                "seeds": [0, 1],
            }
        },
    },
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    home = house(tmp_path_factory.mktemp("external") / "house")
    (home / "printed").write_text(snakemake(home, study=OVERLAY))
    return home


def rows(home):
    with open(home / "results/studies/tiny/robustness.csv", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


NUMBERS = ("clean_accuracy", "robust_accuracy", "n", "mean_forwards")


@pytest.mark.parametrize("model", MODELS)
def test_an_external_model_has_its_originals_numbers(model, done):
    tables = {}
    for name, defense in (("article_cnn", "baseline"), (model, "as_given")):
        mine = [row for row in rows(done) if (row["model"], row["defense"]) == (name, defense)]
        tables[name] = [
            [row[key] for key in ("attack", "eps", *NUMBERS)] for row in mine if row["seed"] == "0"
        ]
    assert len(tables[model]) == 5 and tables[model] == tables["article_cnn"]
    clean, robust = (sorted({float(row[place]) for row in tables[model]}) for place in (2, 3))
    assert clean[0] > 0.6 and len(robust) > 1 and robust[0] < clean[0], "attacks take something"


@pytest.mark.parametrize("model", ["ours", "declared"])
def test_a_state_dict_gives_the_originals_examples_to_the_bit(model, done):
    for file in ("ledger.csv", "examples.npy"):
        path = f"attacks/pgd3/test/{file}"
        own = (done / RUN / path).read_bytes()
        assert (done / f"results/runs/digits/{model}/as_given/seed0" / path).read_bytes() == own


def test_a_study_takes_each_external_model_once_and_says_that_it_was_given(done):
    runs = {(row["model"], row["defense"], row["seed"]) for row in rows(done)}
    assert runs == {("article_cnn", "baseline", seed) for seed in "01"} | {
        (model, "as_given", "0") for model in [*MODELS, "dark"]
    }
    assert {row["selection"] for row in rows(done) if row["model"] == "onnx"} == {"as_given"}
    with open(done / "results/studies/tiny/timings.csv", encoding="utf-8") as stream:
        assert {row["model"] for row in csv.DictReader(stream)} == {"article_cnn"}
    record = json.loads(
        (done / "results/runs/digits/onnx/as_given/seed0/train.json").read_text(encoding="utf-8")
    )
    assert record["file"]["sha256"] == sha256(done / MODELS["onnx"]["weights"])


def test_nothing_is_stale_and_input_settings_make_one_model_stale(done):
    assert planned(done, OVERLAY) == {}
    change = {"models": {"onnx": {"input_range": [0, 2]}}}
    jobs = planned(done, merged(copy.deepcopy(OVERLAY), change))
    assert jobs["import_model"] == {"digits/onnx/0"} and "train_model" not in jobs
    assert {"onnx" in job for job in jobs["craft_examples"]} == {True}


def test_wrong_settings_are_reported_in_terminal_and_table(done):
    warning = r"clean accuracy is .* %.*: input settings"
    assert re.search(f"WARNING: .*model.onnx: {warning}", (done / "printed").read_text())
    for row in rows(done):
        assert bool(re.search(warning, row["warning"])) == (row["model"] == "dark"), row


def test_a_file_that_is_not_there_ends_the_run_before_any_job(done):
    change = {"models": {"onnx": {"weights": "nowhere.onnx"}}}
    study = merged(copy.deepcopy(OVERLAY), change)
    printed = snakemake(done, "-n", study=study, check=False)
    assert "models.onnx.weights is 'nowhere.onnx', but there is no such file" in printed
    assert "Traceback" not in printed


def test_weights_come_from_a_url_and_those_of_another_architecture_fail(done):
    torch.save({"fc.weight": torch.zeros(3, 3)}, done / "other.pt")
    content, digest = (done / MODELS["onnx"]["weights"]), sha256(done / MODELS["onnx"]["weights"])
    paths = {
        name: f"results/runs/digits/{name}/as_given/seed1/train.json" for name in ("web", "ours")
    }
    with serving({"/nets/net.onnx": content.read_bytes()}) as server:
        web = {"arch": "onnx", "weights": f"{server.url}/nets/net.onnx", "sha256": digest}
        change = {"models": {"web": web, "ours": {"weights": "other.pt"}}}
        study = merged(copy.deepcopy(OVERLAY), change)
        printed = snakemake(done, "-k", "--", *paths.values(), study=study, check=False)
    assert json.loads((done / paths["web"]).read_text())["file"]["name"] == "net.onnx"
    assert re.search(r"ERROR: import_model: other.pt is of another architecture: where .*", printed)
    assert not (done / paths["ours"]).exists()


@pytest.mark.parametrize("right", [True, False])
def test_a_download_must_have_its_checksum(right, tmp_path):
    digest = hashlib.sha256(b"net" if right else b"other").hexdigest()
    with serving({"/nets/net.onnx": b"net"}) as server:
        url = f"{server.url}/nets/net.onnx?download=1"
        server.files["/nets/net.onnx?download=1"] = b"net"
        if right:
            assert fetch_weights(url, digest, [], tmp_path).read_bytes() == b"net"
        else:
            with pytest.raises(GauntletError, match=f"has sha256 .*, not {digest}"):
                fetch_weights(url, digest, [], tmp_path)
