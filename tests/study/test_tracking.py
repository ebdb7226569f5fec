"""Trackers in the configuration: part of no specification, and found missing before any job."""

import json

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study import tracking
from tests.helpers.overlays import all_specs, completed

ALL = {"tensorboard": True, "wandb": {"project": "a"}, "mlflow": {"uri": "b"}, "images": 0}


def test_no_specification_has_them():
    assert all_specs(completed({"tracking": ALL})) == all_specs(completed())


@pytest.mark.parametrize("name", tracking.PACKAGES)
def test_a_package_that_is_missing_is_one_sentence(name, monkeypatch):
    config = completed({"tracking": {name: ALL[name]}})
    assert tracking.problems(config) == []
    monkeypatch.setattr(tracking, "find_spec", lambda package: None)
    (sentence,) = tracking.problems(config)
    assert f"tracking.{name}" in sentence and f"gauntlet-robustness[{name}]" in sentence


def test_without_a_setting_nothing_is_missing(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda package: None)
    assert tracking.problems(completed()) == []
    assert json.loads(tracking.environment(completed()))["tensorboard"] is False


def test_jobs_read_what_is_chosen():
    chosen = json.loads(tracking.environment(completed({"tracking": {"wandb": {"project": "a"}}})))
    assert chosen["tensorboard"] is True  # its package is part of the workflow's environment
    assert chosen["wandb"] == {"project": "a", "entity": None, "mode": "offline"}
    assert (chosen["every"], chosen["images"], chosen["mlflow"]) == (10, 8, None)


WRONG = {
    "a word": ({"tensorboard": "yes please"}, "tracking.tensorboard is 'yes please'"),
    "no project": ({"wandb": {}}, "tracking.wandb.project is missing"),
    "another mode": ({"wandb": {"project": "a", "mode": "off"}}, "tracking.wandb.mode is 'off'"),
    "no uri": ({"mlflow": {"experiment": "a"}}, "tracking.mlflow.uri is missing"),
    "another tracker": ({"comet": {}}, "tracking.comet is no known key"),
    "no batches": ({"every": 0}, "tracking.every is 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named(case):
    change, said = WRONG[case]
    with pytest.raises(GauntletError) as error:
        completed({"tracking": change})
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1
