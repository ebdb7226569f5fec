"""A trial: trained with its round's settings, judged on the validation part, never a crash."""

import json

import numpy as np
import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.progress import JOB
from gauntlet.search.trials import COMPLETE, PRUNED, REFUSED
from gauntlet.stages.trial import try_settings
from gauntlet.training.loop import choice_record
from tests.helpers import tiny

CPU = torch.device("cpu")
SETTINGS = {"learning_rate": 0.02, "attack.steps": 2, "label_smoothing": 0.1}
INNER = {"name": "pgd", "attack": tiny.PGD | {"step": None}}


def trial_spec(epochs=3, **change):
    spec = tiny.spec("adversarial", epochs=epochs, **change)
    search = {"name": "find", "inner": "pgd", "attacks": [INNER]}
    goal = {"robust": 1.0, "clean": 0.5}
    return spec | {"goal": goal, "search": search, "trial": 2}


def files_of(folder, test=0):
    """Give data files of 64 training, 32 validation and 32 test images; `test` changes the last."""
    images, labels, meta, split = tiny.data_files(folder, 128, 64)
    parts = {"train": range(64), "validation": range(64, 96), "test": range(96, 128)}
    with open(split, "w") as stream:
        json.dump({name: [*rows] for name, rows in parts.items()}, stream)
    if test:
        pixels, classes = np.load(images), np.load(labels)
        pixels[96:], classes[96:] = test, 0
        np.save(images, pixels), np.save(labels, classes)
    given = {name: [] for name in ("start", "crafted", "teacher", "extra", "pretrained")}
    return {"images": images, "labels": labels, "meta": meta, "split": split} | given


def proposed(folder, settings=SETTINGS, limits=()):
    path = folder / "trials.json"
    own = {"trial": 2, "settings": settings, "start": False}
    limits = {"0": [*limits]} if limits else {}
    path.write_text(json.dumps({"round": 1, "thresholds": limits, "trials": [own]}))
    return path


def tried(folder, spec=None, **proposal):
    folder.mkdir(exist_ok=True)
    return try_settings(
        files_of(folder), spec or trial_spec(), proposed(folder, **proposal), None, CPU
    )


def test_a_trial_says_what_it_has_reached_on_the_validation_part(tmp_path):
    found = tried(tmp_path)
    result = found.result
    assert (result["state"], result["n"], result["trial"], result["seed"]) == (COMPLETE, 32, 2, 0)
    assert result["settings"] == SETTINGS and len(found.history) == len(result["curve"]) == 3
    row = found.history[result["epoch"] - 1]
    assert (result["robust"], result["clean"]) == (
        row["validation_robust"],
        row["validation_clean"],
    )
    assert result["value"] == result["curve"][-1]
    assert result["value"] == pytest.approx(row["validation_robust"] + row["validation_clean"] / 2)
    assert found.history[0]["learning_rate"] == 0.02


def test_a_trial_is_no_run_that_is_tracked(tmp_path, monkeypatch):
    monkeypatch.setenv(JOB, "logs/searches/find/trial2/seed0.log")
    monkeypatch.setenv("GAUNTLET_TRACKING", json.dumps({"tensorboard": True}))
    assert tried(tmp_path).result["state"] == COMPLETE


def test_test_images_are_not_used(tmp_path):
    (tmp_path / "other").mkdir()
    one = tried(tmp_path)
    files = files_of(tmp_path / "other", test=255)
    other = try_settings(files, trial_spec(), proposed(tmp_path / "other"), None, CPU)
    assert other == one


def test_other_settings_give_another_history(tmp_path):
    one, two = tried(tmp_path), tried(tmp_path, settings=SETTINGS | {"attack.steps": 1})
    assert one.history != two.history
    assert tried(tmp_path) == one


def test_a_trial_below_the_median_ends_early(tmp_path):
    whole = tried(tmp_path / "whole", trial_spec(epochs=4))
    found = tried(tmp_path / "early", trial_spec(epochs=4), limits=[9.0] * 4)
    assert (found.result["state"], len(found.history)) == (PRUNED, 2)
    assert found.history == whole.history[:2]
    assert "below the median" in found.result["reason"] and found.result["value"] is not None
    kept = tried(tmp_path / "kept", trial_spec(epochs=4), limits=[0.0] * 4)
    assert kept.result == whole.result


def test_a_loss_that_is_not_finite_is_a_row(tmp_path):
    found = tried(tmp_path, settings={"learning_rate": 1e30})
    assert found.result["state"] == REFUSED and "not finite" in found.result["reason"]
    assert found.result["value"] is None and found.result["epoch"] is None


def test_settings_that_the_training_refuses_are_a_row(tmp_path, monkeypatch):
    def refuse(*arguments, **settings):
        raise ValueError("beta must be positive")

    monkeypatch.setattr("gauntlet.training.loop.fit", refuse)
    found = tried(tmp_path)
    assert found.result["state"] == REFUSED and found.history == []
    assert found.result["reason"] == "ValueError: beta must be positive"


def test_a_full_disk_is_no_row(tmp_path, monkeypatch):
    def fail(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gauntlet.training.loop.fit", fail)
    with pytest.raises(OSError, match="No space"):
        tried(tmp_path)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: unspecified launch failure"), AttributeError("a bug")]
)
def test_a_device_that_fails_and_a_bug_are_no_rows(error, tmp_path, monkeypatch):
    def fail(*arguments, **settings):
        raise error

    monkeypatch.setattr("gauntlet.training.loop.fit", fail)
    with pytest.raises(type(error), match=str(error)):
        tried(tmp_path)


def test_a_collapse_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "gauntlet.training.loop.find_collapse", lambda history, single: "single-step collapse"
    )
    found = tried(tmp_path)
    assert (found.result["state"], found.result["value"]) == (REFUSED, None)
    assert found.result["reason"] == "single-step collapse" and len(found.history) == 3


def test_a_round_without_the_trial_is_refused(tmp_path):
    with pytest.raises(GauntletError, match="has no settings for trial 3"):
        tried(tmp_path, trial_spec() | {"trial": 3})


@pytest.mark.parametrize("selection", ["best", "last"])
def test_the_epoch_that_counts_is_the_one_that_a_training_keeps(tmp_path, monkeypatch, selection):
    outcomes = []

    def keep(*arguments, **settings):
        outcomes.append(fit(*arguments, **settings))
        return outcomes[-1]

    from gauntlet.training import loop

    fit = loop.fit
    monkeypatch.setattr(loop, "fit", keep)
    spec = trial_spec(selection=selection)
    found = tried(tmp_path, spec).result
    chosen = choice_record(spec, outcomes[0])
    assert found["epoch"] == chosen["selected_epoch"]
    assert found["robust"] == chosen["validation_robust"]
