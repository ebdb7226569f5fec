"""What Snakemake's own log of a run says about its jobs."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gauntlet.core.files import PROVENANCE
from gauntlet.runtime.cluster import snakemake_private
from gauntlet.runtime.cluster.snakemake_private import JOB_COUNTS, LINES, group_name

STARTED, DONE, FAILED, AGAIN = "started", "done", "failed", "again"


@dataclass
class Job:
    """One job of a run: what it is, and how far it has come."""

    rule: str
    state: str = STARTED
    gpus: int = 0
    provenance: str = ""
    wildcards: list[str] = field(default_factory=list)  # each one as `name=value`


@dataclass
class Run:
    """A run: planned jobs by rule, jobs by number, and theirs in a scheduler's queue."""

    planned: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    external: dict[str, list[Job]] = field(default_factory=dict)
    retried: Counter = field(default_factory=Counter)


def runs(folder: str | Path) -> list[Run]:
    """Read the logs of a folder's runs, oldest first; dry runs and the like are none."""
    found = []
    for path in snakemake_private.logs(folder):
        try:
            run = read(path.read_text(encoding="utf-8", errors="replace").splitlines())
        except OSError:
            continue
        if run.planned:
            found.append(run)
    return found


def read(lines: Iterable[str]) -> Run:
    """Replay the log of a run."""
    replay = _Replay()
    for line in lines:
        replay.take(line)
    return replay.run


class _Replay:
    def __init__(self):
        self.run = Run()
        self._table = self._failing = False
        self._now = Job("")  # the job whose block is being read
        self._within = False  # whether it belongs to the latest group job
        self._groups: list[list[Job]] = []  # who travels in each group job
        self._names: dict[str, list[Job]] = {}  # the same by name, as far as it was asked for
        self._named = 0  # how many groups have names
        self._act = {kind: getattr(self, f"_on_{kind}") for kind in LINES}

    def take(self, line: str) -> None:
        if line == JOB_COUNTS:
            self._table = not self.run.planned
        elif self._table:
            self._plan(line)
        else:
            for kind, pattern in LINES.items():
                if found := pattern.match(line):
                    self._act[kind](*found.groups())
                    return

    def _plan(self, line: str) -> None:
        """Read a line of the table that counts the jobs of every rule."""
        name, _, count = line.rpartition(" ")
        if name.strip() == "total" or not line.strip():
            self._table = False
        elif count.isdigit():
            self.run.planned[name.strip()] = int(count)

    def _on_block(self, indent: str | None, rule: str) -> None:
        self._now, self._failing = Job(rule), False
        self._within = bool(indent and self._groups)

    def _on_group(self, name: str) -> None:
        self._groups.append([])

    def _on_error(self, rule: str) -> None:
        self._now, self._failing = Job(rule), True

    def _on_field(self, name: str, value: str) -> None:
        if name == "jobid":
            self._number(value)
        elif self._failing:
            return
        elif name == "output":
            files = value.split(", ")
            self._now.provenance = next((f for f in files if f.endswith(PROVENANCE)), "")
        elif name == "wildcards":
            self._now.wildcards = value.split(", ")
        elif found := re.search(r"\bgpu=(\d+)", value):
            self._now.gpus = int(found.group(1))

    def _number(self, number: str) -> None:
        if not self._failing:
            self.run.jobs[number] = self._now
            if self._within:
                self._groups[-1].append(self._now)
        elif number in self.run.jobs:
            self.run.jobs[number].state = FAILED

    def _on_finished(self, number: str) -> None:
        if number in self.run.jobs:
            self.run.jobs[number].state = DONE

    def _on_restart(self, number: str) -> None:
        for job in self._members(number):
            job.state = AGAIN
            self.run.retried[job.rule] += 1

    def _on_submitted(self, number: str, external: str) -> None:
        self.run.external[external] = self._members(number)

    _on_generic = _on_submitted

    def _on_array(self, numbers: str, external: str, first: str) -> None:
        for place, number in enumerate(numbers.split(","), int(first)):
            self.run.external[f"{external}_{place}"] = self._members(number)

    def _members(self, number: str) -> list[Job]:
        """Give the jobs behind a number: one, or those of the group that is named by a job."""
        if number in self.run.jobs:
            return [self.run.jobs[number]]
        if number not in self._names:
            for group in self._groups[max(self._named - 1, 0) :]:  # the latest may have grown
                self._names |= {group_name(job.rule, job.wildcards): group for job in group}
            self._named = len(self._groups)
        return self._names.get(number, [])
