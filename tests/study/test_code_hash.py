"""Which edit changes which job's code hash: on a copy of the library."""

import shutil

import pytest

from gauntlet.study import code_hash
from tests.helpers.places import ROOT

STANDARD = "training.defenses.standard"
JOBS = {
    "train-standard": ("train_model", ("models.article_cnn", STANDARD, "attacks.pgd")),
    "train-fgsm": ("train_model", ("models.mlp", "training.defenses.adversarial", "attacks.fgsm")),
    "craft-pgd": ("craft_examples", ("models.article_cnn", "attacks.pgd")),
    "craft-noise": ("craft_examples", ("models.article_cnn", "attacks.gaussian_noise")),
    "evaluate": ("evaluate_robustness", ()),
    "download": ("download_data", ("data.sklearn_digits",)),
}
TRAININGS = {"train-standard", "train-fgsm"}
CRAFTS = {"craft-pgd", "craft-noise"}
# file, text to find, replacement, jobs whose hash must change
EDITS = {
    "attack's code": (
        "lib/gauntlet/attacks/pgd.py",
        "require_not_negative(step=step)",
        "require_not_negative(step=step * 1)",
        {"train-standard", "craft-pgd"},
    ),
    "noise attack's code": (
        "lib/gauntlet/attacks/gaussian_noise.py",
        "clamp_(0, 1)",
        "clamp_(0, 2)",
        {"craft-noise"},
    ),
    "shared loop": (
        "lib/gauntlet/attacks/base/pgd_loop.py",
        "+= together",
        "+= 2",
        TRAININGS | CRAFTS,
    ),
    "training loop": (
        "lib/gauntlet/training/catastrophic_overfitting.py",
        "GAP = 0.3",
        "GAP = 0.4",
        TRAININGS,
    ),
    "defense": (
        "lib/gauntlet/training/defenses/standard.py",
        "model(images)",
        "model(images * 1)",
        {"train-standard"},
    ),
    "threat model": (
        "lib/gauntlet/core/tolerance.py",
        "SLACK = 1e-6",
        "SLACK = 1e-5",
        TRAININGS | CRAFTS | {"evaluate"},
    ),
    "FGSM, which validates": ("lib/gauntlet/attacks/fgsm.py", "steps=1", "steps=2", TRAININGS),
    "stage script": ("scripts/craft_examples.py", '"white-box"', '"whitebox"', CRAFTS),
    "docstring": ("lib/gauntlet/attacks/pgd.py", "Raise a loss", "Increase one", set()),
    "comment": ("lib/gauntlet/training/loop.py", "import logging", "# more\nimport logging", set()),
    "layout": (
        "lib/gauntlet/core/tolerance.py",
        "SLACK = 1e-6",
        "SLACK   =   1e-6",
        set(),
    ),
    "job's messages": ("lib/gauntlet/runtime/job.py", "done in", "ready in", set()),
    "progress": ("lib/gauntlet/core/progress.py", "about", "some", set()),
    "event files": (
        "lib/gauntlet/tracking/tensorboard.py",
        "purge_step=done + 1",
        "purge_step=done + 2",
        set(),
    ),
    "who listens to a training": (
        "lib/gauntlet/tracking/base/listener.py",
        "step % self.per_epoch",
        "step % 3",
        set(),
    ),
    "what is looked at": ("lib/gauntlet/tracking/base/pictures.py", "min=1e-12", "min=1", set()),
    "who is asked to listen": ("lib/gauntlet/stages/train_tracking.py", "EVERY, ", "OFT, ", set()),
    "warm worker": ("lib/gauntlet/runtime/worker.py", "PATIENCE = 30.0", "PATIENCE = 31.0", set()),
}


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    monkeypatch.setattr(code_hash, "LIBRARY", tmp_path / "workflow" / "lib" / "gauntlet")
    _forget()
    yield tmp_path / "workflow"
    _forget()


def _forget():
    code_hash._normalized.cache_clear()
    code_hash._closure.cache_clear()


def _hashes(folder):
    _forget()
    return {
        job: code_hash.code_hash(
            folder / "scripts" / f"{script}.py", tuple(f"gauntlet.{name}" for name in plugins)
        )
        for job, (script, plugins) in JOBS.items()
    }


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_exactly_these_jobs(edit, copy):
    name, old, new, expected = EDITS[edit]
    before, path = _hashes(copy), copy / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    after = _hashes(copy)
    assert {job for job in JOBS if before[job] != after[job]} == expected


def test_the_place_does_not_count(copy):
    assert _hashes(copy) == _hashes(ROOT / "workflow")


def test_a_missing_plugin_is_an_error():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        code_hash.code_hash(
            ROOT / "workflow/scripts/craft_examples.py", ("gauntlet.attacks.nowhere",)
        )
