"""A model or an attack that fails costs its own row: files say why, the next run tries again."""

import json
import os

import numpy as np
import pytest
import torch

from audit_model import audit_model
from collect_results import collect_results
from complete_study import complete_study
from craft_examples import craft_examples
from evaluate_robustness import evaluate_robustness
from gather_examples import gather_examples
from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_rows
from gauntlet.evaluation.failures import read_failures
from gauntlet.evaluation.gate import judge
from gauntlet.evaluation.summary import summarize
from gauntlet.reporting import gate_page, tables
from gauntlet.stages import failure
from tests.helpers import audited
from tests.helpers.audit_files import NAMES, SPEC, audit_folder, data, found_model  # noqa: F401
from tests.helpers.builders import ledger_row, write_table
from transfer_examples import transfer_examples

POINTS = [
    {"kind": "pgd", "norm": "linf", "eps": eps, "steps": 2, "step": 0.05} for eps in (0.1, 0.2)
]
CRAFT = {
    **{key: SPEC[key] for key in ("model", "seed", "batch", "device", "threads")},
    **{"part": "test", "precision": "float32", "loss_draws": 1, "points": POINTS},
}


class Failing(torch.nn.Module):
    """A network that breaks down with an error of its own wherever a gradient is asked for."""

    def __init__(self, net, error):
        super().__init__()
        self.net, self.error = net, error

    def forward(self, images):
        if torch.is_grad_enabled():
            raise self.error
        return self.net(images)


@pytest.fixture
def failing(model):
    model[""] = Failing(audited.trained("pgd")[0], RuntimeError("odd size\nsecond line"))
    return model


def craft(folder, out, **change):
    paths = {name: str(out / f"{name}.npy") for name in ("examples", "draws")}
    ledger = str(out / "attack.csv")
    why = craft_examples(**data(folder), **paths, ledger=ledger, spec=CRAFT | change)
    return why, ledger


def evaluate(out, ledgers, attacks, train, **more):
    """Evaluate the ledgers of some attacks; gives the record."""
    check = out / "check.json"
    check.write_text(json.dumps({"passed": True, "reason": ""}))
    spec = NAMES | {"attacks": attacks, "minimal": [], "transfer": [], "certificates": []}
    paths = (list(map(str, ledgers)), [str(check)] * len(attacks), [], str(train / "train.json"))
    evaluate_robustness(*paths, str(out / "rows.csv"), str(out / "rows.json"), **more, spec=spec)
    return json.loads((out / "rows.json").read_text())


def test_an_attack_that_fails_says_why_in_the_place_of_its_ledger(files, failing, tmp_path):
    why, ledger = craft(files, tmp_path)
    assert why == "RuntimeError: odd size"
    found = read_failures(ledger, "broken")
    assert [(one.norm, one.eps, one.n, one.reason) for one in found] == [
        ("linf", 0.1, 40, why),
        ("linf", 0.2, 40, why),
    ]
    assert np.load(tmp_path / "examples.npy").shape == np.load(tmp_path / "draws.npy").shape == (0,)


def test_examples_that_a_training_waits_for_fail_their_job(files, failing, tmp_path):
    with pytest.raises(RuntimeError, match="odd size"):
        craft(files, tmp_path, part="train")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), MemoryError(), RuntimeError("can't allocate memory")]
)
def test_the_machines_errors_fail_their_job(files, model, tmp_path, error):
    model[""] = Failing(audited.trained("pgd")[0], error)
    with pytest.raises(type(error)):
        craft(files, tmp_path)


def test_the_row_is_marked_and_the_worst_case_withheld(files, failing, tmp_path):
    _, ledger = craft(files, tmp_path)
    record = evaluate(tmp_path, [files / "ledger.csv", ledger], ["pgd", "broken"], train=files)
    rows = {(row["attack"], row["eps"]): row for row in record["rows"]}
    assert rows["pgd", 0.1]["robust_accuracy"] is not None and rows["pgd", 0.1]["warnings"] == []
    for eps in (0.1, 0.2):
        row = rows["broken", eps]
        assert row["robust_accuracy"] is None and row["n"] == 40
        assert row["clean_accuracy"] == rows["pgd", 0.1]["clean_accuracy"]
        assert row["warnings"] == ["broken failed: RuntimeError: odd size"]
    assert record["failures"] == [
        {"what": "broken", "reason": "RuntimeError: odd size", "path": ledger}
    ]
    assert "(!)" in tables.headline_table(summarize(record["rows"])).rows[0][0]
    assert [row[10] for row in tables.full_table(summarize(record["rows"])).rows][1:] == ["–", "–"]
    assert "RuntimeError: odd size" in "".join(tables.warnings(summarize(record["rows"])))
    assert "RuntimeError: odd size" in (tmp_path / "rows.csv").read_text()


def test_a_worst_case_without_one_of_its_attacks_is_withheld(files, failing, tmp_path):
    _, ledger = craft(files, tmp_path)
    second = [ledger_row(300 + i, i % 10) for i in range(40)]
    for row, other in zip(second, read_rows(files / "ledger.csv"), strict=True):
        row |= {key: other[key] for key in ("label", "clean_prediction", "adversarial_prediction")}
    write_table(tmp_path / "second.csv", [row | {"eps": 0.1} for row in second])
    ledgers = [files / "ledger.csv", tmp_path / "second.csv", ledger]
    rows = evaluate(tmp_path, ledgers, ["pgd", "two", "broken"], train=files)["rows"]
    (worst,) = [row for row in rows if row["attack"] == "worst_case"]
    assert worst["robust_accuracy"] is None and worst["failed"] == "RuntimeError: odd size"
    demand = NAMES | {"name": "release", "robust": 0.1, "threats": [["linf", 0.1]]}
    (verdict,) = judge([demand], rows)
    assert not verdict.met and "not measured" in gate_page.shortfalls([verdict])[0]


def test_a_model_on_which_everything_fails_keeps_its_row(files, failing, tmp_path):
    _, ledger = craft(files, tmp_path)
    record = evaluate(tmp_path, [ledger], ["broken"], train=files)
    assert {row["clean_accuracy"] for row in record["rows"]} == {None}
    table = tables.headline_table(summarize(record["rows"]))
    assert table.rows[0][1:] == ("–", "–") or set(table.rows[0][1:]) == {"–"}


def test_an_audit_that_fails_says_why(files, model, tmp_path):
    model[""] = Failing(audited.trained("pgd")[0], TypeError("no gradient here"))
    paths = {"record": "audit.json", "page": "audit.md", "found": "found.csv", "examples": "f.npy"}
    why = audit_model(
        **data(files),
        **{"history": str(files / "history.csv"), "train": str(files / "train.json")},
        **{"ledgers": [str(files / "ledger.csv")], "transfers": [], "certificates": []},
        **{name: str(tmp_path / file) for name, file in paths.items()},
        spec=SPEC,
    )
    assert why == "TypeError: no gradient here" and why in (tmp_path / "audit.md").read_text()
    more = {"audits": [str(tmp_path / "audit.json")], "found": [str(tmp_path / "found.csv")]}
    record = evaluate(tmp_path, [files / "ledger.csv"], ["pgd"], train=files, **more)
    assert {row["audit"]["verdict"] for row in record["rows"]} == {failure.VERDICT}
    assert record["failures"][0]["what"] == "audit"
    assert tables.headline_table(summarize(record["rows"])).rows[0][-1] == failure.VERDICT


def test_examples_of_an_attack_that_failed_cannot_be_transferred(files, failing, tmp_path):
    craft(files, tmp_path)
    ledger = str(tmp_path / "transfer.csv")
    draws = str(tmp_path / "draws.npy")
    why = transfer_examples(**data(files), draws=draws, ledger=ledger, spec=CRAFT)
    assert "attack on the model that they are made against failed" in why
    assert {one.access for one in read_failures(ledger, "pgd", "baseline")} == {"transfer"}


def test_one_shard_that_fails_is_the_whole_attacks_failure(files, failing, model, tmp_path):
    shards = []
    for number in (1, 2):
        out = tmp_path / str(number)
        out.mkdir()
        if number == 2:
            model[""] = audited.trained("pgd")[0]
        shards.append(craft(files, out, shard=f"{number}-of-2")[1])
    folders = [tmp_path / str(number) for number in (1, 2)]
    arrays = [[str(folder / f"{name}.npy") for folder in folders] for name in ("examples", "draws")]
    out = [str(tmp_path / name) for name in ("examples.npy", "draws.npy", "ledger.csv")]
    why = gather_examples(*arrays, shards, *out, spec={"points": 2})
    assert why == "RuntimeError: odd size"
    assert [one.n for one in read_failures(out[2], "broken")] == [40, 40]


def test_a_study_with_a_failure_is_red_and_forgets_what_failed(files, failing, tmp_path):
    _, ledger = craft(files, tmp_path)
    evaluate(tmp_path, [files / "ledger.csv", ledger], ["pgd", "broken"], train=files)
    study = {"study": "mine", "datasets": ["digits"], "models": ["cnn"], "defenses": ["masked"]}
    rows, complete = str(tmp_path / "all.json"), tmp_path / "complete"
    spec = study | {"seeds": [0], "attacks": ["pgd", "broken"]}
    collect_results([str(tmp_path / "rows.json")], str(tmp_path / "t.csv"), rows, spec=spec)
    with pytest.raises(GauntletError, match=r"digits/cnn/masked seed 0: broken failed: Runt.* odd"):
        complete_study(rows, str(complete), spec={"study": "mine"})
    assert not complete.exists() and not os.path.exists(ledger)
