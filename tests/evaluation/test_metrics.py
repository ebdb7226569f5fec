"""Numbers from ledgers: intervals, worst cases, and files that contradict themselves."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from collect_results import collect_results
from gauntlet.core import records
from gauntlet.core.errors import GauntletError
from gauntlet.evaluation import attack_ledger as ledgers_of
from gauntlet.evaluation import metrics
from tests.helpers import builders
from tests.helpers.places import LIBRARY


def write(path, rows):
    return str(builders.write_table(path, rows))


def ledger(folder, name, fallen, n=10, **other):
    rows = [builders.ledger_row(i, i % 10, i in fallen, **other) for i in range(n)]
    return write(folder / f"{name}.csv", rows)


@pytest.mark.parametrize(
    ("accuracy", "n", "low", "high"),
    [
        (0.5, 100, 0.403832, 0.596168),  # all as scipy.stats.binomtest gives them
        (0.0, 10, 0.0, 0.277533),
        (1.0, 10, 0.722467, 1.0),
        (0.9, 1000, 0.879848, 0.917091),
    ],
)
def test_wilson_interval(accuracy, n, low, high):
    assert metrics.wilson(accuracy, n) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("n", [1, 7, 200, 360, 10000])
def test_interval_holds_its_share(n):
    for right in {0, 1, n // 2, n - 1, n}:
        low, high = metrics.wilson(right / n, n)
        assert 0 <= low <= right / n <= high <= 1


def test_interval_needs_images():
    with pytest.raises(ValueError, match="1 image or more"):
        metrics.wilson(0.5, 0)


def test_worst_case_is_per_image_and_no_average(tmp_path):
    (one,) = ledgers_of.read_ledger(ledger(tmp_path, "one", range(5), linf=0.1, l2=1.0), "one")
    (two,) = ledgers_of.read_ledger(ledger(tmp_path, "two", range(4, 9), linf=0.05, l2=2.0), "two")
    joined = metrics.measure(metrics.worst_case([one, two], "linf", 0.15))
    assert metrics.measure(one)["robust_accuracy"] == metrics.measure(two)["robust_accuracy"] == 0.5
    assert joined["robust_accuracy"] == 0.1
    assert joined["success_rate"] == 0.9
    assert joined["median_linf"] == 0.05  # image 4 fell to both: the nearer example counts
    assert joined["median_l2"] == 1.0
    assert joined["mean_adversarial_loss"] is joined["mean_forwards"] is None


def test_another_attack_never_helps(tmp_path):
    stream, points = np.random.default_rng(0), []
    for name in "abcdef":
        fallen = np.flatnonzero(stream.random(50) < 0.3)
        points += ledgers_of.read_ledger(ledger(tmp_path, name, fallen, n=50), name)
    held = [
        metrics.worst_case(points[: i + 1], "linf", 0.15).robust.mean() for i in range(len(points))
    ]
    assert held == sorted(held, reverse=True) and held[0] > held[-1]


def test_images_that_were_wrong_when_clean_count_as_broken(tmp_path):
    rows = [builders.ledger_row(i, 3, success=i == 0, l2=float(i)) for i in range(4)]
    rows[3] |= {"clean_prediction": 5, "adversarial_prediction": 5, "draw_loss": 2.5}
    (point,) = ledgers_of.read_ledger(write(tmp_path / "ledger.csv", rows), "pgd")
    row = metrics.measure(point)
    assert (row["n"], row["clean_accuracy"], row["robust_accuracy"]) == (4, 0.75, 0.5)
    assert row["success_rate"] == 0.333333  # of the three that were right
    assert (row["median_l2"], row["mean_adversarial_loss"]) == (0.0, 1.0)


def test_what_was_not_measured_stays_empty(tmp_path):
    path = ledger(tmp_path, "held", (), draw_loss="", linf="", l2="")
    row = metrics.measure(ledgers_of.read_ledger(path, "pgd")[0])
    assert row["mean_adversarial_loss"] is row["median_linf"] is row["median_l2"] is None


def test_rows_may_stand_in_any_order(tmp_path):
    rows = builders.attack_rows("curve", np.arange(20) % 10, np.linspace(0, 0.3, 20))
    straight = ledgers_of.read_ledger(write(tmp_path / "a.csv", rows), "curve")
    turned = ledgers_of.read_ledger(write(tmp_path / "b.csv", rows[::-1]), "curve")
    assert [p.eps for p in straight] == [p.eps for p in turned[::-1]] and len(straight) == 6
    for one, other in zip(straight, turned[::-1], strict=True):
        assert metrics.measure(one) == metrics.measure(other)


def broken(**changes):
    return [builders.ledger_row(0, 1), builders.ledger_row(1, 2) | changes]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (broken(index=0), "two rows"),
        (broken(success=2), "other than 0 or 1"),
        (broken(success=1), "not right when clean or is right still"),
        (broken(success=1, clean_prediction=4, adversarial_prediction=5), "not right when clean"),
        (broken(label=-1, clean_prediction=-1, adversarial_prediction=-1), "label below 0"),
        (broken(eps="inf"), "eps that is no number"),
        (broken(eps=""), "eps that is no number"),
        (broken(eps=-0.1), "eps that is no number"),
        (broken(label="seven"), "no readable ledger"),
        (broken(index="1.5"), "no readable ledger"),
        (broken(index="9" * 30), "no readable ledger"),
        (broken(access="transfer"), "must have 'white-box'"),
        ([{k: v for k, v in row.items() if k != "success"} for row in broken()], "'success'"),
        ([{k: v for k, v in row.items() if k != "norm"} for row in broken()], "'norm'"),
        ("", "no readable ledger"),
        ("index,label\n", "no readable ledger"),
        ("index,label\n1,2,3\n", "no readable ledger"),
        (b"\xff\xfe\x00", "no readable ledger"),
    ],
)
def test_ledgers_that_cannot_be_true(tmp_path, rows, message):
    path = tmp_path / "ledger.csv"
    if isinstance(rows, list):
        write(path, rows)
    else:
        path.write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    with pytest.raises(GauntletError, match=message) as caught:
        ledgers_of.read_ledger(path, "pgd")
    assert "ledger.csv" in str(caught.value)


@pytest.mark.parametrize("name", ["index", "label", "clean_prediction"])
def test_ledgers_of_one_model_must_agree(tmp_path, name):
    changed = builders.ledger_row(1, 2) | {"adversarial_prediction": 9, name: 9}
    one = write(tmp_path / "one.csv", [builders.ledger_row(0, 1), builders.ledger_row(1, 2)])
    two = write(tmp_path / "two.csv", [builders.ledger_row(0, 1), changed])
    points = ledgers_of.read_ledger(one, "a") + ledgers_of.read_ledger(two, "b")
    with pytest.raises(GauntletError, match=rf"one\.csv and .*two\.csv differ in '{name}'"):
        ledgers_of.require_same_images(points)


def test_evaluation_of_one_model(tmp_path):
    study = builders.Study(tmp_path, n=60)
    run = ("digits", "article_cnn", "pgd_at", 1)
    table, record = study.evaluate(run, warnings=["collapsed", "late"])
    rows = records.read_rows(table)
    points = [(r["attack"], r["source"], r["access"], r["norm"], r["eps"]) for r in rows]
    own = [("noise", "self", "white-box", "noise", "0.1")]
    own += [(name, "self", "white-box", "linf", "0.15") for name in ("fgsm", "pgd40")]
    eps = ("0.025", "0.05", "0.1", "0.15", "0.2", "0.3")
    own += [("curve", "self", "white-box", "linf", value) for value in eps]
    assert points == [
        *own,
        ("pgd40", "baseline", "transfer", "linf", "0.15"),
        ("worst_case", "self", "white-box", "linf", "0.15"),
    ]
    same = [float(r["robust_accuracy"]) for r in rows[1:3] + rows[6:7]]
    assert float(rows[-1]["robust_accuracy"]) <= min(same)
    assert {(r["n"], r["warning"], r["selection"]) for r in rows} == {
        ("60", "collapsed; late", "best")
    }
    whole = json.loads(record.read_text())
    worst = next(t for t in whole["thresholds"] if t["eps"] == 0.15)
    assert worst["attacks"] == ["fgsm", "pgd40", "curve"]
    total = sum(c["n"] * c["robust_accuracy"] for c in worst["classes"]) / 60
    assert total == pytest.approx(whole["rows"][-1]["robust_accuracy"], abs=1e-5)


def test_transfer_ledger_must_be_labelled_so(tmp_path):
    path = ledger(tmp_path, "ledger", ())
    with pytest.raises(GauntletError, match="must have 'transfer'"):
        ledgers_of.read_ledger(path, "pgd", "baseline")


def test_collected_rows_stand_in_the_studys_order(tmp_path):
    study = builders.Study(tmp_path, ("pgd_at", "baseline"), (1, 0), n=20, attacks=("fgsm",))
    made = [str(study.evaluate(run)[1]) for run in study.runs()]
    outputs = str(tmp_path / "all.csv"), str(tmp_path / "all.json")
    collect_results(made[::-1], *outputs, spec=study.spec)
    whole = json.loads((tmp_path / "all.json").read_text())["rows"]
    rows = records.read_rows(tmp_path / "all.csv")
    assert list(dict.fromkeys((r["defense"], r["seed"]) for r in rows)) == [
        ("pgd_at", "1"),
        ("pgd_at", "0"),
        ("baseline", "1"),
        ("baseline", "0"),
    ]
    assert [row["seed"] for row in whole] == [int(row["seed"]) for row in rows]
    assert all(isinstance(row["success_by"], dict) for row in whole)
    for given, fault in ((made[:-1], "lacks an evaluation"), ([*made, made[0]], "once")):
        with pytest.raises(GauntletError, match=fault):
            collect_results(given, *outputs, spec=study.spec)


@pytest.mark.parametrize("n", [1, 7, 50, 359])
def test_intervals_are_those_of_scipy_where_scipy_has_them(n):
    for count in range(n + 1):
        interval = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
        assert metrics.wilson(count / n, n) == pytest.approx(
            (interval.low, interval.high), abs=1e-12
        )


def test_reading_tables_starts_fast():
    code = (
        "import sys; from gauntlet.evaluation import metrics; from gauntlet.reporting import tables"
    )
    code += "; from gauntlet.reporting import terminal; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=LIBRARY, capture_output=True, text=True, check=True
    )
    assert not {"torch", "pandas", "matplotlib", "scipy"} & set(done.stdout.split())
