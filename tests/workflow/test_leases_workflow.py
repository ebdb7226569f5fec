"""Through Snakemake: four jobs of a workflow lease four devices; their provenance says which."""

import json
import re

import pytest

from tests.helpers.machines import CUDA, SCHEDULED, Machine
from tests.helpers.snakes import STUDY, house, merged, snakemake

pytestmark = pytest.mark.workflow


def test_four_jobs_get_four_devices(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(machine.program.parent), prepend=":")
    for name in (*CUDA, *SCHEDULED):
        monkeypatch.delenv(name, raising=False)
    lists = {"defenses": ["baseline"], "seeds": [0, 1, 2, 3]}
    study = merged(STUDY, {"training": {"epochs": 80}, "studies": {"tiny": lists}})
    study["compute"] = {"device": "cpu"}
    del study["studies"]["tiny"]["transfer"]
    home = house(tmp_path / "house")
    runs = [f"results/runs/digits/article_cnn/baseline/seed{seed}/" for seed in range(4)]
    gpus = ["--resources", "gpu=4", "--set-resources", "train_model:gpu=1"]
    snakemake(home, *gpus, "--", *(f"{run}best.pt" for run in runs), study=study, cores=4)
    devices = []
    for run in runs:
        record = json.loads((home / run / "train.provenance.json").read_text())
        log = home / run.replace("results", "logs", 1) / "train.log"
        (device,) = record["hardware"]["devices"]
        assert re.search(rf"computes on GPU {device}$", log.read_text(), re.MULTILINE)
        devices.append(device)
    assert sorted(devices) == [f"GPU-{number:04d}-aa" for number in range(4)]
