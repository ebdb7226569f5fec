"""A small study with certificates through Snakemake: intervals, spared images, what is stale."""

import copy
import csv
import json

import pytest

from tests.helpers.snakes import STUDY, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

CERTIFIED = {
    "models": {"net": {"arch": "mlp", "hidden": [16]}},
    "training": {"epochs": 4},
    "datasets": {"digits": {"split": {"train_limit": 600}}},
    "attacks": {
        "quick": {"eps": 0.02},
        "near": {"kind": "fmn", "norm": "linf", "eps": [0.01, 0.02, 0.05], "steps": 10},
        "long": {"kind": "pgd", "norm": "l2", "eps": 0.1, "steps": 3, "loss_draws": 0},
    },
    "certificates": {
        "crown": {"kind": "crown", "norm": "linf", "eps": [0.01, 0.02], "radius": True},
        "ibp": {"kind": "ibp", "norm": "linf", "eps": 0.02},
        "smooth": {"kind": "smoothing", "sigma": 0.25, "eps": [0.1, 0.3], "n": 200, "n0": 20},
    },
    "defenses": {"noisy": {"kind": "gaussian_noise", "sigma": 0.25, "selection": "last"}},
    "studies": {
        "tiny": {
            "models": ["net"],
            "defenses": ["baseline", "noisy"],
            "attacks": ["quick", "near", "long"],
            "certificates": ["crown", "ibp", "smooth"],
            "spare_sample": 3,
            "transfer": None,
        }
    },
}
BELOW = {"evaluate_robustness", "collect_results", "publish_tables", "plot_robustness", "all"}
BELOW |= {"plot_tradeoff", "plot_curves", "plot_classes", "plot_passes", "plot_transfer"}
BELOW |= {"plot_bounds", "plot_radii", "plot_compute"}
RUN = "results/runs/digits/net"


def certified(change=None):
    study = merged(copy.deepcopy(STUDY), merged(CERTIFIED, change or {}))
    study["studies"]["tiny"].pop("transfer")
    return study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    home = house(tmp_path_factory.mktemp("certificates") / "house")
    snakemake(home, study=certified())
    return home


def read(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_bounds_do_not_cross_and_stand_in_every_table(done):
    study = done / "results/studies/tiny"
    summary = read(study / "summary.csv")
    met = [row for row in summary if row["certified_mean"]]
    assert {(row["norm"], row["eps"]) for row in met} == {
        ("linf", eps) for eps in ("0.01", "0.02", "0.05")
    }
    for row in met:
        assert float(row["certified_mean"]) <= float(row["robust_mean"])
        assert float(row["robust_mean"]) <= float(row["clean_mean"])
    assert max(float(row["certified_mean"]) for row in met) > 0.1
    assert "[certified, robust] linf 0.02" in (study / "summary.md").read_text()
    assert "smoothed classifier" in (study / "summary.md").read_text()
    assert r"[certified, robust] linf 0.02" in (study / "summary.tex").read_text()
    proven = read(study / "certificates.csv")
    assert [row["certificate"] for row in proven[:5]] == ["crown"] * 2 + ["ibp"] + ["smooth"] * 2
    smooth = [row for row in proven if row["certificate"] == "smooth" and row["eps"] == "0.1"]
    best = {row["defense"]: float(row["certified_accuracy"]) for row in smooth}
    assert best["noisy"] > 0.2 and {row["confidence"] for row in smooth} == {"0.999"}
    for name in ("bounds", "radii"):
        assert (study / f"figures/{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize("defense", ["baseline", "noisy"])
def test_certified_images_were_spared_but_for_a_sample(defense, done):
    folder = done / RUN / defense / "seed0"
    proofs = [read(folder / f"certificates/{name}/test/ledger.csv") for name in ("crown", "ibp")]
    radii = {}
    for row in (row for proof in proofs for row in proof):
        radii[row["index"]] = max(float(row["radius"]), radii.get(row["index"], 0.0))
    rows = read(folder / "attacks/quick/test/ledger.csv")
    covered = {row["index"] for row in rows if row["certified"] == "1"}
    assert covered == {index for index, radius in radii.items() if radius >= 0.02}
    attacked = {row["index"] for row in rows if row["forwards"] != "0"}
    assert len(covered & attacked) == min(3, len(covered)) and len(covered) > 3
    assert not any(row["success"] == "1" for row in rows if row["index"] in covered)
    assert "certified" not in read(folder / "attacks/long/test/ledger.csv")[0]  # another norm
    record = json.loads((folder / "attacks/quick/test/craft.provenance.json").read_text())
    assert sum("certificates" in path for path in record["inputs"]) == 2
    assert record["spec"]["spare"] == {"sample": 3}


CRAFTED = {f"{d}/0/{a}/test" for d in ("baseline", "noisy") for a in ("quick", "near")}
EDITS = {
    "nothing": ({}, set(), set(), set()),
    "smoothing": ({"certificates": {"smooth": {"n": 300}}}, BELOW, {"smooth"}, set()),
    "proof": (
        {"certificates": {"ibp": {"eps": 0.03}}},
        BELOW | {"plot_examples"},
        {"ibp"},
        CRAFTED,
    ),
    "sample": (
        {"studies": {"tiny": {"spare_sample": 5}}},
        BELOW | {"plot_examples"},
        set(),
        CRAFTED,
    ),
    "an attack": (
        {"attacks": {"long": {"eps": 0.2}}},
        BELOW | {"check_attacks"},
        set(),
        {"baseline/0/long/test", "noisy/0/long/test"},
    ),
    "one certificate less": (
        {"studies": {"tiny": {"certificates": ["crown", "ibp"]}}},
        BELOW,
        set(),
        set(),
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_exactly(edit, done):
    change, rules, certificates, crafted = EDITS[edit]
    jobs = planned(done, certified(change))
    made = {jobs_of.split("/")[-2] for jobs_of in jobs.pop("certify_robustness", ())}
    attacked = {name.split("net/")[1] for name in jobs.pop("craft_examples", ())}
    assert (made, attacked) == (certificates, crafted)
    last = {"complete_study"} if rules else set()
    assert set(jobs) - {"plot_examples"} == (rules - {"plot_examples"}) | last


def test_shards_spare_the_same_images(done):
    folder = f"{RUN}/baseline/seed0/attacks/quick/test"
    names = ("ledger.csv", "examples.npy", "draws.npy")
    whole = {name: (done / folder / name).read_bytes() for name in names}
    snakemake(done, "--set-scatter", "craft=3", "--", f"{folder}/ledger.csv", study=certified())
    for name in names:
        assert (done / folder / name).read_bytes() == whole[name]
