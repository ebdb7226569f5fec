"""Kept and published results: files that are held together, and files that are refused."""

import json
import shutil

import pytest

from compare_reference import compare_reference
from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_json, read_rows, write_rows
from gauntlet.evaluation.reference_check import read_kept
from gauntlet.stages import keep_reference
from gauntlet.stages.published_values import read_published
from tests.helpers.places import ROOT
from verify_reference import verify_reference

KEPT = ROOT / "results" / "reference" / "quickstart"
SCHEMA = ROOT / "workflow" / "schemas" / "reference.schema.yaml"
SPEC = {"study": "quickstart", "setups": []}
HARDWARE = {"machine": "x", "cpu": "y", "cores": 2}


def provenance(path, code="a" * 64, **other):
    record = {"rule": "train_model", "code": code, "hardware": HARDWARE, "versions": {"torch": "2"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | other))
    return str(path)


@pytest.fixture
def files(tmp_path):
    """A kept study, and the same study made again: `compare` gives the record."""
    made = provenance(tmp_path / "train.provenance.json")
    from gauntlet.stages.study_origin import origin

    shutil.copy(KEPT / "summary.csv", tmp_path / "summary.csv")
    (tmp_path / "origin.json").write_text(json.dumps(origin([made])))

    class Files:
        summary, record = tmp_path / "summary.csv", tmp_path / "reference.json"
        provenances = [made]

        def compare(self):
            paths = (self.summary, KEPT / "summary.csv", tmp_path / "origin.json")
            paths = (*map(str, paths), str(ROOT / "config" / "reference.yaml"), str(SCHEMA))
            out = str(self.record), str(tmp_path / "reference.md")
            compare_reference(*paths, self.provenances, *out, spec=SPEC)
            return read_json(self.record)

        def change(self, **cells):
            rows = read_rows(self.summary)
            rows[0] |= cells
            write_rows(self.summary, rows[0], rows)

        def verify(self):
            verify_reference(str(self.record), str(tmp_path / "ok"), spec=SPEC)
            return (tmp_path / "ok").exists()

    return Files()


def test_the_same_study_is_verified(files):
    found = files.compare()
    assert found["same_bytes"] and found["same_code"] and found["same_machine"]
    assert {row["status"] for row in found["rows"]} == {"same"} and files.verify()


def test_a_row_outside_fails_in_a_sentence(files):
    files.change(robust_mean="0.5")
    files.compare()
    with pytest.raises(GauntletError, match=r"robust accuracy 0.5000 is outside \["):
        files.verify()


def test_other_bytes_by_the_same_code_on_the_same_machine_fail(files):
    files.change(loss_mean="0.123")
    assert "the same bytes" in files.compare()["problems"][0]
    files.provenances = [provenance(files.record.with_name("other.json"), code="b" * 64)]
    assert files.compare()["problems"] == [] and files.verify()
    other = {"hardware": {"machine": "z"}}
    files.provenances = [provenance(files.record.with_name("there.json"), **other)]
    assert files.compare()["problems"] == []


def test_the_projects_own_list_can_be_read():
    found = read_published(ROOT / "config" / "reference.yaml", SCHEMA)
    assert len(found["published"]) >= 15
    assert next(e for e in found["published"] if e["data"] == "cifar10")["eps"] == 8 / 255


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tolerance: 1", "published is missing"),
        ("5", "is 5; allowed is a mapping with tolerance and published"),
        ("tolerance: much\npublished: []", "tolerance is 'much'; allowed is a number of 0 or more"),
        ("tolerance: 1\npublished: 5", "published is 5; allowed is a list"),
        ("tolerance: 1\npublished: [5]", r"published\[0\] is 5; allowed is a mapping with name"),
        ("tolerance: 1\npublished: [{name: a}]", "source is missing"),
        ("tolerance: 1\npublished: [{A}]", "allowed is a mapping with .* kind or weights"),
        ("tolerance: 1\npublished: [{A, kind: ibp, robusst: 3}]", "robusst is no known key"),
        ("tolerance: 1\npublished: [{A, kind: ibp, clean: 101}]", "a share in %, 0 to 100"),
        ("tolerance: 1\npublished: [{A, kind: ibp, epochs: 0}]", "a whole number from 1"),
        ("tolerance: 1\npublished: [{E, kind: ibp}]", "eps is '8/x'; allowed is a number above 0"),
        ("tolerance: [", "is no YAML file"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path, text, message):
    whole = text.replace("{A", "{name: a, source: b, data: mnist, norm: linf, eps: 8/255")
    whole = whole.replace("{E", "{name: a, source: b, data: mnist, norm: linf, eps: 8/x")
    (tmp_path / "reference.yaml").write_text(whole)
    with pytest.raises(GauntletError, match=message):
        read_published(tmp_path / "reference.yaml", SCHEMA)


def finished(root):
    """Lay out a finished study's small files."""
    study = root / "results" / "studies" / "tiny"
    run = root / "results" / "runs" / "digits" / "cnn" / "pgd" / "seed0"
    trained, ledger = "train.provenance.json", "attacks/pgd/test/ledger.csv"
    made = str((run / ledger).relative_to(root))
    provenance(run / trained)
    provenance(run / "attacks/pgd/test/craft.provenance.json", "c", outputs={made: "sha"})
    inputs = {"summary": str((run / trained).relative_to(root)), "complete": made}
    for name, path in inputs.items():
        provenance(study / f"{name}.provenance.json", inputs={path: "sha"})
    shutil.copy(KEPT / "summary.csv", study / "summary.csv")
    return study


def test_a_finished_study_is_kept_with_what_made_it(tmp_path, capsys):
    study, kept = finished(tmp_path), tmp_path / "kept"
    assert keep_reference.main([str(study), "--out", str(kept)]) == 0
    found = read_json(kept / "tiny" / "origin.json")
    assert found["machines"] == [{"cpu": "y", "machine": "x"}] and len(found["code"]) == 64
    assert (kept / "tiny" / "summary.csv").read_bytes() == (KEPT / "summary.csv").read_bytes()
    (study / "complete.provenance.json").unlink()
    assert keep_reference.main([str(study), "--out", str(kept)]) == 1
    assert "only a finished study can be kept" in capsys.readouterr().err


def test_a_kept_table_that_is_none_is_refused(tmp_path):
    (tmp_path / "summary.csv").write_text("dataset,model\ndigits,cnn\n")
    with pytest.raises(GauntletError, match="lacks the column defense of a study's summary"):
        read_kept(tmp_path / "summary.csv")
    (tmp_path / "summary.csv").write_text("dataset\n")
    with pytest.raises(GauntletError, match="has no row"):
        read_kept(tmp_path / "summary.csv")
