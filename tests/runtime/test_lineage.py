"""The way of a result back, over provenance records as jobs write them."""

import json

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.reporting.lineage_text import before_lines, lineage_lines, row_lines, source_lines
from gauntlet.runtime.lineage import sources, trace
from gauntlet.runtime.provenance import damaged


def _job(root, rule, inputs, outputs):
    """Write a job's outputs and its record."""
    for name in outputs:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{rule} {name}")
    record = {
        "rule": rule,
        "inputs": {name: sha256(root / name) for name in inputs},
        "outputs": {name: sha256(root / name) for name in outputs},
        "spec": {"seed": 0, "model": {"arch": "mlp", "hidden": [4, 8]}},
        "code": "0123456789abcdef",
        "commit": "abc",
        "versions": {"python": "3.11"},
        "hardware": {"cores": 2},
        "seconds": 1.5,
        "cpu_seconds": 1.0,
        "peak_rss_mb": 100,
    }
    place = (root / outputs[0]).parent / f"{rule}.provenance.json"
    place.write_text(json.dumps(record))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "mine.npz").write_text("images")
    _job(tmp_path, "download_data", ["mine.npz"], ["results/data/images.npy"])
    _job(tmp_path, "split_data", ["results/data/images.npy"], ["results/data/split.json"])
    both = ["results/data/images.npy", "results/data/split.json"]
    _job(tmp_path, "train_model", both, ["results/run/best.pt", "results/run/train.json"])
    _job(tmp_path, "publish", ["results/run/train.json"], ["results/table.csv"])
    return tmp_path


def test_all_jobs_before_a_result_are_found_once_nearest_first(root):
    found = trace(root / "results/table.csv")
    assert (found.path, found.root, found.intact) == ("results/table.csv", root, True)
    assert found.made_by.record["rule"] == "publish"
    rules = [step.record["rule"] for step in found.before]
    assert rules == ["train_model", "download_data", "split_data"]
    assert [name for name, _ in sources(found)] == ["mine.npz"]


def test_a_results_record_is_a_result_too(root):
    found = trace(root / "results/run/train_model.provenance.json")
    assert found.made_by.record["rule"] == "train_model"
    assert found.path == "results/run/train_model.provenance.json"


def test_a_changed_file_is_not_called_intact(root):
    (root / "results/run/best.pt").write_text("other")
    found = trace(root / "results/run/best.pt")
    assert not found.intact and found.made_by.record["rule"] == "train_model"
    text = lineage_lines(found.path, "record", found.made_by.record, found.intact, "make it")
    assert "NOT what was written" in text[1]


def test_a_run_that_was_moved_is_found_where_it_is(root, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (root / "results").rename(moved / "results")
    found = trace(moved / "results/table.csv")
    assert found.root == moved and len(found.before) == 3


@pytest.mark.parametrize("name", ["mine.npz", "nowhere.csv", "results/run/extra.txt"])
def test_what_no_job_wrote_is_refused(name, root):
    (root / "results/run/extra.txt").write_text("x")
    (root / "results/run/broken.provenance.json").write_text("{")
    with pytest.raises(GauntletError, match="does not exist|names it"):
        trace(root / name)


def test_the_text_names_all_that_decides(root):
    found = trace(root / "results/run/best.pt")
    made = found.made_by
    lines = lineage_lines(found.path, made.record_path, made.record, True, "snakemake x")
    text = "\n".join(lines)
    for word in ("rule train_model in 1.5 s", "0123456789abcdef", "commit    abc", "python 3.11"):
        assert word in text
    for word in ("again by  snakemake x", "model.hidden: 4, 8", "cores 2", "inputs (2)"):
        assert word in text
    steps = [(step.record_path, step.record["rule"], step.record) for step in found.before]
    assert before_lines(steps, False)[0] == "Before it: 2 jobs"
    assert any(
        "results/data/split_data.provenance.json" in line for line in before_lines(steps, True)
    )
    assert before_lines([], True) == [] and source_lines([]) == []
    assert row_lines(3, {"a": "1", "bb": ""}) == ["Row 3", "  a   1"]


WRONG = ({"outputs": ["x.csv"]}, {"outputs": 5}, {"inputs": []}, {"seconds": ...})


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_a_record_of_another_form_names_no_file(change, root):
    place = root / "results" / "publish.provenance.json"
    record = json.loads(place.read_text()) | change
    place.write_text(json.dumps({key: value for key, value in record.items() if value is not ...}))
    with pytest.raises(GauntletError, match="No provenance record beside"):
        trace(root / "results/table.csv")
    assert damaged([place]) == {}
