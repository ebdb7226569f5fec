"""A training that is listened to gives the same bytes; records are right and stand once."""

import json
import os
import signal

import pytest
import torch

from gauntlet.core.progress import JOB
from gauntlet.core.signals import Stopped
from gauntlet.stages.train_tracking import listening
from gauntlet.tracking.base import listener as module
from gauntlet.tracking.base.places import SETTINGS, place_of
from gauntlet.training import loop
from gauntlet.training.checkpoints import Checkpoints
from tests.helpers import tiny
from tests.helpers.event_files import images_of, scalars_of

RUN = "digits/article_cnn/pgd_at/seed0"
LOG = f"logs/runs/{RUN}/train.log"


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job at work in a folder of its own; gives a function that asks for trackers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(JOB, LOG)

    def ask(**chosen):
        monkeypatch.setenv(SETTINGS, json.dumps(chosen))
        return tmp_path / "logs" / "tracking"

    return ask


def fit(spec, arch=tiny.CNN, keep=None, main=True):
    model, train, held = tiny.model(arch), tiny.part(50), tiny.part(24, 1)
    given = tiny.given(spec, train)
    with listening(spec, train, held, main) as listener:
        return loop.fit(model, spec, train, held, keep=keep, listener=listener, **given)


def same(first, second):
    assert repr(first.history) == repr(second.history)
    for name in first.last:
        assert torch.equal(first.last[name], second.last[name])
        assert torch.equal(first.best[name], second.best[name])


CASES = {
    "adversarial": ("adversarial", tiny.CNN, {}),
    "batch norm and an average": ("trades", tiny.NORMED, {"ema": 0.9, "optimizer": "sgd"}),
    "perturbed weights": ("adversarial", tiny.CNN, {"awp": {"gamma": 0.01, "start": 0.2}}),
    "frozen layers": ("standard", tiny.CNN, {"freeze": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_are_the_same_with_and_without(case, job):
    defense, arch, change = CASES[case]
    spec = tiny.spec(defense, epochs=3, **change)
    plain = fit(spec, arch)
    folder = job(tensorboard=True, every=1, images=4)
    same(fit(spec, arch), plain)
    assert list(folder.rglob("events*"))


def test_a_model_that_draws_numbers_draws_the_same(job):
    def fit_with_dropout():
        model, train, held = tiny.model(), tiny.part(50), tiny.part(24, 1)
        model.network.insert(2, torch.nn.Dropout(0.5))
        with listening(tiny.spec(epochs=3), train, held) as listener:
            return loop.fit(model, tiny.spec(epochs=3), train, held, listener=listener)

    plain = fit_with_dropout()
    job(tensorboard=True, every=1, images=4)
    same(fit_with_dropout(), plain)


def test_event_files_hold_what_the_history_holds(job):
    folder = job(tensorboard=True, every=2, images=4)
    outcome = fit(tiny.spec("adversarial", epochs=3))
    epochs = scalars_of(folder / "tensorboard" / RUN / "epochs")
    for name in ("train_loss", "validation_clean", "validation_fgsm", "validation_robust"):
        held = {row["epoch"]: row[name] for row in outcome.history}
        assert dict(epochs[f"epoch/{name}"]) == pytest.approx(held)
    batches = scalars_of(folder / "tensorboard" / RUN / "batches")
    # 50 images in batches of 16 are 4 batches: every second one, and the last of each epoch
    assert [step for step, _ in batches["batch/loss"]] == [1, 3, 4, 5, 7, 8, 9, 11, 12]
    assert all(norm > 0 for _, norm in batches["batch/gradient_norm"])
    assert dict(batches["batch/learning_rate"])[1] == pytest.approx(0.01)


def test_pictures_show_examples_inside_the_ball(job):
    folder = job(tensorboard=True, every=1, images=3)
    fit(tiny.spec("standard", epochs=5))
    found = images_of(folder / "tensorboard" / RUN / "epochs")
    assert {name: sorted(by_epoch) for name, by_epoch in found.items()} == {
        f"adversarial/{name}": [1, 2, 4, 5] for name in ("clean", "adversarial", "change")
    }
    clean, attacked = (found[f"adversarial/{name}"][5] for name in ("clean", "adversarial"))
    moved = (clean - attacked).abs().max()
    assert 0.09 < moved < 0.1 + 1 / 255  # eps is 0.1, and a picture has 256 levels


class Asked:
    """Ask to stop when the n-th batch or epoch looks."""

    def __init__(self, monkeypatch, at):
        self.left = at
        monkeypatch.setattr(Checkpoints, "due", self._due)

    def _due(self, *_):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
        return False


@pytest.mark.parametrize("lost", [False, True], ids=["stopped", "killed"])
def test_an_interrupted_training_goes_on_without_double_steps(job, tmp_path, monkeypatch, lost):
    spec = tiny.spec("standard", epochs=4)
    folder = job(tensorboard=True, every=1, images=2) / "tensorboard" / RUN
    fit(spec)
    whole = [scalars_of(folder / part) for part in ("epochs", "batches")]
    kept = tmp_path / "keep"
    for at in (3, 6, 4):
        Asked(monkeypatch, at=at)
        with pytest.raises(Stopped):
            fit(spec, keep=kept)
        if lost:  # the position on the disk is that of an earlier moment
            position = json.loads((folder / "position.json").read_text())
            position["batch"] = max(position["batch"] - 2, 0)
            (folder / "position.json").write_text(json.dumps(position))
    Asked(monkeypatch, at=10**6)
    fit(spec, keep=kept)
    again = [scalars_of(folder / part) for part in ("epochs", "batches")]
    for first, second in zip(whole, again, strict=True):
        assert first.keys() == second.keys()
        for name in first:
            assert [step for step, _ in second[name]] == [step for step, _ in first[name]], name
    assert again[1]["batch/loss"] == whole[1]["batch/loss"]


def test_a_new_training_replaces_the_records_of_the_last(job):
    folder = job(tensorboard=True, every=1, images=0) / "tensorboard" / RUN
    fit(tiny.spec(epochs=3))
    fit(tiny.spec(epochs=2, seed=1))
    assert [step for step, _ in scalars_of(folder / "epochs")["epoch/train_loss"]] == [1, 2]


def test_records_of_another_training_are_not_gone_on_with(job, tmp_path, monkeypatch):
    folder = job(tensorboard=True, every=1, images=0) / "tensorboard" / RUN
    fit(tiny.spec("standard", epochs=4))
    spec = tiny.spec("standard", epochs=4, learning_rate=0.02)
    job()  # the other one begins without a tracker, and is interrupted
    Asked(monkeypatch, at=7)
    with pytest.raises(Stopped):
        fit(spec, keep=tmp_path / "keep")
    job(tensorboard=True, every=1, images=0)
    Asked(monkeypatch, at=10**6)
    outcome = fit(spec, keep=tmp_path / "keep")
    losses = {row["epoch"]: row["train_loss"] for row in outcome.history}
    shown = dict(scalars_of(folder / "epochs")["epoch/train_loss"])
    assert shown and shown == pytest.approx({epoch: losses[epoch] for epoch in shown})


def test_only_the_main_process_writes(job):
    folder = job(tensorboard=True)
    fit(tiny.spec(epochs=1), main=False)
    assert not folder.exists()


def test_outside_a_job_nothing_is_written(job, monkeypatch, tmp_path):
    job(tensorboard=True)
    monkeypatch.delenv(JOB)
    fit(tiny.spec(epochs=1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("epoch, shown", [(1, 1), (2, 1), (3, 0), (4, 1), (6, 0), (7, 1), (8, 1)])
def test_pictures_come_at_powers_of_two_and_at_the_end(epoch, shown):
    assert module.is_shown(epoch, 7) == bool(shown)


def test_the_place_follows_the_log(tmp_path):
    place = place_of(tmp_path / LOG)
    assert (place.name, place.folder) == (RUN, tmp_path / "logs" / "tracking")
