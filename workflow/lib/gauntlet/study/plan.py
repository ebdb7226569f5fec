"""A study's jobs and what each waits for, from the configuration alone. Standard library only.

The workflow's own graph is Snakemake's; a test compares this one, for estimates, with it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gauntlet.study import table_needs
from gauntlet.study.job_needs import JobName
from gauntlet.study.job_table import JOBS, provenance_of, spec_of
from gauntlet.study.specs import Spec


class Job(NamedTuple):
    """A job: its rule, the names in its wildcards, and the provenances that it waits for."""

    rule: str
    names: Mapping[str, str]
    needs: tuple[str, ...]


class Plan:
    """The jobs that a configuration asks for, by the path of their provenance.

    Every job comes after those that it waits for. `shards` replaces the configuration's own
    number, as Snakemake's option --set-scatter does.
    """

    def __init__(self, config: Mapping[str, Any], shards: int | None = None):
        compute = dict(config["compute"])
        self.shards = compute["shards"] if shards is None else shards
        self.config = dict(config) | {"compute": compute | {"shards": self.shards}}
        self.jobs: dict[str, Job] = {}
        for study in config["run"]:
            self._add_study(study)

    def spec(self, job: Job) -> Spec:
        """Give a job's specification."""
        return spec_of(self.config, JobName(job.rule, job.names))

    def _add_study(self, study: str) -> None:
        names = {"study": study}
        for job in table_needs.study_results(self.config, names):
            self._add(job)
        self._add(JobName("complete_study", names))
        if table_needs.has_gate(self.config, study):
            self._add(JobName("pass_gate", names))

    def _add(self, job: JobName) -> str:
        """Add a job after those that it waits for; give the path of its provenance."""
        if job.rule == "craft_examples" and self.shards > 1:
            job = job._replace(rule="gather_examples")
        path = provenance_of(job)
        if path not in self.jobs:
            kinds = JOBS[job.rule].needs.values()
            needed = [other for need in kinds for other in need.find(self.config, job.names)]
            needs = dict.fromkeys(self._add(other) for other in needed)
            self.jobs[path] = Job(job.rule, job.names, tuple(needs))
        return path
