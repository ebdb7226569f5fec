"""The quickstart's configuration with changes laid over it, as Snakemake lays files."""

from copy import deepcopy

import yaml
from snakemake.utils import update_config

from gauntlet.study import specs as spec
from gauntlet.study.matrix import AS_GIVEN
from gauntlet.study.schema import complete
from gauntlet.study.specs_models import import_spec
from tests.helpers.places import ROOT

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
BASE = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def laid_over(*overlays: dict) -> dict:
    """Lay overlays over the quickstart's configuration as Snakemake does."""
    config = deepcopy(BASE)
    for overlay in overlays:
        update_config(config, deepcopy(overlay))
    return config


def completed(*overlays: dict) -> dict:
    return complete(laid_over(*overlays), SCHEMA)


def all_specs(config: dict, study: str = "quickstart") -> dict[str, dict]:
    """Give every specification of a study under a name that tells the job."""
    specs = {"table": spec.table_spec(config, study), "figure": spec.figure_spec(config, study)}
    lists = config["studies"][study]
    for dataset in lists["datasets"]:
        specs[f"data {dataset}"] = spec.data_spec(config, dataset)
        specs[f"split {dataset}"] = spec.split_spec(config, dataset)
    for run in spec.runs(config, study):
        job = " ".join(map(str, run))
        if run.defense == AS_GIVEN:
            specs[f"import {job}"] = import_spec(config, run.dataset, run.model, run.seed)
        else:
            specs[f"train {job}"] = spec.train_spec(config, *run)
        specs[f"evaluate {job}"] = spec.evaluate_spec(config, study, *run)
        for attack in lists["attacks"]:
            specs[f"craft {attack} {job}"] = spec.craft_spec(config, *run, attack, "test")
        for source, attack in spec.transfer_sets(config, study, run.defense):
            specs[f"transfer {attack} {job}"] = spec.transfer_spec(config, *run, source, attack)
    return specs
