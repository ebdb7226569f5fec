"""Certified accuracy: certificates joined per image, and held against what attacks found."""

import csv
import json

import numpy as np
import pytest

from evaluate_robustness import evaluate_robustness
from gauntlet.core.errors import GauntletError
from tests.helpers import builders


def proof_rows(n, radius, eps=(0.15,), **other):
    for point in eps:
        for index in range(n):
            mine = float(radius[index])
            row = {"index": index, "label": index % 10, "clean_prediction": index % 10}
            row |= {"classifier": "base", "norm": "linf", "eps": point, "margin": 0, "note": ""}
            row |= {"radius": mine, "certified": int(0 < mine >= point), "abstained": 0}
            yield row | other


def evaluate(folder, tables, certificates):
    """Evaluate ledgers (by attack) with certificates (by name): the rows and the record."""
    made = [str(builders.write_table(folder / f"{n}.csv", rows)) for n, rows in tables.items()]
    proved = [
        str(builders.write_table(folder / n / "test" / "ledger.csv", list(rows)))
        for n, rows in certificates.items()
    ]
    for name, record in (("check", {"passed": True, "reason": ""}), ("train", {"warnings": []})):
        message = record | {"selection": "best", "selected_epoch": 3}
        (folder / f"{name}.json").write_text(json.dumps(message))
    about = [{"name": name, "kind": "crown", "confidence": 1} for name in certificates]
    spec = {"dataset": "d", "model": "m", "defense": "f", "seed": 0, "attacks": list(tables)}
    spec |= {"minimal": [], "transfer": [], "certificates": about}
    outputs = [str(folder / "table.csv"), str(folder / "record.json")]
    checks = [str(folder / "check.json")] * len(tables)
    ask = (made, checks, [], str(folder / "train.json"), *outputs)
    evaluate_robustness(*ask, certificates=proved, spec=spec)
    with open(outputs[0], encoding="utf-8") as stream:
        return list(csv.DictReader(stream)), json.loads((folder / "record.json").read_text())


def attacked(fallen, n=10, **other):
    return [builders.ledger_row(i, i % 10, i in fallen, **other) for i in range(n)]


def test_certified_accuracy_joins_certificates_per_image(tmp_path):
    one = [0.2, 0.2, 0.1, 0, 0, 0, 0, 0, 0, 0]
    two = [0, 0.15, 0.15, 0.15, 0, 0, 0, 0, 0, 0]
    smooth = proof_rows(10, [1.0] * 10, (0.5,), classifier="smoothed", norm="l2")
    proved = {"a": proof_rows(10, one), "b": proof_rows(10, two), "s": smooth}
    tables = {"pgd": attacked({8, 9}), "low": attacked({9}, eps=0.1), "l2": attacked((), norm="l2")}
    rows, record = evaluate(tmp_path, tables, proved)
    held = {(row["attack"], row["norm"]): row["certified_accuracy"] for row in rows}
    assert held == {("pgd", "linf"): "0.4", ("low", "linf"): "0.4", ("l2", "l2"): ""}
    assert all(float(r["certified_low"]) < 0.4 < float(r["certified_high"]) for r in rows[:2])
    message = {proof["certificate"]: proof for proof in record["certificates"]}
    assert [message[name]["rows"][0]["certified_accuracy"] for name in "abs"] == [0.2, 0.3, 1.0]
    assert message["a"]["radii"] == [0.1, 0.2, 0.2]
    assert message["s"]["classifier"] == "smoothed" and message["s"]["accuracy"] == 1.0


def test_a_transferred_example_has_no_interval_of_its_own():
    from gauntlet.evaluation import certified_accuracy

    row = {"access": "transfer", "norm": "linf", "eps": 0.15}
    assert certified_accuracy.certified(row, []) == {}


CROSSED = {
    "same norm and eps": ({"linf": 0.15}, 0.15, True),
    "radius beyond": ({"linf": 0.15}, 0.3, True),
    "radius short of the attack": ({"linf": 0.15}, 0.1499, False),
    "another norm, nearer than the radius": ({"norm": "l2", "eps": 1.0, "linf": 0.1}, 0.11, True),
    "another norm, further": ({"norm": "l2", "eps": 1.0, "linf": 0.2}, 0.11, False),
    "corruption within": ({"norm": "corruptions", "eps": 3, "linf": 0.05}, 0.06, True),
}


@pytest.mark.parametrize("case", CROSSED)
def test_an_example_that_breaks_what_is_proven_fails_the_run(case, tmp_path):
    change, radius, crosses = CROSSED[case]
    tables = {"mine": attacked({4}, **change)}
    proved = {"sure": proof_rows(10, [radius] * 10, (0.1,))}
    if not crosses:
        assert evaluate(tmp_path, tables, proved)
        return
    with pytest.raises(GauntletError) as caught:
        evaluate(tmp_path, tables, proved)
    for message in ("Attack 'mine' succeeds on image 4", "certificate 'sure'", f"linf {radius:g}"):
        assert message in str(caught.value)


def test_a_smoothed_certificate_contradicts_no_attack_on_the_model(tmp_path):
    proved = {"s": proof_rows(10, [1.0] * 10, classifier="smoothed", norm="l2")}
    rows, _ = evaluate(tmp_path, {"mine": attacked({4}, norm="l2", l2=0.1)}, proved)
    assert rows[0]["robust_accuracy"] == "0.9" and rows[0]["certified_accuracy"] == ""


def test_a_certificate_of_another_model_is_refused(tmp_path):
    proved = {"sure": proof_rows(10, np.zeros(10), clean_prediction=3)}
    with pytest.raises(GauntletError, match="differ in 'clean_prediction'"):
        evaluate(tmp_path, {"mine": attacked(())}, proved)


def test_a_model_that_could_not_be_certified_is_told_not_counted(tmp_path):
    proved = {"sure": proof_rows(10, np.zeros(10), note="Certificates do not know 'fft'.")}
    rows, record = evaluate(tmp_path, {"mine": attacked({4})}, proved)
    assert rows[0]["certified_accuracy"] == ""
    assert rows[0]["warning"] == "sure: Certificates do not know 'fft'."
    assert "certified_accuracy" not in record["certificates"][0]["rows"][0]
