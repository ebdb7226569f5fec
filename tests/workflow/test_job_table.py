"""The table of jobs, compared with the rules and with the graph that Snakemake itself finds."""

import re
import subprocess
import sys
from collections import Counter

import pytest
import yaml

from gauntlet.core.plugins import ENVIRONMENT
from gauntlet.study.cost.estimate import load_config
from gauntlet.study.job_table import JOBS, SHARDED, graph_spec, rule_edges, script_of
from gauntlet.study.plan import Plan
from tests.helpers.places import ROOT, SCRIPTS
from tests.helpers.snakes import STUDY, merged

pytestmark = pytest.mark.workflow

ASKED = ("all", "gates", "references", "searches")  # rules that only ask for what others make
CALLED = ("compare_reference", "verify_reference")  # made when they are asked for by name
MADE = "results/runs/digits/article_cnn/pgd_at/seed0"
# One study in which every rule has a job, and every need of the table is used.
WHOLE = {
    "requirements": {"release": {"defense": "pgd_*", "clean": 0.1}},
    "models": {
        "wide": {"arch": "mlp", "hidden": [8]},
        "own": {"arch": "article_cnn", "weights": f"{MADE}/best.pt"},
        "exported": {"arch": "onnx", "weights": f"{MADE}/export/model.onnx"},
        "fine": {"arch": "torchvision", "name": "resnet18", "pretrained": True},
        "web": {"arch": "onnx", "weights": "https://a.b/net.onnx", "sha256": "0" * 64},
    },
    "attacks": {"near": {"kind": "pgd", "norm": "linf", "eps": 0.01, "steps": 2}},
    "certificates": {"ibp": {"kind": "ibp", "norm": "linf", "eps": 0.02}},
    "defenses": {
        "further": {"kind": "adversarial", "attack": "pgd3", "init": "baseline"},
        "taught": {
            "kind": "rslad",
            "attack": "pgd3",
            "teacher": {"model": "own", "defense": "as_given"},
        },
        "ensemble": {
            "kind": "ensemble",
            "attack": "quick",
            "sources": [
                {"model": "article_cnn", "defense": "baseline"},
                {"model": "wide", "defense": "pgd_at"},
                {"model": "exported", "defense": "as_given"},
            ],
        },
        "found": {"from_search": "find"},
        "found_taught": {"from_search": "alike"},
        "found_among": {"from_search": "among"},
        "found_finer": {"from_search": "finer"},
    },
    "searches": {
        "find": {
            "defense": "pgd_at",
            "dataset": "digits",
            "model": "article_cnn",
            "ranges": {"attack.steps": {"low": 1, "high": 4}},
            "trials": 3,
            "parallel": 2,
            "seeds": [0, 100],
            "training": {"init": "baseline"},
        },
        "alike": {
            "defense": "taught",
            "dataset": "digits",
            "model": "article_cnn",
            "ranges": {"learning_rate": {"low": 0.001, "high": 0.1}},
            "trials": 1,
        },
        "among": {
            "defense": "ensemble",
            "dataset": "digits",
            "model": "article_cnn",
            "ranges": {"epochs": {"low": 1, "high": 2}},
            "trials": 2,
        },
        "finer": {
            "defense": "baseline",
            "dataset": "digits",
            "model": "fine",
            "ranges": {"epochs": {"low": 1, "high": 2}},
            "trials": 1,
        },
    },
    "preprocess": {
        "jpeg": {"kind": "jpeg"},
        "denoise": {"kind": "denoising_autoencoder", "attack": "pgd3"},
    },
    "studies": {
        "tiny": {
            "models": ["article_cnn", "own", "exported", "web", "fine"],
            "defenses": [
                "baseline",
                "pgd_at",
                "static",
                "further",
                "taught",
                "ensemble",
                "found",
                "found_taught",
                "found_among",
                "found_finer",
                "as_given",
            ],
            "attacks": ["quick", "near", "pgd3"],
            "certificates": ["ibp"],
            "preprocess": ["jpeg", "denoise"],
            "audit": ["gradients"],
        }
    },
}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    """Reading a configuration names its folders of plug-ins in the environment."""
    monkeypatch.setenv(ENVIRONMENT, "[]")


def graph(folder, shards):
    """Give Snakemake's own edges between jobs, counted by (rule, rule that reads its files)."""
    overlay = folder / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(merged(STUDY, WHOLE) | {"compute": {"shards": shards}}))
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--dag"]
    command += ["--configfile", str(overlay), "--directory", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    rules = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)', done.stdout, re.M))
    arrows = re.findall(r"^\s*(\d+) -> (\d+)$", done.stdout, re.M)
    edges = Counter((rules[source], rules[reader]) for source, reader in arrows)
    return Counter({edge: n for edge, n in edges.items() if edge[1] not in ASKED}), overlay


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Snakemake's graph of the whole study, and of the same with two shards for each attack."""
    return {n: graph(tmp_path_factory.mktemp(f"shards{n}"), n) for n in (1, 2)}


@pytest.mark.parametrize("shards", [1, 2])
def test_the_plan_has_snakemakes_edges_job_by_job(graphs, shards):
    found, overlay = graphs[shards]
    plan = Plan(load_config([overlay]))
    planned = Counter(
        (plan.jobs[need].rule, job.rule) for job in plan.jobs.values() for need in job.needs
    )
    assert planned == found


def test_the_table_has_snakemakes_edges_and_no_others(graphs):
    # No study exports an external model again; a target on the command line can.
    table = set(rule_edges()) - {("import_model", "export_model")}
    table = {edge for edge in table if edge[1] not in CALLED}
    found = {edge for edges, _ in graphs.values() for edge in edges}
    # A table row names craft_examples; with shards, gather_examples makes the same files.
    found = {tuple("craft_examples" if r == "gather_examples" else r for r in e) for e in found}
    own = ("craft_shard", "craft_examples")
    assert found - {own} == {edge for edge in table if edge[1] != "gather_examples"}
    assert own in found and ("craft_shard", "gather_examples") in table


def test_what_is_asked_for_by_name_reads_what_the_table_says(tmp_path):
    command = [sys.executable, "-m", "snakemake", "references", "-s", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--dag"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    rules = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)', done.stdout, re.M))
    arrows = re.findall(r"^\s*(\d+) -> (\d+)$", done.stdout, re.M)
    found = {(rules[a], rules[b]) for a, b in arrows if rules[b] in CALLED}
    audits = {(rule, CALLED[0]) for rule in ("audit_model", "rerun_attack", "import_model")}
    assert found == {edge for edge in rule_edges() if edge[1] in CALLED} - audits


def test_the_figure_shows_edges_of_the_table_only():
    shown = {tuple(edge) for edge in graph_spec(load_config([]), "quickstart")["edges"]}
    assert shown < set(rule_edges())
    assert not {rule for edge in shown for rule in edge} & set(SHARDED)
    assert {rule for edge in shown for rule in edge} | {*SHARDED, *CALLED, "export_model"} >= {
        rule for rule in JOBS if rule != "plot_rulegraph"
    }


def test_rules_and_rows_are_the_same():
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    names = set(re.findall(r"^ *rule (\w+):", rules, re.M))
    names |= set(re.findall(r"^use rule \w+ as (\w+) with:", rules, re.M))
    assert names - set(ASKED) == set(JOBS)
    for name in JOBS:
        assert (SCRIPTS / f"{script_of(name)}.py").is_file(), name
        assert f'params_of("{name}")' in rules and f'sized("{name}")' in rules, name
