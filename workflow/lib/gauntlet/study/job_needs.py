"""Which jobs a job waits for: one function for each kind of need, used by the table of jobs.

Every function takes a completed configuration and a job's wildcards, and gives the names of other
jobs. Standard library only.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gauntlet.study import audit_gate, certificates, specs
from gauntlet.study.attack_points import attack_points
from gauntlet.study.defenses import Made, init_source, needed_crafted, needed_teacher
from gauntlet.study.job_name import JobName, Names
from gauntlet.study.matrix import AS_GIVEN, OWN
from gauntlet.study.models import MADE, local_weights
from gauntlet.study.pretrained import beginning, is_published
from gauntlet.study.specs import Run

Config = Mapping[str, Any]
# The path of weights that the workflow makes itself: of a run, or of an exported run.
MADE_WEIGHTS = re.compile(
    f"{MADE}runs/(?P<dataset>[^/]+)/(?P<model>[^/]+)/(?P<defense>[^/]+)/seed(?P<seed>[0-9]+)/"
    "(?P<export>export/)?"
)


def source(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that stores a data set."""
    yield JobName("download_data", {"dataset": names["dataset"]})


def split(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that divides a data set."""
    yield JobName("split_data", {"dataset": names["dataset"]})


def model(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that trains or imports a model."""
    yield _model(_run_names(names))


def start(config: Config, names: Names) -> Iterator[JobName]:
    """Give the training whose weights a training starts from, if there is one."""
    defense = init_source(config, names["defense"])
    if defense is not None:
        yield _model(_run_names(names) | {"defense": defense})


def crafted(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attacks whose examples a training reads."""
    for source, attack in needed_crafted(config, names["defense"]):
        yield _attack(_of(names, source), attack, "train")


def teacher(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that makes the model whose answers a training learns, if there is one."""
    if made := needed_teacher(config, names["defense"]):
        yield _model(_of(names, made))


def downloaded_weights(config: Config, names: Names) -> Iterator[JobName]:
    """Give the download of an external model's weights, if they have a URL."""
    settings = config["models"][names["model"]]
    if local_weights(settings) is None and settings["weights"] != OWN:
        yield JobName("download_weights", {"model": names["model"]})


def pretrained_weights(config: Config, names: Names) -> Iterator[JobName]:
    """Give the download of the published weights that a training begins from, if there are any."""
    if is_published(beginning(config, names["model"], names["defense"])):
        yield JobName("download_weights", {"model": names["model"]})


def made_weights(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job of this workflow that makes an external model's weights, if one does."""
    found = MADE_WEIGHTS.match(local_weights(config["models"][names["model"]]) or "")
    if found:
        run = _run_names(found.groupdict())
        yield JobName("export_model", run) if found["export"] else _model(run)


def sparing(config: Config, names: Names) -> Iterator[JobName]:
    """Give the certificates whose images an attack leaves out."""
    run = _run_names(names)
    own = {**run, "seed": int(run["seed"])}
    for name in certificates.sparing(config, **own, attack=names["attack"], part=names["part"]):
        yield _certificate(run, name)


def shards(config: Config, names: Names) -> Iterator[JobName]:
    """Give the shards of an attack."""
    count = config["compute"]["shards"]
    for number in range(1, count + 1):
        yield JobName("craft_shard", {**names, "scatteritem": f"{number}-of-{count}"})


def source_attack(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attack on the model whose examples are shown to another one."""
    yield _attack(_run_names(names) | {"defense": names["source"]}, names["attack"])


def attacks(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attacks of a study on one model, in the order of the study's list."""
    for attack in config["studies"][names["study"]]["attacks"]:
        yield _attack(_run_names(names), attack)


def checks(config: Config, names: Names) -> Iterator[JobName]:
    """Give the checks of a study's attacks, in the order of the study's list."""
    for attack in config["studies"][names["study"]]["attacks"]:
        yield JobName("check_attacks", {"attack": attack})


def transfers(config: Config, names: Names) -> Iterator[JobName]:
    """Give the examples of other models that a study shows to one model."""
    for defense, attack in specs.transfer_sets(config, names["study"], names["defense"]):
        own = _run_names(names) | {"source": defense, "attack": attack}
        yield JobName("transfer_examples", own)


def certificates_of(config: Config, names: Names) -> Iterator[JobName]:
    """Give the certificates of a study for one model, in the order of the study's list."""
    for name in config["studies"][names["study"]]["certificates"]:
        yield _certificate(_run_names(names), name)


def audit(config: Config, names: Names) -> Iterator[JobName]:
    """Give the audit of one model."""
    yield JobName("audit_model", _run_names(names) | {"study": names["study"]})


def audits(config: Config, names: Names) -> Iterator[JobName]:
    """Give the audit of one model, if the study has audits."""
    if audit_gate.checks_of(config, names["study"]):
        yield from audit(config, names)


def reruns(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attack that follows an audit, if the study has such attacks."""
    if audit_gate.reruns(config, names["study"]):
        yield JobName("rerun_attack", _run_names(names) | {"study": names["study"]})


def models(config: Config, names: Names) -> Iterator[JobName]:
    """Give the jobs that make a study's models, in the order of its runs."""
    for run in specs.runs(config, names["study"]):
        yield _model(_as_names(run))


def evaluations(config: Config, names: Names) -> Iterator[JobName]:
    """Give the evaluations of a study's models, in the order of its runs."""
    for run in specs.runs(config, names["study"]):
        yield JobName("evaluate_robustness", _as_names(run) | {"study": names["study"]})


def sources(config: Config, names: Names) -> Iterator[JobName]:
    """Give the jobs that store a study's data sets."""
    for dataset in config["studies"][names["study"]]["datasets"]:
        yield JobName("download_data", {"dataset": dataset})


def splits(config: Config, names: Names) -> Iterator[JobName]:
    """Give the jobs that divide a study's data sets."""
    for dataset in config["studies"][names["study"]]["datasets"]:
        yield JobName("split_data", {"dataset": dataset})


def shown_attacks(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attack whose examples a study shows, on each of its models with the first seed."""
    runs, shown = specs.runs(config, names["study"]), _shown_attack(config, names["study"])
    for run in runs:
        if run.seed == runs[0].seed:
            yield _attack(_as_names(run), shown)


def fallible(config: Config, names: Names) -> Iterator[JobName]:
    """Give the jobs of a study that a failing model may cost their result, model by model."""
    for run in specs.runs(config, names["study"]):
        own = _as_names(run) | {"study": names["study"]}
        for jobs in (attacks, transfers, audits, reruns):
            yield from jobs(config, own)


def _shown_attack(config: Config, study: str) -> str:
    """Choose the attack whose examples a study shows: the longest one with a single eps."""

    def rank(attack: str) -> tuple[bool, bool, int]:
        points = attack_points(config["attacks"][attack])
        passes = points[0].get("steps", 1) * points[0].get("restarts", 1)
        return ("eps" in points[0], len(points) == 1, passes)

    return max(config["studies"][study]["attacks"], key=rank)


def _run_names(names: Names) -> dict[str, str]:
    return {name: names[name] for name in Run._fields}


def _of(names: Names, made: Made) -> dict[str, str]:
    """Name a run of another model or defense, for the same data and seed."""
    run = _run_names(names)
    return run | {"model": made.model or run["model"], "defense": made.defense}


def _as_names(run: Run) -> dict[str, str]:
    return {name: str(value) for name, value in run._asdict().items()}


def _model(run: Names) -> JobName:
    return JobName("import_model" if run["defense"] == AS_GIVEN else "train_model", run)


def _attack(run: Names, attack: str, part: str = "test") -> JobName:
    return JobName("craft_examples", {**run, "attack": attack, "part": part})


def _certificate(run: Names, certificate: str) -> JobName:
    own = {"certificate": certificate, "part": certificates.PART}
    return JobName("certify_robustness", {**run, **own})
