"""Edit -> exactly these jobs: by dry runs, after one real run of a small study."""

import copy
import os
import re
import shutil

import pytest

from tests.helpers.snakes import STUDY, finished, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

EVALUATE = {"evaluate_robustness", "collect_results", "publish_tables"}
TABLE_FIGURES = {"plot_robustness", "plot_tradeoff", "plot_curves", "plot_classes"}
TABLE_FIGURES |= {"plot_passes", "plot_transfer", "plot_bounds", "plot_radii", "plot_compute"}
FIGURES = TABLE_FIGURES | {"plot_training", "plot_examples", "plot_rulegraph"}
BELOW = EVALUATE | TABLE_FIGURES | {"all"}
RETRAINED = BELOW | {"train_model", "craft_examples", "plot_training", "plot_examples"}

# a change of the configuration -> rules that run, and parts of the wildcards of the computing jobs
EDITS = {
    "nothing": ({}, set(), {}),
    "plot style": ({"figures": {"dpi": 80}}, FIGURES | {"all"}, {}),
    "one attack's eps": (
        {"attacks": {"quick": {"eps": 0.12}}},
        BELOW | {"check_attacks"},
        {"craft_examples": {f"{d}/0/quick/test" for d in ("baseline", "pgd_at", "static")}},
    ),
    "one defense's epochs": (
        {"defenses": {"pgd_at": {"epochs": 2}}},
        BELOW | {"plot_training", "plot_examples"},
        {
            "train_model": {"pgd_at/0"},
            "craft_examples": {f"pgd_at/0/{a}/test" for a in ("quick", "pgd3", "ramp")},
            "transfer_examples": {"pgd_at/0/baseline/pgd3"},
        },
    ),
    "a new seed": (
        {"studies": {"tiny": {"seeds": [0, 1]}}},
        BELOW | {"plot_training", "plot_examples"},  # every figure names its seeds
        {
            "train_model": {f"{d}/1" for d in ("baseline", "pgd_at", "static")},
            "craft_examples": {
                *(
                    f"{d}/1/{a}/test"
                    for d in ("baseline", "pgd_at", "static")
                    for a in ("quick", "pgd3", "ramp")
                ),
                "baseline/1/pgd3/train",
            },
            "transfer_examples": {f"{d}/1/baseline/pgd3" for d in ("pgd_at", "static")},
        },
    ),
    "a new study that shares runs": (
        {
            "run": ["tiny", "more"],
            "attacks": {"other": {"kind": "fgsm", "norm": "linf", "eps": 0.2}},
            "studies": {
                "more": {
                    "datasets": ["digits"],
                    "models": ["article_cnn"],
                    "defenses": ["pgd_at"],
                    "attacks": ["quick", "other"],
                    "seeds": [0],
                }
            },
        },
        EVALUATE | FIGURES | {"all", "check_attacks"},
        {"craft_examples": {"pgd_at/0/other/test"}},
    ),
    "threads": ({"compute": {"threads": 2}}, RETRAINED | {"check_attacks"}, None),
    "an unused defense": ({"defenses": {"more": {"kind": "standard"}}}, set(), {}),
    "mirrors": ({"mirrors": ["/somewhere/else"]}, set(), {}),
}
# an edit of a file -> rules that run, wildcards of the computing jobs
CODE = {
    "docstring": ("lib/gauntlet/attacks/pgd.py", "Projected gradient descent.", "PGD.", set(), {}),
    "comment in a script": (
        "scripts/train_model.py",
        "    rescue =",
        "    # new\n    rescue =",
        set(),
        {},
    ),
    "an attack's code": (
        "lib/gauntlet/attacks/pgd.py",
        "require_not_negative(step=step)",
        "require_not_negative(step=step * 1)",
        RETRAINED | {"check_attacks"},
        None,
    ),
    "plotting code": (
        "lib/gauntlet/reporting/figures/tradeoff.py",
        "rows = read_rows(robustness)",
        "rows = list(read_rows(robustness))",
        {"plot_tradeoff", "all"},
        {},
    ),
    "a defense's code": (
        "lib/gauntlet/training/defenses/adversarial.py",
        "clean_share == 1",
        "clean_share == 1.0",
        BELOW | {"plot_training", "plot_examples"},
        {
            "train_model": {"pgd_at/0"},
            "craft_examples": {f"pgd_at/0/{a}/test" for a in ("quick", "pgd3", "ramp")},
            "transfer_examples": {"pgd_at/0/baseline/pgd3"},
        },
    ),
}
COMPUTING = ("train_model", "craft_examples", "transfer_examples")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("staleness"))


def _check(jobs, rules, computing):
    last = {"complete_study"} if rules else set()
    assert set(jobs) - set(COMPUTING) == (rules - set(COMPUTING)) | last
    if computing is None:
        assert {"train_model", "craft_examples"} <= set(jobs)
        return
    found = {
        rule: {w.split("article_cnn/")[1] for w in jobs[rule]} for rule in COMPUTING if rule in jobs
    }
    assert found == computing


@pytest.mark.parametrize("edit", EDITS)
def test_a_setting_reruns_exactly(edit, done):
    change, rules, computing = EDITS[edit]
    _check(planned(done, merged(copy.deepcopy(STUDY), change)), rules, computing)


@pytest.mark.parametrize("edit", CODE)
def test_code_reruns_exactly(edit, done):
    name, old, new, rules, computing = CODE[edit]
    path = done / "workflow" / name
    text = path.read_text()
    assert old in text
    try:
        path.write_text(text.replace(old, new))
        _check(planned(done), rules, computing)
    finally:
        path.write_text(text)


def test_shards_give_the_same_bytes(done, tmp_path):
    folder = "results/runs/digits/article_cnn/pgd_at/seed0/attacks/ramp/test"
    names = ("ledger.csv", "examples.npy", "draws.npy")
    split = tmp_path / "split"
    shutil.copytree(done, split)
    printed = snakemake(split, "--set-scatter", "craft=3", "--", f"{folder}/ledger.csv")
    assert re.search(r"\b3 craft_shard\b", printed) and re.search(r"\b1 gather_examples\b", printed)
    for name in names:
        assert (split / folder / name).read_bytes() == (done / folder / name).read_bytes()
    assert not list((split / folder).rglob("shards/*/*.npy"))


def test_moving_the_repository_reruns_nothing(done):
    moved = done.with_name("moved")
    os.rename(done, moved)
    try:
        assert planned(moved) == {}
    finally:
        os.rename(moved, done)


def test_another_working_directory_serves(done, tmp_path):
    printed = snakemake(done, "-n", "--directory", str(tmp_path))
    assert re.search(r"download_data +1\n", printed)


def test_provenance_tells_how_a_number_came_about(done):
    import json

    from gauntlet.core.files import sha256

    folder = done / "results/runs/digits/article_cnn/pgd_at/seed0/attacks/pgd3/test"
    record = json.loads((folder / "craft.provenance.json").read_text())
    weights = "results/runs/digits/article_cnn/pgd_at/seed0/best.pt"
    assert record["inputs"][weights] == sha256(done / weights)
    assert record["spec"]["points"][0]["eps"] == 0.1
    assert {"torch", "python"} <= record["versions"].keys()


def test_one_core_or_two_warm_or_cold_the_same_bytes(done, tmp_path):
    other = house(tmp_path / "other")
    files = ("best.pt", "last.pt", "history.csv")
    files += tuple(f"attacks/pgd3/test/{name}" for name in ("examples.npy", "ledger.csv"))
    runs = [f"results/runs/digits/article_cnn/{name}/seed0" for name in ("pgd_at", "static")]
    names = [f"{run}/{file}" for run in runs for file in files]
    snakemake(other, "--", *names, cores=1, warm=False)
    for name in names:
        assert (done / name).read_bytes() == (other / name).read_bytes(), name
