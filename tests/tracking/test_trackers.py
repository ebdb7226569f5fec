"""Weights & Biases offline, MLflow in a folder; and what a failing tracker does to a training."""

import logging

import pytest

from gauntlet.core import plugins
from gauntlet.tracking.base import places
from tests.helpers import tiny
from tests.helpers.wandb_files import read_runs
from tests.tracking.test_listener import RUN, Asked, fit, job, same  # noqa: F401 (a fixture)


def _interrupted(spec, kept, monkeypatch):
    """Train with one stop on the way; gives the outcome."""
    Asked(monkeypatch, at=6)
    with pytest.raises(SystemExit):
        fit(spec, keep=kept)
    Asked(monkeypatch, at=10**6)
    return fit(spec, keep=kept)


@pytest.mark.slow
def test_wandb_keeps_a_run_offline(job, tmp_path, monkeypatch, given_back):  # noqa: F811
    spec = tiny.spec("standard", epochs=3)
    plain = fit(spec)
    folder = job(wandb={"project": "robust", "mode": "offline"}, every=1, images=2)
    outcome = _interrupted(spec, tmp_path / "keep", monkeypatch)
    same(outcome, plain)
    rows = read_runs(folder / "wandb").rows
    assert len(read_runs(folder / "wandb").runs) == 1  # both parts belong to one run
    losses = {row["epoch"]: row["epoch/train_loss"] for row in rows if "epoch" in row}
    assert losses == {row["epoch"]: row["train_loss"] for row in outcome.history}
    batches = [row["_step"] for row in rows if "batch/loss" in row]
    assert batches == list(range(1, 13))
    shown = [row for row in rows if any("adversarial/adversarial" in name for name in row)]
    assert len(shown) == 3  # after epochs 1, 2 and 3


@pytest.mark.slow
def test_mlflow_logs_into_a_folder(job, tmp_path, monkeypatch, given_back):  # noqa: F811
    from mlflow.tracking import MlflowClient

    spec = tiny.spec("standard", epochs=3)
    plain = fit(spec)
    folder = job(mlflow={"uri": "runs of mine", "experiment": "robust"}, every=1, images=2)
    outcome = _interrupted(spec, tmp_path / "keep", monkeypatch)
    same(outcome, plain)
    assert (folder / "mlflow" / RUN / "position.json").is_file()
    client = MlflowClient((tmp_path / "runs of mine").as_uri())
    found = client.search_runs([client.get_experiment_by_name("robust").experiment_id])
    assert [(run.info.run_name, run.info.status) for run in found] == [(RUN, "FINISHED")]
    metrics = client.get_metric_history(found[0].info.run_id, "epoch/validation_robust")
    held = {row["epoch"]: row["validation_robust"] for row in outcome.history}
    assert {metric.step: metric.value for metric in metrics} == held
    losses = client.get_metric_history(found[0].info.run_id, "batch/loss")
    assert [metric.step for metric in losses] == list(range(1, 13))
    assert found[0].data.params["training.optimizer"] == "adam"
    pictures = client.list_artifacts(found[0].info.run_id, "adversarial")
    assert len(pictures) == 3 * 3  # epochs 1, 2 and 3: clean, adversarial, change


def test_the_list_of_trackers_is_the_folder():
    assert set(plugins.available("tracking")) == set(places.TRACKERS)


class Broken:
    """A tracker that writes some batches, then finds the disk full."""

    immediate, left = True, 3

    def batch(self, *_):
        self.left -= 1
        if not self.left:
            raise OSError(28, "No space left on device")

    def close(self, finished):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("failing", ["opening", "writing"])
def test_a_tracker_that_fails_warns_once_and_the_training_goes_on(
    failing,
    job,  # noqa: F811
    monkeypatch,
    caplog,
):
    from gauntlet.tracking.base import listener

    def opened(*_, **__):
        if failing == "opening":
            raise ConnectionError("no route to host\nand more")
        return Broken()

    plain = fit(tiny.spec(epochs=3))
    monkeypatch.setattr(listener, "load", lambda *_: opened)
    job(tensorboard=True, every=1, images=0)
    with caplog.at_level(logging.WARNING):
        same(fit(tiny.spec(epochs=3)), plain)
    said = [record.message for record in caplog.records if "tracking" in record.message]
    assert len(said) == 1 and "the training goes on" in said[0]
    assert ("no route to host" if failing == "opening" else "No space left") in said[0]


def test_event_files_that_cannot_be_written_stop_no_training(job, tmp_path, caplog):  # noqa: F811
    plain = fit(tiny.spec(epochs=2))
    job(tensorboard=True)
    (tmp_path / "logs").write_text("a file where the folder should be")
    same(fit(tiny.spec(epochs=2)), plain)
    assert caplog.text.count("tracking by tensorboard ends here") == 1
