"""A step of the user's own in a configuration: completed, planned, and checked before any job."""

import pytest

from gauntlet.core import plugins
from gauntlet.core.errors import GauntletError
from gauntlet.study import specs
from gauntlet.study.plan import Plan
from gauntlet.study.schema import complete
from tests.helpers.overlays import SCHEMA
from tests.helpers.own_plugins import STEP as OWN
from tests.helpers.own_plugins import study_of, written

WRONG = {
    "a gradient of no kind": (OWN.replace("straight_through", "bpda"), "GRADIENT in .* is 'bpda'"),
    "fitted on nothing": (
        OWN + "FITTED = 'tests'\n",
        "FITTED in .* is 'tests'; allowed are '', 'ex",
    ),
    "no formula": (OWN.replace('"pixels"', '"open(1)"'), "is no formula"),
    "no type": (OWN.replace("below: float = 0.1", "below, more"), "'more' in .* has no type"),
}


@pytest.fixture
def forgotten(monkeypatch):
    monkeypatch.setenv(plugins.ENVIRONMENT, "[]")
    yield
    plugins.use([])


def own_study(folder, text: str, **settings) -> dict:
    config = study_of(written(folder))
    written(folder, {"preprocess/blacken.py": text})
    config["preprocess"] = {"black": {"kind": "blacken", **settings}}
    return config


def test_an_own_step_is_completed_planned_and_its_code_is_its_file(tmp_path, forgotten):
    config = complete(own_study(tmp_path, OWN, below=0.2), SCHEMA)
    assert config["preprocess"]["black"] == {"kind": "blacken", "below": 0.2}
    plan = Plan(config)
    (job,) = (job for job in plan.jobs.values() if job.rule == "attack_preprocess")
    spec = plan.spec(job)
    assert spec["preprocess"] == {"kind": "blacken", "below": 0.2}
    assert spec["points"][0]["straight_through"] is True
    assert "gauntlet.preprocess.blacken" in specs.plugins(spec)


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_an_own_step_is_one_sentence(case, tmp_path, forgotten):
    text, message = WRONG[case]
    with pytest.raises(GauntletError, match=message):
        complete(own_study(tmp_path, text), SCHEMA)


def test_a_setting_of_an_own_step_is_checked(tmp_path, forgotten):
    with pytest.raises(
        GauntletError, match=r"preprocess.black.below is 2; allowed is a number from"
    ):
        complete(own_study(tmp_path, OWN, below=2), SCHEMA)
