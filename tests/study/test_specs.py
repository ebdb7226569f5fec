"""Specifications: what decides each kind of job, and nothing else."""

import json
import os
import subprocess
import sys
import time

import pytest

from gauntlet.study import specs
from gauntlet.study.defenses import Crafted, Made, init_source, needed_crafted
from gauntlet.study.schema import complete
from tests.helpers.overlays import BASE, ROOT, SCHEMA, all_specs, completed, laid_over

COMPUTED = ("train", "craft", "transfer")


def changed(before: dict, after: dict) -> set[str]:
    """Name the kinds of jobs, and whose, that two sets of specifications differ in."""
    jobs = {job for job in before.keys() & after.keys() if before[job] != after[job]}
    return {job.replace(" digits article_cnn", "").rstrip("012").strip() for job in jobs}


def test_specs_hold_json_in_sorted_order():
    for job, made in all_specs(completed()).items():
        text = json.dumps(made, allow_nan=False)
        assert json.dumps(made, sort_keys=True) == text, job
        assert json.loads(text) == made, job


def test_specs_of_models_name_no_definition():
    words = {
        "digits",
        *BASE["attacks"].keys() - {"fgsm"},  # also a kind
        *BASE["defenses"].keys() - {"static", "trades"},  # also kinds
    }
    for job, made in all_specs(completed()).items():
        if job.split()[0] in COMPUTED:
            assert not words & set(json.dumps(made).split('"')), job


PGD_AT = {"train pgd_at"}
EDITS = {
    "an unrelated defense": ({"defenses": {"new": {"kind": "trades", "attack": "pgd7"}}}, set()),
    "an unrelated attack": ({"attacks": {"new": {"kind": "pgd", "eps": 1}}}, set()),
    "an unrelated study": (
        {"studies": {"new": BASE["studies"]["quickstart"] | {"seeds": [7]}}, "run": ["new"]},
        set(),
    ),
    "the mirrors": ({"mirrors": ["https://mirror.example"]}, set()),
    "a default written out": ({"training": {"momentum": 0.9}}, set()),
    "eps as a fraction": ({"attacks": {"pgd7": {"eps": "15/100"}}}, set()),
    "draws of an attack that only trains": ({"attacks": {"pgd7": {"loss_draws": 9}}}, set()),
    "the look of figures": ({"figures": {"dpi": 99}}, {"figure"}),
    "a seed more": ({"studies": {"quickstart": {"seeds": [0, 1, 2, 3]}}}, {"table", "figure"}),
    "one defense's epochs": ({"defenses": {"pgd_at": {"epochs": 7}}}, PGD_AT),
    "one defense's devices": ({"defenses": {"pgd_at": {"devices": 2}}}, PGD_AT),
    "one defense's start": ({"defenses": {"pgd_at": {"init": "baseline"}}}, PGD_AT),
    "an attack inside two defenses": (
        {"attacks": {"pgd7": {"eps": 0.1}}},
        {"train pgd_at", "train trades"},
    ),
    "an attack's eps": (
        {"attacks": {"pgd40": {"eps": 0.1}}},
        {f"craft pgd40 {defense}" for defense in BASE["defenses"]}
        | {f"transfer pgd40 {defense}" for defense in BASE["defenses"] if defense != "baseline"},
    ),
    "an attack's draws": (
        {"attacks": {"fgsm": {"loss_draws": 1}}},
        {f"craft fgsm {defense}" for defense in BASE["defenses"]},
    ),
    "the validation attack": (
        {"attacks": {"pgd10": {"steps": 11}}},
        {f"train {defense}" for defense in BASE["defenses"]},
    ),
    "the division": ({"datasets": {"digits": {"split": {"seed": 1}}}}, {"split digits"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_exactly_these_specs(edit):
    overlay, expected = EDITS[edit]
    before, after = all_specs(completed()), all_specs(completed(overlay))
    assert changed(before, after) == expected


@pytest.mark.parametrize("compute", [{"threads": 2}, {"device": "cuda"}, {"batch": 7}])
def test_the_machine_share_is_in_every_computed_spec(compute):
    before, after = all_specs(completed()), all_specs(completed({"compute": compute}))
    for job in before:
        assert (before[job] != after[job]) == (job.split()[0] in COMPUTED), job


def test_what_a_training_spec_resolves():
    config = completed({"defenses": {"pgd_at": {"epochs": 3, "init": "baseline"}}})
    made = specs.train_spec(config, "digits", "article_cnn", "pgd_at", "2")
    assert (made["seed"], made["training"]["epochs"], made["training"]["init"]) == (2, 3, True)
    assert made["defense"].keys() == {"kind", "attack", "clean_share", "label_smoothing"}
    assert made["defense"]["attack"]["steps"] == 7
    assert made["training"]["validation_attack"]["steps"] == 10
    static = specs.train_spec(config, "digits", "article_cnn", "static", 0)
    assert static["defense"] == {"kind": "static", "clean_share": 0.5}


def test_training_takes_one_draw_and_transfer_the_points_alone():
    config, run = completed(), ("digits", "article_cnn", "baseline", 0)
    assert specs.craft_spec(config, *run, "pgd40", "test")["loss_draws"] == 3
    assert specs.craft_spec(config, *run, "pgd40", "train")["loss_draws"] == 1
    made = specs.transfer_spec(config, *run, "baseline", "pgd40")
    assert made["points"] == [{"eps": 0.15, "kind": "pgd", "norm": "linf"}]


def test_who_needs_whom():
    config = completed()
    assert [init_source(config, name) for name in ("pgd_at", "static")] == [None, "baseline"]
    assert needed_crafted(config, "pgd_at") == []
    assert needed_crafted(config, "static") == [Crafted(Made(None, "baseline"), "pgd40")]
    assert specs.transfer_sets(config, "quickstart", "baseline") == []
    assert specs.transfer_sets(config, "quickstart", "noise") == [("baseline", "pgd40")]
    runs = specs.runs(config, "quickstart")
    assert len(runs) == 18
    assert runs[1] == ("digits", "article_cnn", "baseline", 1)


def test_plugins_are_the_modules_that_a_spec_names():
    config, run = completed(), ("digits", "article_cnn", "trades", 0)
    assert specs.plugins(specs.train_spec(config, *run)) == [
        "gauntlet.attacks.pgd",
        "gauntlet.models.article_cnn",
        "gauntlet.training.defenses.trades",
    ]
    assert specs.plugins(specs.craft_spec(config, *run, "fgsm", "test")) == [
        "gauntlet.attacks.fgsm",
        "gauntlet.models.article_cnn",
    ]
    assert specs.plugins(specs.data_spec(config, "digits")) == ["gauntlet.data.sklearn_digits"]
    assert specs.plugins(specs.table_spec(config, "quickstart")) == []


DEVICES = [
    # environment, files, programs, device
    ({}, [], [], "cpu"),
    ({}, ["/dev/nvidia0"], [], "cuda"),
    ({"CUDA_VISIBLE_DEVICES": ""}, ["/dev/nvidia0"], ["nvidia-smi"], "cpu"),
    ({"CUDA_VISIBLE_DEVICES": "-1"}, ["/dev/nvidia0"], [], "cpu"),
    ({"CUDA_VISIBLE_DEVICES": "1"}, [], ["nvidia-smi"], "cuda"),
    ({"CUDA_VISIBLE_DEVICES": "1"}, [], [], "cpu"),
    ({}, [], ["nvidia-smi"], "cpu"),
]


@pytest.mark.parametrize(("environ", "files", "programs", "kind"), DEVICES)
def test_auto_finds_the_device(environ, files, programs, kind):
    fakes = {
        "environ": environ,
        "exists": lambda path: path in files,
        "which": lambda name: name if name in programs else None,
    }
    assert specs.device_kind({"compute": {"device": "auto"}}, **fakes) == kind
    assert specs.device_kind({"compute": {"device": "cpu"}}, **fakes) == "cpu"


def test_auto_on_an_apple_machine_is_the_cpu(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Darwin", "mac", "24", "", "arm64")))
    fakes = {"environ": {}, "exists": lambda path: False, "which": lambda name: None}
    assert specs.device_kind({"compute": {"device": "auto"}}, **fakes) == "cpu"


def test_a_study_of_five_thousand_jobs_is_completed_and_specified_quickly():
    big = BASE["studies"]["quickstart"] | {"seeds": list(range(170))}
    config = laid_over({"studies": {"big": big}, "run": ["big"]})
    started = time.perf_counter()
    filled = complete(config, SCHEMA)
    middle = time.perf_counter()
    assert len(all_specs(filled, "big")) > 5000
    assert middle - started < 1
    assert time.perf_counter() - middle < 5


def test_parsing_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pandas', 'matplotlib', 'snakemake'}"
    code = "import sys, gauntlet.study.schema, gauntlet.study.specs"
    code += f"; print({heavy} & sys.modules.keys())"
    light = "import sys, gauntlet.study.specs; print({'yaml', 'jsonschema'} & sys.modules.keys())"
    for text in (code, light):
        command = [sys.executable, "-c", text]
        environ = {"PYTHONPATH": str(ROOT / "workflow" / "lib")}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"
