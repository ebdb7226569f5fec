"""Attacks held against the libraries that people use: `make benchmark-peers`.

All systems attack the same model and images with the same eps, steps and threads, in turn, each in
a process of its own; the same code judges in float32 what they give. A library that is not
installed is left out.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from tabulate import tabulate

from gauntlet.core import device, records, threat_models
from gauntlet.core.batched_model import BatchedModel
from gauntlet.stages import inputs
from tests.helpers import peers

EPS = {"mnist": 0.3, "fashion_mnist": 0.1}
COLUMNS = ("system", "n", "batch", "seconds", "ratio", "robust", "median_l2", "peak_rss_mb")


def main() -> None:
    """Run the suites that are asked for, print a table of each, and write them as JSON."""
    options = _options()
    torch.set_num_threads(1)
    if options.one:
        print(json.dumps(_one(options)))
        return
    for defense in options.defenses:
        for suite in options.suites:
            rows = _suite(options, suite, defense)
            print(f"\n{suite}, {options.dataset}, {defense}, eps {EPS[options.dataset]}")
            print(tabulate([[row.get(name, "") for name in COLUMNS] for row in rows], COLUMNS))
            if options.out:
                _write(Path(options.out), rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default="results", help="folder with a study's results")
    parser.add_argument("--dataset", default="mnist", choices=EPS)
    parser.add_argument("--defenses", nargs="+", default=["baseline", "pgd_at"])
    parser.add_argument("--suites", nargs="+", default=[*peers.SUITES], choices=[*peers.SUITES])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--part", default="test", choices=["train", "test"])
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 512])
    parser.add_argument("--out", help="JSON file to add the rows to")
    parser.add_argument("--one", nargs=4, metavar=("SUITE", "DEFENSE", "SYSTEM", "BATCH"))
    return parser.parse_args()


def _suite(options, suite: str, defense: str) -> list[dict]:
    """Measure every system at the batch that suits it best; the reference is the fastest peer."""
    rows = []
    for name, (_, batches) in peers.SUITES[suite].items():
        runs = [_spawned(options, suite, defense, name, b) for b in batches or options.batches]
        runs = [run for run in runs if run]
        if not runs:
            print(f"  {name}: not installed, left out", flush=True)
            continue
        best = min(runs, key=lambda run: run["seconds"])
        rows.append({"suite": suite, "dataset": options.dataset, "defense": defense} | best)
        rows[-1] |= {"system": name, "all": {run["batch"]: run["seconds"] for run in runs}}
        print(f"  {name}: {best['seconds']:.1f} s", flush=True)
    for row in rows:
        row["ratio"] = _ratio(row, rows)
    return rows


def _ratio(row: dict, rows: list[dict]) -> float | None:
    """Divide the seconds of the fastest peer, of its namesake for nearest examples, by a row's."""
    others = [other for other in rows if not other["system"].startswith("gauntlet")]
    if row["suite"] == "l2":
        method = row["system"].split(", ")[1].lower()
        others = [other for other in others if other["system"].split(", ")[1].lower() == method]
    seconds = min((other["seconds"] for other in others), default=None)
    return round(seconds / row["seconds"], 2) if seconds else None


def _spawned(options, suite: str, defense: str, name: str, batch: int) -> dict | None:
    given = ["--results", options.results, "--dataset", options.dataset]
    given += ["--images", str(options.images), "--part", options.part]
    given += ["--one", suite, defense, name, str(batch)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.peers", *given], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"{suite}, {name} failed; its message stands above")
    return json.loads(done.stdout.splitlines()[-1])


def _one(options) -> dict | None:
    """Measure one system at one batch size in this process."""
    suite, defense, name, batch = *options.one[:3], int(options.one[3])
    system = peers.SUITES[suite][name][0]()
    if system is None:
        return None
    model, images, labels = _victims(options, defense)
    judge, eps = BatchedModel(model), EPS[options.dataset]
    right = judge(images).argmax(1) == labels
    if suite == "l2":
        images, labels, right = images[right], labels[right], right[right]
    torch.manual_seed(0)
    started = time.perf_counter()
    examples = system(model, images, labels, eps, batch)
    row = {"batch": batch, "seconds": round(time.perf_counter() - started, 2), "n": len(labels)}
    success = judge(examples).argmax(1) != labels
    row |= {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    if suite == "l2":
        spans = threat_models.distance(examples, images, "l2").masked_fill(~success, torch.inf)
        return row | {"median_l2": round(float(spans.median()), 4)}
    fine = threat_models.admissible(examples, images, "linf", eps)
    loose = threat_models.distance(examples, images, "linf") <= eps + 1e-6  # others round outwards
    robust = (right & ~(success & (fine | loose))).float().mean()
    return row | {"robust": round(float(robust), 4), "outside": int((~fine).sum())}


def _victims(options, defense: str):
    data = Path(options.results) / "data" / options.dataset
    run = Path(options.results) / "runs" / options.dataset / "article_cnn" / defense / "seed0"
    weights = run / "best.pt"
    if not weights.exists():
        sys.exit(f"{weights} is missing; run the study first: --configfile config/mnist.yaml")
    files = [data / name for name in ("images.npy", "labels.npy", "data.json", "split.json")]
    _, images, labels = inputs.load_part(*files, options.part, torch.device("cpu"))
    spec = {"model": {"arch": "article_cnn", "channels": None, "hidden": None}}
    model = inputs.trained_model(spec, data / "data.json", weights).eval().requires_grad_(False)
    return model, images[: options.images], labels[: options.images]


def _write(path: Path, rows: list[dict]) -> None:
    """Add rows to a JSON file, and write all of it as Markdown beside."""
    known = json.loads(path.read_text()) if path.exists() else {"rows": []}
    machine = device.describe() | {"python": platform.python_version(), "threads": 1}
    every = known["rows"] + rows
    records.write_json(path, {"machine": machine, "rows": every})
    columns = ("suite", "dataset", "defense", *COLUMNS)
    blank = ("", None)
    cells = [["" if row.get(n) in blank else str(row[n]) for n in columns] for row in every]
    printed = ", ".join(f"{key} {value}" for key, value in sorted(machine.items()))
    note = (
        "ratio: seconds of the fastest peer of the suite (for l2: of the same method) divided by "
        "the system's own; n of l2: images that are classified correctly"
    )
    text = tabulate(cells, columns, "pipe", disable_numparse=True)
    page = f"# Attacks beside other libraries\n\n{text}\n\n{note}; {printed}.\n"
    path.with_suffix(".md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
