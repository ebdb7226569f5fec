"""Studies of many jobs: planning, scheduling, and what 64 GPUs could do: `make benchmark-scale`.

Three parts, each on its own with --only: `plan` times dry runs; `ideal` schedules the plan's jobs
on GPUs without Snakemake, second by second of their foretold length; `sleep` lets Snakemake itself
schedule jobs that only sleep, shortened, and says how long it takes besides.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from gauntlet.study.cost.estimate import LAUNCH, Estimate, load_config
from gauntlet.study.cost.rates import RuntimeModel
from gauntlet.study.cost.schedule import critical_seconds, upward_ranks
from tests.helpers.events import POLICIES, bundled, played
from tests.helpers.many import many_jobs
from tests.helpers.places import ROOT

PLUGINS = ROOT / "tests" / "helpers" / "plugins"
SEEDS = {1_000: 1, 5_000: 5, 10_000: 10, 50_000: 50}
PARTS = ("plan", "ideal", "sleep")


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--jobs", type=int, choices=SEEDS, action="append")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--scale", type=float, default=1 / 200, help="of the seconds slept")
    parser.add_argument("--scheduler", choices=("greedy", "ilp"), action="append")
    parser.add_argument("options", nargs="*", help="more for Snakemake, after --")
    asked = parser.parse_args()
    parts = asked.only or PARTS
    if "plan" in parts:
        plans(asked.jobs or [1_000, 10_000, 50_000], asked.options)
    if "ideal" in parts:
        ideal((asked.jobs or [10_000])[0], asked.gpus)
    if "sleep" in parts:
        for scheduler in asked.scheduler or ("greedy", "ilp"):
            options = ["--scheduler", scheduler, *asked.options]
            asleep((asked.jobs or [1_000])[0], asked.gpus, asked.scale, options)


def plans(sizes: list[int], options: list[str]) -> None:
    """Time dry runs: seconds of CPU, since others may be on the machine, and peak memory."""
    for jobs in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _overlay(folder, jobs)
            run = _snakemake(folder, "-n", "--quiet", "rules", *options)
            total = re.findall(r"^total +(\d+)$", run["printed"], re.MULTILINE)[-1]
            print(
                f"dry run of {total} jobs: {run['cpu']:.0f} s of CPU, {run['wall']:.0f} s, "
                f"{run['megabytes']:.0f} MB"
            )


def _overlay(folder: str, jobs: int) -> dict:
    path = Path(folder) / "big.yaml"
    path.write_text(yaml.safe_dump(many_jobs(SEEDS[jobs], compute={"device": "cuda"})))
    return load_config([path])


def _snakemake(folder: str, *arguments: str) -> dict:
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--nocolor"]
    command += ["--profile", str(ROOT / "profiles" / "default"), "--configfile", "big.yaml"]
    command += [] if "--jobs" in arguments else ["--cores", "2"]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(PLUGINS), "GAUNTLET_WARM": "off"}
    done = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit((done.stdout + done.stderr)[-3000:])
    used = [getattr(after, n) - getattr(before, n) for n in ("ru_utime", "ru_stime")]
    found = {"wall": time.perf_counter() - start, "cpu": sum(used)}
    return found | {"megabytes": after.ru_maxrss / 1024, "printed": done.stdout + done.stderr}


def ideal(jobs: int, gpus: int) -> None:
    """Schedule a study's jobs as foretold, by policies that a profile decides."""
    with tempfile.TemporaryDirectory() as folder:
        config = _overlay(folder, jobs)
    for factor in (1, 100, 10_000):
        tasks = _tasks(config, factor)
        work = sum(task.seconds for task in tasks.values() if task.slots)
        bound = max(work / gpus, critical_seconds(tasks))
        print(f"{len(tasks)} jobs on {gpus} GPUs, GPU work foretold times {factor}:")
        print(f"  {work / 3600:.1f} GPU-hours with starts; ideal {bound:.0f} s")
        for name, (policy, size, rules) in POLICIES.items():
            chosen = bundled(tasks, size, LAUNCH["cold"]) if size > 1 else tasks
            seconds = played(chosen, gpus, policy, **rules)
            print(f"  {name:44} {seconds:7.0f} s   {seconds / bound:5.2f} x ideal")


def _tasks(config: dict, factor: float) -> dict:
    """Give a plan's tasks; a job of a GPU takes one, the others none."""
    tasks = Estimate(config, RuntimeModel(), None, LAUNCH["cold"]).tasks()
    start = LAUNCH["cold"]
    longer = {
        path: task._replace(seconds=(task.seconds - start) * (factor if task.slots else 1) + start)
        for path, task in tasks.items()
    }
    ranks = upward_ranks(longer)
    return {path: task._replace(rank=ranks[path]) for path, task in longer.items()}


def asleep(jobs: int, gpus: int, scale: float, options: list[str]) -> None:
    """Run Snakemake on jobs that sleep, and hold its makespan against the ideal of the same."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = _tasks(_overlay(folder, jobs), 1)
        costs, message = Path(folder) / "costs.json", Path(folder) / "told.json"
        costs.write_text(json.dumps({path: task.seconds for path, task in tasks.items()}))
        run = _snakemake(
            *(folder, "--executor", "sleeping", "--jobs", "1000", "--resources", f"gpu={gpus}"),
            *("--sleeping-costs", str(costs), "--sleeping-scale", str(scale)),
            *("--sleeping-told", str(message), "--seconds-between-status-checks", "1"),
            *("--quiet", "rules", "--latency-wait", "0", *options),
            *("--until", "evaluate_robustness"),  # local rules would read what is empty
        )
        rows = json.loads(message.read_text())
    scaled = {n: t._replace(seconds=t.seconds * scale) for n, t in tasks.items()}
    work = sum(task.seconds for task in scaled.values() if task.slots)
    bound = max(work / gpus, critical_seconds(scaled))
    span = max(row[-1] for row in rows) - min(row[3] for row in rows)
    busy = sum(row[2] for row in rows if row[1]) / (gpus * span)
    each = 1000 * run["cpu"] / len(rows)
    print(f"{len(rows)} jobs that sleep, scale {scale:.5g}, {' '.join(options)}:")
    print(f"  {span:.0f} s from first to last, ideal {bound:.0f} s, GPUs busy {busy:.0%}")
    print(f"  {run['wall']:.0f} s in all, {run['cpu']:.0f} s of CPU ({each:.0f} ms a job)")
    print(f"  {run['megabytes']:.0f} MB")


if __name__ == "__main__":
    main()
