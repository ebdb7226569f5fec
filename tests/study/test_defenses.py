"""Defenses in a configuration: what they need, and what is refused before any job."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study import specs
from gauntlet.study.defenses import Crafted, Made, missing_extra, needed_crafted, needed_teacher
from gauntlet.study.job_needs import JobName
from gauntlet.study.job_table import JOBS
from tests.study.test_config import completed

ADVERSARIAL = {"kind": "adversarial", "attack": "pgd7"}
GIVEN = {"arch": "article_cnn", "weights": "results/runs/digits/article_cnn/pgd_at/seed0/best.pt"}
MODELS = {"big": {"arch": "mlp", "hidden": [64]}, "given": GIVEN}
TEACHER = {"model": "big", "defense": "pgd_at"}
BOUNDS = {"kind": "mtl_ibp", "attack": "fgsm_rs", "eps": 0.1, "ramp": 0.5}
L2 = {"near": {"kind": "pgd", "norm": "l2", "eps": 1.0}}
MARGIN = {"margin": {"kind": "pgd", "norm": "linf", "eps": 0.1, "loss": "margin"}}


def _completed(defense, **more):
    return completed({"models": MODELS, "defenses": {"d": defense}} | more)


# a defense, what else is configured, what the sentence must contain
WRONG = {
    "an l2 attack for bounds": (
        BOUNDS | {"attack": "near"},
        {"attacks": L2},
        ["d.attack is 'near', whose norm is l2", "is linf"],
    ),
    "gradalign in l2": (
        {"kind": "gradalign", "attack": "near"},
        {"attacks": L2},
        ["whose norm is l2"],
    ),
    "bounds at once": (BOUNDS | {"ramp": 0}, {}, ["d.ramp is 0", "above 0"]),
    "a ramp past the end": (
        BOUNDS | {"ramp_start": 0.6},
        {},
        ["d.ramp_start is 0.6 and ramp is 0.5", "a sum of 1"],
    ),
    "two averages": (ADVERSARIAL | {"ema": 0.9, "swa": 0.5}, {}, ["ema 0.9 and swa 0.5"]),
    "frozen from scratch": (ADVERSARIAL | {"freeze": 2}, {}, ["d.freeze is 2", "init is none"]),
    "free on two devices": (
        {"kind": "free", "eps": 0.1, "devices": 2},
        {},
        ["d.devices is 2; allowed with kind free is 1"],
    ),
    "awp on two devices": (
        ADVERSARIAL | {"awp": {}, "devices": 2},
        {},
        ["d.devices is 2; allowed with awp is 1"],
    ),
    "mixed labels for MART": (
        {"kind": "mart", "attack": "pgd7", "mix": "cutmix"},
        {},
        ["d.mix is 'cutmix'", "kind mart", "allowed are cutout and none"],
    ),
    "mixed labels for a margin": (
        ADVERSARIAL | {"attack": "margin", "mix": "cutmix"},
        {"attacks": MARGIN},
        ["d.mix is 'cutmix'", "attack margin", "loss margin"],
    ),
    "unknown teacher": (
        {"kind": "ard", "attack": "pgd7", "teacher": TEACHER | {"model": "bgi"}},
        {},
        ["d.teacher.model is 'bgi'", "nearest is 'big'"],
    ),
    "no teacher": ({"kind": "rslad", "attack": "pgd7"}, {}, ["d.teacher is missing"]),
    "half a teacher": (
        {"kind": "ard", "attack": "pgd7", "teacher": {"model": "big"}},
        {},
        ["d.teacher.defense is missing"],
    ),
    "a given model that is trained": (
        {"kind": "ard", "attack": "pgd7", "teacher": {"model": "given", "defense": "pgd_at"}},
        {},
        ["d.teacher.defense is 'pgd_at', but given comes with its weights", "'as_given'"],
    ),
    "a trained model as given": (
        {"kind": "ard", "attack": "pgd7", "teacher": {"model": "big", "defense": "as_given"}},
        {},
        ["d.teacher.defense is 'as_given', but big has no weights"],
    ),
    "taught by itself": (
        {"kind": "ard", "attack": "pgd7", "teacher": {"model": "big", "defense": "d"}},
        {},
        ["defenses.d needs itself", "(d -> d)"],
    ),
    "no sources": ({"kind": "ensemble", "attack": "fgsm", "sources": []}, {}, ["sources is empty"]),
    "a source that is not there": (
        {"kind": "ensemble", "attack": "fgsm", "sources": [{"model": "big", "defense": "x"}]},
        {},
        ["d.sources[0].defense is 'x'"],
    ),
    "examples of files for further images": (
        {"kind": "static", "attack": "fgsm", "source": "baseline", "extra": {"path": "x.npz"}},
        {},
        ["d.extra.path is 'x.npz'", "kind static", "no examples"],
    ),
    "all further images": (
        ADVERSARIAL | {"extra": {"path": "x.npz", "share": 1}},
        {},
        ["d.extra.share is 1", "below 1"],
    ),
    "further images by name": (ADVERSARIAL | {"extra": "x.npz"}, {}, ["d.extra is 'x.npz'"]),
    "gamma 0": (ADVERSARIAL | {"awp": {"gamma": 0}}, {}, ["d.awp.gamma is 0", "above 0"]),
    "gamma above 1": (ADVERSARIAL | {"awp": {"gamma": 5}}, {}, ["d.awp.gamma is 5"]),
    "awp as a number": (ADVERSARIAL | {"awp": 0.01}, {}, ["d.awp is 0.01", "a mapping"]),
    "negative patience": (ADVERSARIAL | {"patience": -1}, {}, ["d.patience is -1"]),
    "shape of the ramp": (ADVERSARIAL | {"ramp_shape": "line"}, {}, ["'line'", "'linear'"]),
    "mix": (ADVERSARIAL | {"mix": "mixup"}, {}, ["d.mix is 'mixup'", "cutmix"]),
    "smoothing all": (
        ADVERSARIAL | {"label_smoothing": 1},
        {},
        ["label_smoothing is 1", "below 1"],
    ),
    "n_fgsm without eps": ({"kind": "n_fgsm"}, {}, ["d.eps is missing"]),
    "no replays": ({"kind": "free", "eps": 0.1, "replays": 0}, {}, ["d.replays is 0"]),
    "one copy": ({"kind": "consistency", "sigma": 0.1, "draws": 1}, {}, ["d.draws is 1"]),
    "a box larger than the ball": (BOUNDS | {"kind": "sabr", "ratio": 2}, {}, ["d.ratio is 2"]),
    "alpha above 1": (BOUNDS | {"alpha": 1.5}, {}, ["d.alpha is 1.5"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_end_in_one_sentence(case):
    defense, more, words = WRONG[case]
    with pytest.raises(GauntletError) as caught:
        _completed(defense, **more)
    (line,) = str(caught.value).splitlines()
    assert all(word in line for word in words), line


RIGHT = {
    "a teacher of another architecture": {"kind": "ard", "attack": "pgd7", "teacher": TEACHER},
    "awp on top of TRADES": {"kind": "trades", "attack": "pgd7", "awp": {}, "devices": 1},
    "n_fgsm on two devices": {"kind": "n_fgsm", "eps": "8/255", "devices": 2, "rollback": True},
    "fine-tuning of the last layers": ADVERSARIAL | {"init": "baseline", "freeze": 2},
    "further images": ADVERSARIAL | {"extra": {"path": "x.npz"}},
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_settings_are_taken(case):
    assert _completed(RIGHT[case])["defenses"]["d"]["kind"] == RIGHT[case]["kind"]


def test_a_teacher_is_an_input_and_its_network_is_in_the_spec():
    config = _completed({"kind": "ard", "attack": "pgd7", "teacher": TEACHER})
    assert needed_teacher(config, "d") == Made("big", "pgd_at")
    assert needed_teacher(config, "pgd_at") is None
    run = {"dataset": "digits", "model": "article_cnn", "defense": "d", "seed": "3"}
    (job,) = JOBS["train_model"].needs["teacher"].find(config, run)
    assert job == JobName("train_model", run | {"model": "big", "defense": "pgd_at"})
    made = specs.train_spec(config, **run)
    assert made["defense"]["teacher"] == {"model": {"arch": "mlp", "hidden": [64]}}
    assert "gauntlet.models.mlp" in specs.plugins(made)
    assert made["defense"]["attack"]["kind"] == "pgd"


def test_sources_are_inputs_and_not_in_the_spec():
    sources = [TEACHER, {"model": "given", "defense": "as_given"}]
    config = _completed({"kind": "ensemble", "attack": "fgsm", "sources": sources})
    found = needed_crafted(config, "d")
    assert found == [Crafted(Made(**source), "fgsm") for source in sources]
    run = {"dataset": "digits", "model": "article_cnn", "defense": "d", "seed": "3"}
    jobs = list(JOBS["train_model"].needs["crafted"].find(config, run))
    assert [(job.names["model"], job.names["defense"]) for job in jobs] == [
        ("big", "pgd_at"),
        ("given", "as_given"),
    ]
    assert all((job.names["attack"], job.names["part"]) == ("fgsm", "train") for job in jobs)
    own = specs.train_spec(config, **run)["defense"]
    assert own.keys() == {"kind", "attack", "clean_share"}


def test_further_images_are_looked_for_before_any_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change = {"defenses": {"baseline": {"extra": {"path": "more.npz", "share": 0.25}}}}
    config = completed(change)
    (line,) = missing_extra(config)
    assert "'more.npz', but there is no such file" in line
    (tmp_path / "more.npz").write_bytes(b"")
    assert missing_extra(config) == []
    made = specs.train_spec(config, "digits", "article_cnn", "baseline", "0")
    assert made["training"]["extra"] == {"share": 0.25}  # the file is an input
