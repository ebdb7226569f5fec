"""Seconds per unit of work, recorded by earlier runs. Standard library only.

A record is one job that was run: what it was, its work's effort and the seconds that it took. The
committed ones (`rates.json`) come from one thread of a two-core AMD EPYC; `learned` reads those
of this machine from the provenance of its results.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import PROVENANCE
from gauntlet.core.records import read_or_empty
from gauntlet.study.cost.dataset_sizes import DatasetSizes
from gauntlet.study.cost.work import Work, work_of
from gauntlet.study.matrix import AS_GIVEN

COMMITTED = Path(__file__).with_name("rates.json")
BASE = 0.05  # seconds of any job besides its passes: reading, writing, hashing
SPEEDS = {"cpu": 1.0, "cuda": 50.0}  # assumed, where a device has no record
SPREAD = 0.7  # assumed: n threads compute n ** 0.7 times as fast as one
ELSE = 5e-10  # seconds per multiply-add where nothing at all is known
MODELS = ("train_model", "import_model")  # jobs that attack no defense


class Record(NamedTuple):
    """A kind of job, and the sums over those that were run."""

    rule: str
    kind: str
    defended: str  # kind of the defense that was attacked, which decides how many attacks end early
    network: str
    device: str
    precision: str
    effort: float
    seconds: float
    count: int = 1


class Context(NamedTuple):
    """What a job's rate depends on besides its work."""

    defended: str = ""
    network: str = ""
    device: str = "cpu"
    precision: str = ""
    threads: int = 1


class Rates:
    """Rates from records: those of the most similar jobs that were recorded."""

    def __init__(self, records: Iterable[Record]):
        self.records, self.sums = list(records), {}
        for record in self.records:
            for key in _keys(record.rule, record.kind, record):
                effort, seconds = self.sums.get(key, (0.0, 0.0))
                spent = max(record.seconds - BASE * record.count, 0.1 * record.seconds)
                self.sums[key] = (effort + record.effort, seconds + spent)

    def exact(self, work: Work, context: Context, level: int) -> float | None:
        """Give the seconds of a job at a level of similarity, 0 the closest; None if unknown."""
        effort, seconds = self.sums.get(_keys(work.rule, work.kind, context)[level], (0.0, 0.0))
        if not effort:
            return None
        return BASE + work.effort * seconds / effort / context.threads**SPREAD


def _keys(rule: str, kind: str, context: "Record | Context") -> tuple[tuple[str, ...], ...]:
    """Name the groups of jobs like this one, the most similar first."""
    device = context.device
    alike = (rule, kind, context.defended, device)
    return (
        (*alike, context.network, context.precision),
        (*alike, context.network),
        alike,
        (rule, kind, device),
        (rule, device),
    )


LEVELS = 5


class RuntimeModel:
    """Predicts seconds from this machine's records first, then from the committed ones."""

    def __init__(self, own: Iterable[Record] = (), committed: Iterable[Record] | None = None):
        self.own = Rates(own)
        self.known = Rates(read_records() if committed is None else committed)
        self.pace = self._pace()

    def seconds(self, work: Work, context: Context) -> float:
        """Give the seconds that a job's own work takes."""
        found = self._found(work, context)
        if found is None and context.device != "cpu":
            found = self._found(work, context._replace(device="cpu"))
            found = found and found / SPEEDS[context.device]
        return BASE + ELSE * work.effort if found is None else found

    def _found(self, work: Work, context: Context) -> float | None:
        for level in range(LEVELS):
            mine = self.own.exact(work, context, level)
            if mine is not None:
                return mine
            theirs = self.known.exact(work, context, level)
            if theirs is not None:
                return theirs * self.pace
        return None

    def _pace(self) -> float:
        """Say how many times slower this machine is than that of the committed records."""
        mine = theirs = 0.0
        for record in self.own.records:
            context = Context(record.defended, record.network, record.device, record.precision)
            work = Work(record.rule, record.kind, rows=record.effort)
            known = self.known.exact(work, context, 2)
            if known is not None:
                mine, theirs = mine + record.seconds, theirs + known
        return mine / theirs if theirs else 1.0


@cache
def read_records(path: Path = COMMITTED) -> tuple[Record, ...]:
    """Read records from a file; GauntletError if it holds none."""
    try:
        return tuple(Record(*row) for row in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise GauntletError(
            f"{path} holds no rates ({error}); allowed is a list of records."
        ) from error


def summed(records: Iterable[Record]) -> list[Record]:
    """Join the records of jobs of one kind."""
    sums: dict[tuple, tuple] = {}
    for record in records:
        *names, effort, seconds, count = record
        before = sums.get(tuple(names), (0.0, 0.0, 0))
        sums[tuple(names)] = (before[0] + effort, before[1] + seconds, before[2] + count)
    return [
        Record(*names, float(f"{effort:.5g}"), round(seconds, 3), count)
        for names, (effort, seconds, count) in sorted(sums.items())
    ]


def learned(results: Path) -> Iterator[Record]:
    """Read what the jobs below a folder of results took from their provenance."""
    for path in sorted(results.rglob(f"*{PROVENANCE}")):
        record = read_or_empty(path)
        if "rule" in record and isinstance(record.get("seconds"), int | float):
            yield from _record(results, path, record)


def _record(results: Path, path: Path, record: dict[str, Any]) -> Iterator[Record]:
    parts, spec = path.relative_to(results).parts, record.get("spec") or {}
    if "search" in spec:
        return  # which does not say what was tried or found; a trial may have ended early, too
    names = parts[1:] if parts[0] in ("data", "runs") else parts[3:]
    sizes = _dataset(results / "data" / names[0]) if names else None
    try:
        work = work_of(record["rule"], spec, sizes)
    except (KeyError, TypeError, AttributeError, ValueError):
        return  # of an older version
    defended = ""
    if parts[0] == "runs" and record["rule"] not in MODELS:
        defended = _defense(results.joinpath(*parts[:5]))
    device, precision = spec.get("device", "cpu"), precision_of(record["rule"], spec)
    effort = work.effort / spec.get("threads", 1) ** SPREAD
    yield Record(
        *(work.rule, work.kind, defended, network_of(spec), device, precision),
        *(effort, _undisturbed(record, device)),
    )


def _undisturbed(record: dict[str, Any], device: str) -> float:
    """Give a job's seconds as on a free processor: others on the machine cost no CPU time."""
    spent = record.get("cpu_seconds", record["seconds"])
    return min(record["seconds"], spent) if device == "cpu" else record["seconds"]


def precision_of(rule: str, spec: dict[str, Any]) -> str:
    """Give the number format of a job's gradients."""
    trains = rule in ("train_model", "run_trial")
    return spec["training"]["precision"] if trains else spec.get("precision", "")


def network_of(spec: dict[str, Any]) -> str:
    """Name the network of a specification, for its rate."""
    model = spec.get("model")
    return f"{model['arch']} {model.get('name', '')}".strip() if isinstance(model, dict) else ""


def _defense(folder: Path) -> str:
    """Name the kind of the defense of the run in a folder."""
    spec = read_or_empty(folder / f"train{PROVENANCE}").get("spec") or {}
    return (spec.get("defense") or {}).get("kind", AS_GIVEN)


@cache
def _dataset(folder: Path) -> DatasetSizes | None:
    meta, report = read_or_empty(folder / "data.json"), read_or_empty(folder / "split_report.json")
    if not meta or not report:
        return None
    counts = report["counts"]
    return DatasetSizes(**counts, shape=tuple(meta["shape"]), classes=len(meta["classes"]))
