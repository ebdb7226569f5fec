"""The audit's stages on files: a masked model is found, attacked again, and its number falls."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from evaluate_robustness import evaluate_robustness
from gauntlet.core import records
from gauntlet.evaluation import attack_ledger
from gauntlet.evaluation.summary import summarize
from gauntlet.reporting import audit_columns, cells, tables
from gauntlet.study import audit_gate
from publish_tables import publish_tables
from rerun_attack import rerun_attack
from tests.helpers import audited, tricks
from tests.helpers.audit_files import (
    NAMES,
    SPEC,
    N,
    audit,
    audit_folder,  # noqa: F401
    data,
    found_model,  # noqa: F401
)

RERUN = {
    **{key: SPEC[key] for key in ("model", "seed", "batch", "device", "threads")},
    **{
        "part": "test",
        "samples": 2,
        "queries": 60,
        "threats": [["l2", 0.5], ["linf", audited.EPS]],
    },
}


def rerun(folder, out, **change):
    paths = {"audit": "audit.json", "found": "found.csv", "known": "found.npy"}
    paths |= {"examples": "examples.npy", "ledger": "rerun.csv"}
    files = {name: str(out / file) for name, file in paths.items()}
    rerun_attack(**data(folder), **files, spec=RERUN | change)
    return np.load(out / "examples.npy")


def evaluate(folder, out, **more):
    check = out / "check.json"
    check.write_text(json.dumps({"passed": True, "reason": ""}))
    spec = NAMES | {"attacks": ["pgd"], "minimal": [], "transfer": [], "certificates": []}
    paths = [str(folder / "ledger.csv")], [str(check)], [], str(folder / "train.json")
    evaluate_robustness(*paths, str(out / "rows.csv"), str(out / "rows.json"), **more, spec=spec)
    return json.loads((out / "rows.json").read_text())["rows"]


def audited_paths(out):
    """Give the files of an audit and of a rerun as evaluations name them."""
    paths = {"audits": "audit.json", "found": "found.csv", "reruns": "rerun.csv"}
    return {name: [str(out / file)] for name, file in paths.items()}


def test_an_honest_model_is_not_attacked_again(files, model, tmp_path):
    record = audit(files, tmp_path)
    assert record["verdict"] in ("pass", "warn") and record["remedies"] == []
    assert [found["check"] for found in record["findings"]] == SPEC["checks"]
    assert record["n"] == 40 and "masked: pass" in (tmp_path / "audit.md").read_text()
    assert rerun(files, tmp_path).shape == (0, 1, 8, 8)
    assert not attack_ledger.has_rows(tmp_path / "rerun.csv")
    rows = evaluate(files, tmp_path, **audited_paths(tmp_path))
    assert {row["attack"] for row in rows} == {"pgd", "worst_case"}
    audit_of = {name: record[name] for name in ("verdict", "failed", "warned")}
    assert all(row["audit"] == audit_of for row in rows)
    with open(tmp_path / "rows.csv", newline="") as stream:
        texts = {row["audit"] for row in csv.DictReader(stream)}
    assert texts == {cells.audit_text(audit_of)}


def test_a_masked_model_is_found_attacked_again_and_marked(files, model, tmp_path):
    model[""] = tricks.Detached(model[""])
    record = audit(files, tmp_path)
    assert record["verdict"] == "fail" and record["remedies"] == ["straight_through"]
    assert record["failed"][:2] == ["gradients", "finite_differences"]
    page = (tmp_path / "audit.md").read_text()
    assert "masked: fail" in page and "| gradients | fail | zero 1," in page
    examples = rerun(files, tmp_path)
    assert examples.shape == (2 * N, 1, 8, 8) and examples.dtype == np.float32

    before = evaluate(files, tmp_path)
    after = evaluate(files, tmp_path, **audited_paths(tmp_path))
    assert len(before) == 1 and float(before[0]["robust_accuracy"]) > 0.9
    (worst,) = [row for row in after if row["attack"] == "worst_case" and row["norm"] == "linf"]
    assert float(worst["robust_accuracy"]) < float(before[0]["robust_accuracy"]) - 0.2
    assert next(iter(worst["success_by"])) == "rerun"
    _stands_on_the_saved_examples(files, tmp_path, model[""], examples, worst)

    summary = summarize(after)
    table = tables.headline_table(summary)
    assert "audit" in table.head and table.rows[0][-1] == "fail"
    assert any(cell.endswith("†") for cell in table.rows[0])
    assert any("fail (gradients" in line for line in audit_columns.lines(summary))


def _stands_on_the_saved_examples(folder, out, network, examples, worst):
    """Judge the saved examples by hand: in the ball, misclassified, as many as the table says."""
    test = audited.digits()[2]
    images, labels = test.images[:N], test.labels[:N]
    hostile = torch.from_numpy(examples[N:])  # l2 comes first
    assert float((hostile - images).abs().max()) <= audited.EPS * (1 + 1e-6)
    assert float(hostile.min()) >= 0 and float(hostile.max()) <= 1
    right = (network(images).argmax(1) == labels) & (network(hostile).argmax(1) == labels)
    assert float(worst["robust_accuracy"]) == pytest.approx(float(right.float().mean()), abs=1e-5)


def test_a_model_that_draws_random_numbers_goes_through(files, model, tmp_path):
    model[""] = tricks.RandomNoise(model[""])
    record = audit(files, tmp_path, checks=["randomness"])
    assert record["remedies"] == ["average"]
    rerun(files, tmp_path, threats=RERUN["threats"][1:])
    (first, *_) = attack_ledger.read_ledger(tmp_path / "rerun.csv", "rerun")
    rerun(files, tmp_path, threats=RERUN["threats"][1:])
    (again, *_) = attack_ledger.read_ledger(tmp_path / "rerun.csv", "rerun")
    assert np.array_equal(first.success, again.success) and first.success.any()


def test_summaries_and_tables_without_an_audit_stay_as_they_were(files, tmp_path):
    summary = summarize(evaluate(files, tmp_path))
    assert "audit" not in tables.headline_table(summary).head and audit_columns.lines(summary) == []


def test_tables_are_published_with_the_audit(files, model, tmp_path):
    audit(files, tmp_path)
    rerun(files, tmp_path)
    evaluate(files, tmp_path, **audited_paths(tmp_path))
    names = ("s.json", "s.csv", "s.md", "s.tex", "t.csv", "c.csv", "d.csv")
    rows, *outputs = (str(tmp_path / name) for name in ("rows.json", *names))
    spec = {"study": "mine", "baseline": None, "passes": []}
    publish_tables(rows, [], [], [rows], *outputs, spec=spec)
    assert "| audit" in (tmp_path / "s.md").read_text()
    assert "Audit: the worst verdict" in (tmp_path / "s.tex").read_text()


def test_a_model_that_is_never_right_is_not_audited(files, model, tmp_path):
    model[""] = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with torch.no_grad():
        model[""][1].weight.zero_()
        model[""][1].bias.copy_(torch.tensor([1.0] + [0.0] * 9))
    labels = np.load(files / "labels.npy")
    assert (labels[300:] == 0).any()
    shutil.copytree(files, tmp_path / "other")
    np.save(tmp_path / "other" / "labels.npy", np.maximum(labels, 1))
    record = audit(tmp_path / "other", tmp_path)
    assert record["verdict"] == "error" and record["remedies"] == []
    assert "right about none of 40 test images" in record["reason"]
    assert rerun(files, tmp_path).shape == (0, 1, 8, 8)


def test_logits_that_are_no_numbers_are_told(files, model, tmp_path):
    honest = model[""]

    class Broken(torch.nn.Module):
        def forward(self, images):
            logits = honest(images)
            return logits / (0 if torch.is_grad_enabled() else 1)

    model[""] = Broken()
    record = audit(files, tmp_path)
    assert "In the audit of masked the model gave logits" in record["reason"]
    assert record["reason"] in (tmp_path / "audit.md").read_text()


def test_every_check_can_stand_alone(files):
    for check in audit_gate.known_checks():
        seen = audited.honest("plain")
        (found,) = audited.audit(seen, [check])
        assert found.check == check


def test_what_a_check_broke_counts_in_the_worst_case(files, model, tmp_path):
    """A network that hides its gradients is published no better than the audit has shown it."""
    model[""] = tricks.OneHot(audited.trained("pgd")[0])
    record = audit(files, tmp_path, checks=list(audited.CHECKS))
    records.write_rows(tmp_path / "rerun.csv", ["index"], [])
    rows = evaluate(files, tmp_path, **audited_paths(tmp_path))
    (worst,) = [row for row in rows if row["attack"] == "worst_case"]
    evidence = {f["check"]: f["evidence"] for f in record["findings"]}
    assert worst["robust_accuracy"] <= record["accuracy_under_all_checks"] + 1e-3
    assert worst["robust_accuracy"] <= evidence["black_box"]["accuracy_under_transfer"] + 1e-3
    assert worst["robust_accuracy"] < rows[0]["robust_accuracy"] - 0.1
    assert {name.partition(" ")[0] for name in worst["success_by"]} == {"audit"}
    assert "audit black_box" in worst["success_by"]
    broken = np.load(tmp_path / "found.npy")
    assert len(broken) == len((tmp_path / "found.csv").read_text().splitlines()) - 1
    assert any("†" in cell for cell in tables.headline_table(summarize(rows)).rows[0])
