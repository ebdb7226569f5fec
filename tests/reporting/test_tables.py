"""Tables for programs, people and papers."""

import csv
import json

import pytest

from gauntlet.core import records
from gauntlet.core.errors import GauntletError
from gauntlet.evaluation import summary
from gauntlet.reporting import audit_columns, cells, formatting, headline, tables, terminal
from publish_tables import publish_tables
from tests.helpers import builders

TABLES = ("summary.csv", "summary.md", "summary.tex", "timings.csv", "certificates.csv")
TABLES += ("comparisons.csv",)
FILES = ("summary.json", *TABLES)


def row(**other):
    base = {"dataset": "digits", "model": "cnn", "defense": "pgd_at", "seed": "0", "attack": "pgd"}
    base |= {"source": "self", "access": "white-box", "norm": "linf", "eps": "0.15", "n": "100"}
    base |= {"clean_accuracy": "0.9", "robust_accuracy": "0.5", "success_rate": "0.4"}
    base |= {"mean_adversarial_loss": "", "selection": "best", "warnings": [], "success_by": {}}
    base |= {"mean_forwards": "41", "mean_backwards": "40"}
    return base | other


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = builders.Study(tmp_path_factory.mktemp("study") / "results", n=50)
    made.table = made.robustness(warnings=["FGSM | 99 % & rising"])
    return made


def publish(study, folder, seconds=1.0):
    folder.mkdir()
    trainings = [study.folder(run) / "train.provenance.json" for run in study.runs()]
    for path in trainings:
        path.write_text(json.dumps({"seconds": seconds}))
    trains = [str(path.with_name("train.json")) for path in trainings]
    inputs = str(study.rows), list(map(str, trainings)), trains, study.records
    publish_tables(*inputs, *(str(folder / name) for name in FILES), spec=study.spec)
    return {name: (folder / name).read_text() for name in FILES}


def test_seeds_are_joined_and_images_are_not_multiplied():
    values = ("0.4", "0.5", "0.6")
    rows = [row(seed=str(i), robust_accuracy=value) for i, value in enumerate(values)]
    (joined,) = summary.summarize(rows)
    assert (joined["n"], joined["seeds"]) == ("100", 3)
    assert (joined["robust_mean"], joined["robust_std"]) == (0.5, 0.1)
    assert (joined["robust_low"], joined["robust_high"]) == pytest.approx((0.403832, 0.596168))
    assert joined["loss_mean"] is None
    (single,) = summary.summarize(rows[:1])
    assert single["robust_std"] is None


def test_warnings_name_their_seeds():
    rows = [row(seed=0, warnings=["a", "b"]), row(seed=1), row(seed=2, warnings=["a", "b"])]
    (joined,) = summary.summarize([*rows, row(seed=3, warnings=["c"])])
    assert joined["warnings"] == [
        {"seeds": [0, 2], "value": ["a", "b"]},
        {"seeds": [3], "value": ["c"]},
    ]
    assert cells.summary_cells(joined)["warning"] == "seed 0, 2: a; b; seed 3: c"


def test_successes_add_up_over_seeds_the_most_first():
    counts = [{"fgsm": 3, "pgd": 2}, {"square": 2, "pgd": 2, "fgsm": 1}]
    (joined,) = summary.summarize([row(seed=i, success_by=one) for i, one in enumerate(counts)])
    assert list(joined["success_by"].items()) == [("fgsm", 4), ("pgd", 4), ("square", 2)]
    assert cells.summary_cells(joined)["success_by"] == "fgsm 4; pgd 4; square 2"


AUDITS = [
    ({"verdict": "pass", "failed": [], "warned": []}, "pass"),
    ({"verdict": "warn", "failed": [], "warned": ["a", "b"]}, "warn (a, b)"),
    ({"verdict": "fail", "failed": ["c"], "warned": []}, "fail (c)"),
    ({"verdict": "fail", "failed": ["c", "d"], "warned": ["a"]}, "fail (c, d; warn a)"),
]


@pytest.mark.parametrize(("audit", "text"), AUDITS)
def test_an_audit_is_written_in_one_cell(audit, text):
    assert cells.audit_text(audit) == text and cells.audit_text(None) == ""


def test_the_worst_audit_of_any_seed_counts():
    (first, _), (_, _), (third, _), _ = AUDITS
    (joined,) = summary.summarize([row(seed=0, audit=first), row(seed=1, audit=third), row(seed=2)])
    assert audit_columns.verdict([joined]) == "fail"
    assert audit_columns.lines([joined])[0].endswith("pgd_at: seed 0: pass; seed 1: fail (c)")
    (good,) = summary.summarize([row(audit=first)])
    assert audit_columns.verdict([good]) == "pass"
    assert audit_columns.lines([good]) == [audit_columns.NOTE]
    (none,) = summary.summarize([row()])
    assert audit_columns.verdict([none]) == "–" and not audit_columns.audited([none])


def test_seeds_with_other_images_are_refused():
    with pytest.raises(GauntletError, match="digits/cnn/pgd_at/pgd has"):
        summary.summarize([row(), row(seed="1", n="99")])


def test_gradients_in_a_lower_precision_are_said_below_the_tables():
    low = [row(seed=seed, precision="bfloat16", eps=eps) for seed in (0, 1) for eps in (0.1, 0.2)]
    joined = summary.summarize(
        [row(attack="square"), *low, row(attack="fgsm", precision="bfloat16")]
    )
    (line,) = tables.precisions(joined)
    assert line.startswith("Gradients in bfloat16, cnn on digits: pgd, fgsm.")
    assert all("precision" not in cells.summary_cells(one) for one in joined)
    assert "precision" not in cells.robustness_cells(low[0] | {"audit": None})
    assert tables.precisions(summary.summarize([row()])) == []


@pytest.mark.parametrize(
    ("eps", "text"),
    [
        ("0.15", "0.15"),
        (8 / 255, "8/255"),
        (1 / 255, "1/255"),
        (0.5 / 255, "0.001961"),
        ("0.2", "0.2"),  # 51/255, but nobody writes it so
        ("0.031", "0.031"),
        ("1.0", "1"),
        (128 / 255, "128/255"),
    ],
)
def test_eps_is_written_as_people_write_it(eps, text):
    assert formatting.short_eps(eps) == text


def test_short_table_leaves_curves_out():
    points = [("noise", "noise", "0.1"), ("pgd", "linf", "0.15"), ("curve", "linf", "0.1")]
    points += [("curve", "linf", "0.15"), ("worst_case", "linf", "0.15")]
    points += [("worst_case", "linf", "0.1")]
    rows = [row(attack=a, norm=n, eps=e) for a, n, e in points]
    rows.insert(2, row(attack="pgd", source="baseline", access="transfer"))
    shown = headline.headline(rows)
    assert list(headline.column_labels(shown).values()) == [
        "noise",
        "pgd",
        "worst case",
        "transfer pgd (baseline)",
    ]
    curves = [row(attack="curve", eps=eps) for eps in ("0.1", "0.2")]
    labels = headline.column_labels(headline.headline(curves)).values()
    assert list(labels) == ["curve linf 0.1", "curve linf 0.2"]


def test_summary_does_not_know_how_long_it_took(study, tmp_path):
    one, two = publish(study, tmp_path / "one"), publish(study, tmp_path / "two", seconds=7.25)
    assert one["summary.csv"] == two["summary.csv"]
    assert all(
        "7.2" in two[name] and "7.2" not in one[name] for name in ("summary.md", "summary.tex")
    )
    spent = list(csv.DictReader(two["timings.csv"].splitlines()))
    assert [r["seconds"] for r in spent] == ["7.25"] * 4 and spent[0]["defense"] == "baseline"


def test_texts_are_escaped_and_complete(study, tmp_path):
    made = publish(study, tmp_path / "out")
    assert r"pgd\_at" in made["summary.tex"] and r"99 \% \& rising" in made["summary.tex"]
    assert "pgd_at" not in made["summary.tex"]
    assert made["summary.tex"].count(r"\begin{longtable}") == 3
    lines = [line for line in made["summary.md"].splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 2  # tables with even rows
    assert "against" in made["comparisons.csv"].splitlines()[0]
    assert "pgd_at,baseline" in made["comparisons.csv"].splitlines()[1]
    assert " 320 " in made["summary.md"]  # passes: 20 epochs of 8 forward and 8 backward
    for message in ("n = 50", "2 seeds", "95 %", "linf 0.15", "upper bound", "seed 0, 1: FGSM"):
        assert message in made["summary.md"]
    assert len(records.read_rows(tmp_path / "out" / "summary.csv")) == 2 * 10 + 1


@pytest.mark.parametrize("width", [200, 80, 45])
def test_terminal_table_fits(study, tmp_path, width):
    publish(study, tmp_path / "out")
    title, _, *lines = terminal.terminal(tmp_path / "out" / "summary.json", width).splitlines()
    table = [line for line in lines if not line.startswith("(!)")]
    assert max(map(len, table)) <= width
    assert "n = 50, 2 seeds" in title and any("worst case" in line for line in table)
    assert ("±" in "".join(table)) == (width == 200)


def test_show_says_where_things_lie(study, tmp_path, capsys):
    publish(study, tmp_path / "out")
    assert terminal.main([str(tmp_path / "out")]) == 0
    assert f"{tmp_path}/out/summary.md" in capsys.readouterr().out
    assert terminal.main([str(tmp_path / "nothing")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_ragged_tables_are_refused(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1\n")
    with pytest.raises(GauntletError, match="table.csv is no table"):
        records.read_rows(tmp_path / "table.csv")


@pytest.mark.parametrize("path", ["a/b/history.csv", "runs/digits/cnn/x/history.csv"])
def test_paths_outside_runs_are_refused(path):
    assert records.run_of("results/runs/d/m/f/seed3/best.pt") == ("d", "m", "f", "3")
    with pytest.raises(GauntletError, match="must lie under runs/"):
        records.run_of(path)
