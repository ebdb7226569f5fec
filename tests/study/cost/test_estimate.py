"""The estimate of a study: schedules, rates, what is done already, what it prints."""

import json
import os

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study.cost import estimate, rates
from gauntlet.study.cost.estimate import Estimate, load_config, main, span
from gauntlet.study.cost.rates import (
    BASE,
    Context,
    Record,
    RuntimeModel,
    learned,
    read_records,
    summed,
)
from gauntlet.study.cost.schedule import Task, critical_seconds, makespan, ordered, upward_ranks
from gauntlet.study.cost.work import Work
from tests.helpers.snakes import finished


def test_one_slot_takes_the_sum_and_many_the_longest_chain():
    tasks = {"a": Task(3), "b": Task(2, ["a"]), "c": Task(4), "d": Task(1, ["b", "c"])}
    assert makespan(tasks, 1) == 10
    assert makespan(tasks, 9) == critical_seconds(tasks) == 6
    assert max(10 / 2, 6) <= makespan(tasks, 2) <= 10


def test_ranks_let_the_long_chain_start_first():
    tasks = {f"short{n}": Task(1) for n in range(4)} | {"long": Task(4)}
    ranked = {name: task._replace(rank=task.seconds) for name, task in tasks.items()}
    assert makespan(tasks, 2) == 6
    assert makespan(ranked, 2) == 4
    chain = {"a": Task(1), "b": Task(5, ["a"]), "c": Task(2)}
    assert upward_ranks(chain) == {"a": 6, "b": 5, "c": 2}


def test_tasks_that_need_several_slots_wait_for_them():
    tasks = {"a": Task(2), "b": Task(2, slots=2), "c": Task(2, slots=9)}
    assert makespan(tasks, 2) == 6
    assert makespan({"a": Task(2), "b": Task(2)}, 2) == 2


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="cycle"):
        ordered({"a": Task(1, ["b"]), "b": Task(1, ["a"])})


WORK = Work("craft_examples", "pgd", rows=100.0)
SEEN = Context("standard", "article_cnn", "cpu", "float32")


def _record(seconds, effort=100.0, **change):
    plain = Record("craft_examples", "pgd", *SEEN[:4], effort, seconds)
    return plain._replace(**change)


def test_rates_are_those_of_the_most_similar_jobs():
    records = [_record(10.0), _record(30.0, defended="trades"), _record(90.0, kind="apgd")]
    teller = RuntimeModel((), records)
    assert teller.seconds(WORK, SEEN) == pytest.approx(10.0)
    assert teller.seconds(WORK, SEEN._replace(defended="trades")) == pytest.approx(30.0)
    assert teller.seconds(WORK, SEEN._replace(defended="new")) == pytest.approx(20.0)
    assert teller.seconds(WORK._replace(kind="new"), SEEN) == pytest.approx(130 / 3, rel=0.01)
    twice = teller.seconds(WORK._replace(rows=200.0), SEEN)
    assert twice - BASE == pytest.approx(2 * (10.0 - BASE))


def test_own_records_come_before_the_committed_and_set_the_pace_of_these():
    committed = [_record(10.0), _record(30.0, kind="apgd")]
    teller = RuntimeModel([_record(20.0)], committed)
    assert teller.seconds(WORK, SEEN) == pytest.approx(20.0)
    assert teller.pace == pytest.approx(2.0)
    assert teller.seconds(WORK._replace(kind="apgd"), SEEN) == pytest.approx(60.0)


def test_other_devices_and_threads_are_faster_where_nothing_is_known():
    teller = RuntimeModel((), [_record(10.0)])
    assert teller.seconds(WORK, SEEN._replace(device="cuda")) < 1
    assert 1 < teller.seconds(WORK, SEEN._replace(threads=4)) < 10
    unknown = Work("train_model", "standard", rows=1e12)
    assert teller.seconds(unknown, SEEN) > 1


def test_committed_rates_are_read_and_a_wrong_file_is_refused(tmp_path):
    records = read_records(rates.COMMITTED)
    assert {"train_model", "craft_examples", "certify_robustness", "audit_model"} <= {
        record.rule for record in records
    }
    assert all(record.seconds >= 0 and record.effort > 0 for record in records)
    (tmp_path / "wrong.json").write_text("[[1, 2]]")
    with pytest.raises(GauntletError, match=r"wrong.json holds no rates"):
        read_records(tmp_path / "wrong.json")


def test_sums_join_jobs_of_one_kind():
    joined = summed([_record(10.0), _record(20.0), _record(1.0, kind="apgd")])
    assert [(r.kind, r.seconds, r.count) for r in joined] == [("apgd", 1.0, 1), ("pgd", 30.0, 2)]


def test_times_are_written_as_people_read_them():
    assert [span(s) for s in (7, 600, 7200, 500000)] == ["7 s", "10 min", "2.0 h", "5.8 d"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A tiny study that has been run."""
    return finished(tmp_path_factory.mktemp("estimate"))


def _estimate(done, change=None):
    before = os.getcwd()
    os.chdir(done)
    try:
        (done / "change.yaml").write_text(json.dumps(change or {}))
        config = load_config([done / "overlay.yaml", done / "change.yaml"])
        own = summed(learned(estimate.RESULTS))
        return Estimate(config, RuntimeModel(own), estimate.RESULTS, 0.3)
    finally:
        os.chdir(before)


@pytest.mark.workflow
def test_what_is_done_is_left_out_and_an_edit_brings_it_back(done):
    message = _estimate(done)
    assert len(message.costs) > 30 and not message.tasks()
    changed = _estimate(done, {"attacks": {"quick": {"eps": 0.12}}})
    rules = {changed.plan.jobs[path].rule for path in changed.tasks()}
    assert {"craft_examples", "check_attacks", "evaluate_robustness", "plot_curves"} <= rules
    assert "train_model" not in rules
    left = [path for path in changed.tasks() if "/attacks/" in path]
    assert left and all("/attacks/quick/" in path for path in left)


@pytest.mark.workflow
def test_what_was_run_here_tells_its_own_seconds(done):
    records = list(learned(done / "results"))
    message = _estimate(done)
    assert len(records) == len(message.costs)
    assert sum(r.rule == "craft_examples" for r in records) == 10
    for rule in ("train_model", "craft_examples"):
        real = sum(r.seconds for r in records if r.rule == rule)
        costs = [c for path, c in message.costs.items() if message.plan.jobs[path].rule == rule]
        assert sum(c.seconds for c in costs) == pytest.approx(
            real, rel=0.8, abs=2 * len(costs) * BASE
        )


@pytest.mark.workflow
def test_disk_is_told_within_reason(done):
    files = [path for path in (done / "results").rglob("*") if path.is_file()]
    real = sum(path.stat().st_size for path in files)
    message = sum(cost.kept for cost in _estimate(done).costs.values())
    assert real / 3 < message < real * 3


@pytest.mark.workflow
def test_it_prints_a_table_and_refuses_what_cannot_be_read(done, monkeypatch, capsys):
    monkeypatch.chdir(done)
    assert main(["--config", "overlay.yaml", "--slots", "4", "--fresh"]) == 0
    printed = capsys.readouterr().out
    assert "craft_examples" in printed and "on 4 cores:" in printed and "MB" in printed
    assert "gradients (training, attacks): float32" in printed
    assert main(["--config", "nowhere.yaml"]) == 1
    assert "nowhere.yaml is no YAML file" in capsys.readouterr().err
    assert main(["--write", "own.json"]) == 0
    assert len(read_records(done / "own.json")) > 10


@pytest.mark.workflow
def test_gpu_hours_are_told_where_jobs_take_gpus(done, monkeypatch, capsys):
    monkeypatch.chdir(done)
    (done / "gpu.yaml").write_text(json.dumps({"compute": {"device": "cuda"}}))
    assert main(["--config", "overlay.yaml", "--config", "gpu.yaml", "--slots", "2", "--cold"]) == 0
    printed = capsys.readouterr().out
    assert "on 2 GPUs:" in printed and "GPU-hours:" in printed


def test_rates_that_cannot_be_written_are_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["--write", "file/rates.json"]) == 1
    printed = capsys.readouterr().err
    assert (
        printed.startswith("ERROR: file/rates.json cannot be written") and printed.count("\n") == 1
    )
