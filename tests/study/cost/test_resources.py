"""Memory, time and priority of jobs: from the study, growing with the attempt, in every rule."""

import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from gauntlet.study.cost import dataset_sizes as dataset_sizes_module
from gauntlet.study.cost.dataset_sizes import dataset_sizes
from gauntlet.study.cost.estimate import load_config
from gauntlet.study.cost.resources import Sizes
from gauntlet.study.plan import Plan
from tests.helpers.snakes import ROOT

RUN = {"dataset": "digits", "model": "article_cnn", "defense": "pgd_at", "seed": "0"}
CRAFT = RUN | {"attack": "pgd40", "part": "test"}
CONFIGS = sorted({path.name for path in (ROOT / "config").glob("*.yaml")} - {"reference.yaml"})
HEAVY = {"train_model": RUN, "craft_examples": CRAFT}


def _config(tmp_path, **change):
    path = tmp_path / "overlay.yaml"
    path.write_text(json.dumps(change))
    return load_config([path])


@pytest.fixture
def sizes(tmp_path):
    return Sizes(_config(tmp_path, compute={"device": "cpu"}))


@pytest.mark.parametrize("rule", HEAVY)
def test_memory_and_time_double_with_every_attempt(sizes, rule):
    names = HEAVY[rule]
    for ask in (sizes.memory, sizes.minutes):
        first, second, third = (ask(rule, names, attempt) for attempt in (1, 2, 3))
        assert (second, third) == (2 * first, 4 * first)
    assert sizes.minutes(rule, names) >= 10
    assert sizes.memory(rule, names) >= 1000


CHANGES = {
    "images": lambda n: {"datasets": {"digits": {"source": "mnist", "split": {"test_limit": n}}}},
    "eps": lambda n: {"attacks": {"curve": {"eps": [0.15 + 0.001 * k for k in range(n // 100)]}}},
    "network": lambda n: {"models": {"article_cnn": {"hidden": 20 * n, "channels": [n, n]}}},
    "steps": lambda n: {"attacks": {"pgd40": {"steps": n}}},
    "epochs": lambda n: {"training": {"epochs": n}},
}


@pytest.mark.parametrize("what", ["images", "network", "steps", "epochs"])
def test_time_grows_with(tmp_path, what):
    rule = "train_model" if what in ("network", "epochs") else "craft_examples"
    found = [_sizes(tmp_path, what, n).of(rule, HEAVY[rule]).seconds for n in (100, 400, 1600)]
    assert all(after > before for before, after in pairwise(found))


@pytest.mark.parametrize("what", ["images", "eps", "network"])
def test_memory_grows_with(tmp_path, what):
    rule = "train_model" if what == "network" else "craft_examples"
    names = HEAVY[rule] | ({"attack": "curve"} if what == "eps" else {})
    found = [_sizes(tmp_path, what, n).of(rule, names).memory for n in (100, 400, 1600)]
    assert all(after > before for before, after in pairwise(found))


def _sizes(tmp_path, what, n):
    return Sizes(_config(tmp_path, compute={"device": "cpu"}, **CHANGES[what](n)))


def test_a_training_from_a_search_is_sized_by_what_may_be_found(tmp_path):
    ranges = {"epochs": {"low": 2, "high": 500}, "batch": {"low": 16, "high": 512}}
    search = {"defense": "trades", "dataset": "digits", "model": "article_cnn", "ranges": ranges}
    tuned = {"searches": {"find": search}, "defenses": {"tuned": {"from_search": "find"}}}
    found = Sizes(_config(tmp_path, compute={"device": "cpu"}, **tuned))
    by_hand, tuned = (found.of("train_model", RUN | {"defense": d}) for d in ("trades", "tuned"))
    trial = found.of("run_trial", {"search": "find", "trial": "1", "seed": "100"})
    assert tuned.seconds > 5 * by_hand.seconds and tuned.memory >= trial.memory
    assert tuned.seconds == pytest.approx(trial.seconds, rel=0.1)


def test_a_gpu_job_asks_for_more_memory_and_less_time(tmp_path, sizes):
    gpu = Sizes(_config(tmp_path, compute={"device": "cuda"}))
    assert gpu.memory("train_model", RUN) >= 4000 > sizes.memory("train_model", RUN)
    assert gpu.of("train_model", RUN).seconds < sizes.of("train_model", RUN).seconds


def test_trainings_before_attacks_and_long_ones_first(sizes):
    train = {d: sizes.priority("train_model", RUN | {"defense": d}) for d in ("pgd_at", "noise")}
    craft = {
        attack: sizes.priority("craft_examples", CRAFT | {"attack": attack})
        for attack in ("pgd40", "fgsm")
    }
    assert train["pgd_at"] > train["noise"] > craft["pgd40"] > craft["fgsm"]
    base, static = (
        sizes.priority("train_model", RUN | {"defense": d}) for d in ("baseline", "static")
    )
    assert base > static  # which starts from it, and from examples made against it
    made = CRAFT | {"defense": "baseline", "part": "train"}
    assert base > sizes.priority("craft_examples", made) > static


def test_seeds_and_shards_share_a_size(sizes):
    sizes.of("craft_examples", CRAFT)
    known = len(sizes._known)
    sizes.of("craft_examples", CRAFT | {"seed": "2"})
    assert len(sizes._known) == known


@pytest.mark.parametrize("order", ["first", "last"])
def test_images_of_your_own_are_counted_from_the_file_itself(tmp_path, order):
    shape = (50, 3, 12, 16) if order == "first" else (50, 12, 16, 3)
    np.savez(tmp_path / "own.npz", images=np.zeros(shape, np.uint8), labels=np.arange(50) % 2)
    split = {"test": 0.2, "validation": 0.25, "train_limit": None}
    split |= {"validation_limit": 5, "test_limit": None}
    own = {"source": "npz", "path": str(tmp_path / "own.npz"), "images_key": "images"}
    found = dataset_sizes(own | {"split": split})
    assert (found.shape, found.train, found.validation, found.test) == ((3, 12, 16), 30, 5, 10)


def test_images_in_a_folder_are_counted(tmp_path):
    for name, count in (("cat", 7), ("dog", 3)):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "own" / name / f"{number}.png").touch()
    split = {"test": None, "validation": 0.25} | dict.fromkeys(
        ("train_limit", "validation_limit", "test_limit")
    )
    own = {"source": "image_folder", "path": str(tmp_path / "own"), "size": [9, 8], "channels": 1}
    found = dataset_sizes(own | {"split": split})
    assert found == (6, 2, 2, (1, 9, 8), 2)
    for part, names in {"train": ["x/0.png"] * 4, "test": ["x/0.png", "y/0.png"]}.items():
        with zipfile.ZipFile(tmp_path / "own" / f"{part}.zip", "w") as archive:
            for place, name in enumerate(names):
                archive.writestr(name.replace("0", str(place)), b"")
    dataset_sizes_module._count_files.cache_clear()  # archives beside folders are no split
    assert dataset_sizes(own | {"split": split}) == found
    missing = dataset_sizes(own | {"split": split, "path": str(tmp_path / "none")})
    assert missing.train > 0


@pytest.mark.workflow
@pytest.mark.parametrize("name", CONFIGS)
def test_the_plan_is_snakemakes_and_every_job_asks_for_memory_and_time(tmp_path, name):
    jobs, asked = _dry_run(tmp_path, ROOT / "config" / name)
    config = load_config([ROOT / "config" / name])
    message = Counter(job.rule for job in Plan(config).jobs.values())
    assert jobs == message | {"all": 1}
    assert len(asked) == sum(jobs.values()) - 1
    for resources in asked:
        assert int(re.search(r"mem_mb=(\d+)", resources)[1]) >= 1000
        assert int(re.search(r"runtime=(\d+)", resources)[1]) >= 10


def _dry_run(folder, config):
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["-n", "--nocolor", "--configfile", str(config), "--directory", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-3000:]
    table = printed.split("\ntotal")[0].rpartition("count\n")[2]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    return jobs, [line for line in printed.splitlines() if re.match(" +resources: .*mem_mb", line)]


@pytest.mark.workflow
def test_the_plan_of_shards_is_snakemakes(tmp_path):
    (tmp_path / "overlay.yaml").write_text(json.dumps({"compute": {"shards": 3}}))
    jobs, _ = _dry_run(tmp_path, tmp_path / "overlay.yaml")
    message = Counter(job.rule for job in Plan(load_config([]), shards=3).jobs.values())
    assert jobs == message | {"all": 1}
    assert jobs["craft_shard"] == 3 * jobs["gather_examples"] > 0


def test_a_teacher_takes_memory_too(tmp_path):
    def asked(name: str, width: int) -> float:
        big = {"arch": "article_cnn", "hidden": width, "channels": [64, 64]}
        taught = {"kind": "ard", "attack": "pgd7", "teacher": {"model": "big", "defense": "pgd_at"}}
        change = {"models": {"big": big}, "defenses": {"taught": taught}}
        sizes = Sizes(_config(tmp_path, compute={"device": "cpu"}, **change))
        return sizes.of("train_model", RUN | {"defense": name}).memory

    alone, small, large = asked("pgd_at", 1000), asked("taught", 1000), asked("taught", 60_000)
    assert alone < small < large
    weights = (60_000 - 1000) * (64 * 2 * 2 + 10 + 1)  # of the wider layer and the last one
    assert large - small >= 4 * weights / 2**20
