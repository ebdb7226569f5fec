"""What a study will cost, before it runs: `python -m gauntlet.study.cost.estimate --config FILE`.

Seconds come from the rates of the jobs that this machine has run (their provenance under
`results/`), else from the committed ones. Jobs whose provenance has the same specification and
code count as done.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_whole
from gauntlet.core.locations import schema_path, workflow_home
from gauntlet.study.code_hash import code_hash
from gauntlet.study.cost.rates import (
    Record,
    RuntimeModel,
    learned,
    precision_of,
    read_records,
    summed,
)
from gauntlet.study.cost.resources import Sizes
from gauntlet.study.cost.schedule import Task, critical_seconds, makespan, upward_ranks
from gauntlet.study.cost.work import work_of
from gauntlet.study.job_table import script_of
from gauntlet.study.plan import Job, Plan
from gauntlet.study.schema import complete
from gauntlet.study.specs import device_kind, plugins
from gauntlet.study.strict_yaml import require_unique_keys

RESULTS = Path("results")
LAUNCH = {"warm": 0.35, "cold": 6.0}  # seconds of a job besides its own: here, and on a cluster
STARTING = 4.0  # seconds until Snakemake's first job starts
PLANNING = 0.003  # seconds in which Snakemake plans a job
MODELS = ("train_model", "import_model")  # rules whose jobs keep two files of weights
KEPT = {
    "craft_examples": 1,
    "gather_examples": 1,
    "rerun_attack": 1,
    "attack_preprocess": 1,
}  # rules that keep examples
# rules with a choice of precision
GRADIENTS = ("train_model", "run_trial", "craft_examples", "craft_shard")
FLOAT, ROW, TABLE = 4, 170, 40_000  # bytes: of a number, of a ledger's row, of a table or figure


class Cost(NamedTuple):
    """What one job costs: seconds of its own, whether it is done, slots, bytes that it keeps."""

    seconds: float
    done: bool
    slots: int
    kept: float


class Estimate:
    """The costs of all jobs of a plan."""

    def __init__(
        self, config: Mapping[str, Any], runtimes: RuntimeModel, done: Path | None, launch: float
    ):
        self.config, self.sizes, self.launch = dict(config), Sizes(config), launch
        self.plan = Plan(config, config["compute"]["shards"])
        self.gpu, self.threads = device_kind(self.config) == "cuda", config["compute"]["threads"]
        self.costs: dict[str, Cost] = {}
        for path, job in self.plan.jobs.items():
            ready = done is not None and all(self.costs[need].done for need in job.needs)
            made = ready and self._made(done.parent, path)
            self.costs[path] = self._cost(job, runtimes, made)

    def _cost(self, job: Job, runtimes: RuntimeModel, done: bool) -> Cost:
        spec = self.sizes.spec(job.rule, job.names)
        sizes = self.sizes.dataset(self.sizes.dataset_name(job.names))
        work = work_of(job.rule, spec, sizes)
        seconds = runtimes.seconds(work, self.sizes.context(job.rule, spec, job.names))
        kept: float = TABLE
        if job.rule in MODELS:
            kept += 2 * FLOAT * work.cost.parameters
        elif sizes is not None and job.rule == "download_data":
            kept += work.rows * sizes.pixels
        elif sizes is not None and isinstance(spec.get("points"), list):
            count, points = getattr(sizes, spec["part"]), len(spec["points"])
            images = points * (1 + min(spec.get("loss_draws", 0), 1)) * KEPT.get(job.rule, 0)
            kept += count * (images * sizes.pixels * FLOAT + points * ROW)
        slots = spec.get("threads", 1) if not self.gpu else int("threads" in spec)
        return Cost(seconds, done, slots, kept)

    def _made(self, folder: Path, path: str) -> bool:
        """Tell whether a result is there that was made from this specification and code."""
        job = self.plan.jobs[path]
        try:
            record = json.loads((folder / path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        spec = self.plan.spec(job)
        if not spec:
            return True
        script = workflow_home() / "workflow" / "scripts" / f"{script_of(job.rule)}.py"
        code = code_hash(script, tuple(plugins(spec)))
        return record.get("spec") == spec and record.get("code") == code

    def tasks(self) -> dict[str, Task]:
        """Give what is left to do, for a schedule; a job without a model takes no GPU."""
        left = {path: cost for path, cost in self.costs.items() if not cost.done}
        plain = {
            path: Task(cost.seconds + self.launch, self.plan.jobs[path].needs, slots=cost.slots)
            for path, cost in left.items()
        }
        ranks = upward_ranks(plain)
        return {path: task._replace(rank=ranks[path]) for path, task in plain.items()}

    def by_rule(self) -> dict[str, list[Cost]]:
        """Give the costs of each rule's jobs, the rule with the most seconds first."""
        found: dict[str, list[Cost]] = {}
        for path, cost in self.costs.items():
            found.setdefault(self.plan.jobs[path].rule, []).append(cost)
        return dict(sorted(found.items(), key=lambda item: -sum(cost.seconds for cost in item[1])))


def table(estimate: Estimate, slots: int) -> list[str]:
    """Write an estimate as lines of text."""
    lines = [f"{'rule':22} {'jobs':>6} {'to do':>6} {'hours':>9} {'longest':>9}"]
    for rule, costs in estimate.by_rule().items():
        left = [cost.seconds for cost in costs if not cost.done]
        hours, longest = f"{sum(left) / 3600:.3f}", span(max(left, default=0.0))
        lines.append(f"{rule:22} {len(costs):6} {len(left):6} {hours:>9} {longest:>9}")
    tasks = estimate.tasks()
    own = sum(cost.seconds for cost in estimate.costs.values() if not cost.done)
    total = f"{own / 3600:.3f}"
    lines.append(f"{'all':22} {len(estimate.costs):6} {len(tasks):6} {total:>9}")
    return lines + _words(estimate, tasks, slots)


def _words(estimate: Estimate, tasks: Mapping[str, Task], slots: int) -> list[str]:
    what = "GPU" if estimate.gpu else "core"
    planning = STARTING + PLANNING * len(estimate.costs)
    wall = makespan(tasks, slots) + planning if tasks else 0.0
    gpu = sum(task.seconds for task in tasks.values() if task.slots)
    kept = sum(cost.kept for cost in estimate.costs.values())
    lines = [f"on {slots} {what}{'s' * (slots != 1)}: {span(wall)}"]
    lines[0] += f" (no fewer than {span(critical_seconds(tasks))} on any number of them)"
    if estimate.gpu:
        lines.append(f"GPU-hours: {gpu / 3600:.2f}")
    return [*lines, f"results on disk: {kept / 1e6:.0f} MB", *_formats(estimate)]


def _formats(estimate: Estimate) -> list[str]:
    """Say in which number formats trainings and attacks take their gradients, if any do."""
    jobs = [job for job in estimate.plan.jobs.values() if job.rule in GRADIENTS]
    counts = Counter(precision_of(job.rule, estimate.plan.spec(job)) for job in jobs)
    shares = [f"{name} {count} jobs" for name, count in counts.most_common()]
    return [f"gradients (training, attacks): {', '.join(shares)}"] if shares else []


def span(seconds: float) -> str:
    """Write a time for a reader."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"


def load_config(paths: Iterable[str | Path]) -> dict[str, Any]:
    """Read the base configuration, lay overlays over it, and complete it."""
    config: dict[str, Any] = {}
    files = (workflow_home() / "config" / "config.yaml", *paths)
    require_unique_keys(files)
    for path in files:
        try:
            overlay = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise GauntletError(f"{path} is no YAML file that can be read ({error}).") from error
        config = _laid(config, overlay or {})
    return complete(config, schema_path())


def _laid(base: Any, change: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return base | {key: _laid(base.get(key), value) for key, value in change.items()}


def main(arguments: list[str]) -> int:
    """Print the estimate of a configuration, or write the rates of what was run."""
    parser = argparse.ArgumentParser(prog="gauntlet.study.cost.estimate", description=__doc__)
    parser.add_argument("--config", action="append", default=[], help="overlay, may be repeated")
    parser.add_argument("--learn", type=Path, action="append", help="results, else results/")
    parser.add_argument("--rates", type=Path, help="file of rates instead of the committed ones")
    parser.add_argument("--slots", type=int, default=1, help="cores, or GPUs where there are any")
    parser.add_argument("--cold", action="store_true", help="as on a cluster: no warm worker")
    parser.add_argument("--fresh", action="store_true", help="as if nothing had been done")
    parser.add_argument("--write", type=Path, help="write what is learned here, and end")
    asked = parser.parse_args(arguments)
    try:
        return _answer(asked)
    except GauntletError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise GauntletError(f"{path} cannot be written ({error.strerror}).") from error


def _answer(asked: argparse.Namespace) -> int:
    folders = asked.learn or [RESULTS]
    own = summed(record for folder in folders for record in learned(folder))
    if asked.write:
        _write(asked.write, _as_text(own))
        return 0
    runtimes = RuntimeModel(own, read_records(asked.rates) if asked.rates else None)
    done = None if asked.fresh else RESULTS
    launch = LAUNCH["cold" if asked.cold else "warm"]
    estimate = Estimate(load_config(asked.config), runtimes, done, launch)
    print("\n".join(table(estimate, asked.slots)))
    return 0


def _as_text(records: Iterable[Record]) -> str:
    return "[\n" + ",\n".join(json.dumps(list(record)) for record in records) + "\n]\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
