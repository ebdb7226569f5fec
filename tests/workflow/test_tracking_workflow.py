"""Tracking in a run of Snakemake: event files of each training, and no job that runs again."""

import pytest

from tests.helpers.event_files import scalars_of
from tests.helpers.snakes import STUDY, finished, merged, planned, snakemake

pytestmark = pytest.mark.workflow
EVENTS = "logs/tracking/tensorboard/digits/article_cnn"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("tracking"))


def test_every_training_has_its_event_files(home):
    for defense in STUDY["studies"]["tiny"]["defenses"]:
        folder = home / EVENTS / defense / "seed0"
        epochs = scalars_of(folder / "epochs")
        assert [step for step, _ in epochs["epoch/validation_robust"]] == [1]
        assert scalars_of(folder / "batches")["batch/gradient_norm"]


def test_turning_it_on_or_off_and_editing_its_code_runs_nothing(home):
    for tracking in ({"tensorboard": False}, {"every": 3, "images": 0}):
        assert planned(home, merged(STUDY, {"tracking": tracking})) == {}
    path = home / "workflow/lib/gauntlet/tracking/base/listener.py"
    text = path.read_text()
    path.write_text(text.replace("step % self.per_epoch", "step % 7"))
    assert path.read_text() != text and planned(home) == {}


def test_a_tracker_that_is_not_installed_is_named_before_any_job(home):
    chosen = merged(STUDY, {"tracking": {"wandb": {"project": "a"}}})
    hide = "import importlib.util as u; f = u.find_spec\nu.find_spec = "
    hide += "lambda name, *a: None if name == 'wandb' else f(name, *a)\n"
    path = home / "workflow/lib/gauntlet/study/tracking.py"
    before = path.read_text()
    path.write_text(before.replace("import json\n", f"import json\n{hide}"))
    printed = snakemake(home, "-n", study=chosen, check=False)
    path.write_text(before)
    assert "gauntlet-robustness[wandb]" in printed and "rule train_model" not in printed
