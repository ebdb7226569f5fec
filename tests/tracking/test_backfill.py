"""Event files made from histories: of results that the store gave back."""

import pytest

from gauntlet.core.records import write_rows
from gauntlet.tracking.base.backfill import backfill
from tests.helpers import tiny
from tests.helpers.event_files import scalars_of
from tests.tracking.test_listener import RUN, fit, job  # noqa: F401 (a fixture)


def _history(folder, rows):
    path = folder / "results" / "runs" / RUN / "history.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, rows[0], rows)


def test_a_history_becomes_event_files_once(tmp_path):
    rows = [{"epoch": n, "train_loss": 1 / n, "gradient_cosine": float("nan")} for n in (1, 2, 3)]
    _history(tmp_path, rows)
    assert backfill(tmp_path) == [RUN]
    found = scalars_of(tmp_path / "logs" / "tracking" / "tensorboard" / RUN / "epochs")
    assert found.keys() == {"epoch/train_loss"}  # nan is no point of a curve
    assert dict(found["epoch/train_loss"]) == pytest.approx({1: 1, 2: 1 / 2, 3: 1 / 3})
    assert backfill(tmp_path) == []


def test_records_of_the_training_itself_stay(job, tmp_path):  # noqa: F811
    folder = job(tensorboard=True, every=1, images=0) / "tensorboard" / RUN
    outcome = fit(tiny.spec(epochs=3))
    _history(tmp_path, outcome.history)
    assert backfill(tmp_path) == []
    assert "batch/loss" in scalars_of(folder / "batches")


def test_records_of_another_training_are_replaced(job, tmp_path):  # noqa: F811
    folder = job(tensorboard=True, every=1, images=0) / "tensorboard" / RUN
    fit(tiny.spec(epochs=3))
    other = [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}]
    _history(tmp_path, other)
    assert backfill(tmp_path) == [RUN]
    assert scalars_of(folder / "epochs")["epoch/train_loss"] == [(1, 0.5), (2, 0.25)]
    assert "batch/loss" not in scalars_of(folder / "batches")
    assert backfill(tmp_path) == []


def test_a_history_that_cannot_be_read_is_told(tmp_path, caplog):
    _history(tmp_path, [{"epoch": 1, "train_loss": 0.5}])
    path = tmp_path / "results" / "runs" / RUN / "history.csv"
    path.write_text("epoch,train_loss\n1,2,3\n")
    assert backfill(tmp_path) == []
    assert "history.csv is no table" in caplog.text
