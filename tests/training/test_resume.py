"""A training that is interrupted goes on to the same bytes."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch

from gauntlet.core.signals import Stop, Stopped
from gauntlet.training import loop as training
from gauntlet.training.checkpoints import MINUTES, Checkpoints
from tests.helpers import tiny

NAMES = ["standard", "adversarial", "trades"]


def _fit(spec, keep=None, arch=tiny.CNN):
    model, train = tiny.model(arch), tiny.part(50)
    given = tiny.given(spec, train)
    return training.fit(model, spec, train, tiny.part(24, 1), keep=keep, **given)


def _same(first, second):
    assert repr(first.history) == repr(second.history)  # in which nan equals nan
    assert (first.best_epoch, first.warnings) == (second.best_epoch, second.warnings)
    for one, other in ((first.best, second.best), (first.last, second.last)):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


class _Asked:
    """Ask to stop at the n-th batch or epoch that looks."""

    def __init__(self, monkeypatch, at):
        self.left = at
        monkeypatch.setattr(Checkpoints, "due", self._due)

    def _due(self, *_):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
        return False


@pytest.mark.parametrize("defense", NAMES)
@pytest.mark.parametrize("change", [{}, {"optimizer": "sgd", "ema": 0.9, "augment": "flip_crop"}])
def test_stopped_again_and_again_it_ends_with_the_same_bytes(
    defense, change, tmp_path, monkeypatch
):
    spec = tiny.spec(defense, epochs=3, ramp=0.5 if defense != "standard" else 0.0, **change)
    _stop_and_go_on(spec, tiny.NORMED if "ema" in change else tiny.CNN, tmp_path, monkeypatch)


STATES = {  # what a checkpoint must hold beside weights and optimizer: a defense, its settings
    "the next step of free training": ("free", {}),
    "the good state of a rollback": ("n_fgsm", {"rollback": True}),
    "how many epochs are averaged": ("standard", {"swa": 0.3}),
    "nothing of a weight perturbation": ("adversarial", {"awp": {"gamma": 0.01, "start": 0.2}}),
    "nothing of a teacher": ("rslad", {}),
    "nothing of files": ("ensemble", {}),
    "nothing of mixed labels": ("n_fgsm", {"mix": "cutmix"}),
    "nothing of further images": ("standard", {"extra": {"share": 0.5}}),
    "nothing of frozen layers": ("standard", {"freeze": 1}),
    "nothing of noise": ("smoothadv", {}),
}


@pytest.mark.parametrize("case", STATES)
def test_a_checkpoint_holds(case, tmp_path, monkeypatch):
    defense, change = STATES[case]
    if "rollback" in change:
        monkeypatch.setattr(training, "is_collapsed", lambda history, row: row["epoch"] == 2)
    spec = tiny.spec(defense, epochs=3, **change)
    _stop_and_go_on(spec, tiny.CNN, tmp_path, monkeypatch)


def _stop_and_go_on(spec, arch, tmp_path, monkeypatch):
    """Stop a training again and again: it must end with the bytes of one that never stopped."""
    whole, stops = _fit(spec, arch=arch), 0
    for _ in range(20):
        _Asked(monkeypatch, at=2)
        try:
            outcome = _fit(spec, tmp_path, arch)
            break
        except Stopped as end:
            assert end.code == 128 + signal.SIGUSR1
            stops += 1
    assert stops >= 3
    _same(outcome, whole)


def test_dropout_goes_on_with_its_own_numbers(tmp_path, monkeypatch):
    spec = tiny.spec(epochs=2)

    def model():
        made = tiny.model()
        made.network.insert(2, torch.nn.Dropout(0.5))
        return made

    def fit(keep=None):
        return training.fit(model(), spec, tiny.part(50), tiny.part(24, 1), keep=keep)

    torch.manual_seed(1)
    whole = fit()
    torch.manual_seed(2)  # what the process drew before is of no matter
    _Asked(monkeypatch, at=3)
    with pytest.raises(Stopped):
        fit(tmp_path)
    torch.manual_seed(3)
    _same(fit(tmp_path), whole)


def test_a_damaged_checkpoint_starts_anew(tmp_path, monkeypatch, caplog):
    spec = tiny.spec(epochs=2)
    _Asked(monkeypatch, at=3)
    with pytest.raises(Stopped):
        _fit(spec, tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:200])
    _same(_fit(spec, tmp_path), _fit(spec))
    assert "damaged" in caplog.text


def test_between_epochs_it_saves_as_often_as_asked(tmp_path, monkeypatch):
    saves = []
    monkeypatch.setattr(Checkpoints, "save", lambda self, loop: saves.append(loop["within"]))
    monkeypatch.setenv(MINUTES, "0")
    _fit(tiny.spec(epochs=1), tmp_path)
    assert len(saves) == 5 and saves[-1] is None and saves[1]["batches"] == 2
    saves.clear()
    monkeypatch.setenv(MINUTES, "10")
    _fit(tiny.spec(epochs=2), tmp_path)
    assert saves == [None, None]


def test_asked_twice_it_ends_at_once():
    with pytest.raises(Stopped) as end, Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
        os.kill(os.getpid(), signal.SIGTERM)
    assert end.value.code == 128 + signal.SIGTERM


def test_outside_the_main_thread_it_does_nothing():
    said = []

    def work():
        with Stop() as stop:
            said.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == [False]


def test_a_killed_process_goes_on_from_its_last_epoch(tmp_path):
    """SIGKILL gives no chance to save: what the last checkpoint holds is not lost."""
    code = f"""
        import sys
        sys.path[:0] = {sys.path!r}
        import torch
        from pathlib import Path
        from gauntlet.training import loop
        from tests.helpers import tiny
        torch.set_num_threads(1)
        spec = tiny.spec(epochs=500)
        keep = Path({str(tmp_path)!r})
        loop.fit(tiny.model(), spec, tiny.part(50), tiny.part(24, 1), keep=keep)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    path, end = tmp_path / "checkpoint.pt", time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    child.kill()
    child.wait()
    reached = torch.load(path, weights_only=True)["loop"]["epoch"]
    spec = tiny.spec(epochs=reached + 1)
    # the number of epochs is part of the key of a real job; here it changes no bit of an epoch
    _same(_fit(spec, tmp_path), _fit(spec))
