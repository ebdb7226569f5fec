"""Which jobs wait for a study's tables, and which make all that is published of it.

Every function takes a completed configuration and a job's wildcards, and gives the names of other
jobs. Standard library only.
"""

from collections.abc import Iterator

from gauntlet.study import audit_gate
from gauntlet.study.defenses import searches_of
from gauntlet.study.job_needs import Config, JobName, Names
from gauntlet.study.paths import FIGURES


def table(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that makes the table of a study."""
    yield JobName("collect_results", {"study": names["study"]})


def tables(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that publishes the tables of a study."""
    yield JobName("publish_tables", {"study": names["study"]})


def gate(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that compares a study with its requirements."""
    yield JobName("gate", {"study": names["study"]})


def comparison(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that holds a study against what is kept of it."""
    yield JobName("compare_reference", {"study": names["study"]})


def study_results(config: Config, names: Names) -> Iterator[JobName]:
    """Give the jobs that make a study's tables, figures and the record of its gate."""
    own = {"study": names["study"]}
    rules = ["collect_results", "publish_tables", *(f"plot_{name}" for name in FIGURES)]
    if config["studies"][names["study"]]["preprocess"]:
        rules += ["publish_preprocess", "plot_steps"]
    if has_gate(config, names["study"]):
        rules.append("gate")
    for rule in rules:
        yield JobName(rule, own)
    for name in searches_of(config, names["study"]):
        yield from (JobName(rule, {"search": name}) for rule in ("choose_trial", "plot_search"))


def has_gate(config: Config, study: str) -> bool:
    """Tell whether anything is required of a study's models."""
    return bool(audit_gate.gate_spec(config, study)["demands"])
