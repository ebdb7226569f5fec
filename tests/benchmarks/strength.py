"""Holds `gauntlet` and `autoattack` against the official AutoAttack: `make benchmark-strength`.

All attack the same networks and images with the same eps in one thread; the same code judges in
float32 what they give. Each run is a process of its own and one line of the JSON file, which is
read again by the next call: what is there is not run again.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

from gauntlet.attacks import bind
from gauntlet.core import device, records, threat_models
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from tests.benchmarks import networks, strength_table
from tests.helpers import reference_ensemble

OFFICIAL = "official"
POOL, BATCH = 512, 128
ROUNDING = 1e-6  # by which examples of others may leave the ball


def main() -> None:
    """Run what is not yet on record, and write the table."""
    options = _options()
    torch.set_num_threads(1)
    if options.one:
        name, system, seed = options.one
        print(json.dumps(_one(options, name, system, int(seed))))
        return
    out = Path(options.out)
    rows = json.loads(out.read_text())["rows"] if out.exists() else []
    for name, system, seed in _left(options, rows):
        rows.append(_spawned(options, name, system, seed))
        print(
            f"{name} {system} {seed}: {rows[-1]['robust']:.4f} in {rows[-1]['cpu']} s", flush=True
        )
        machine = device.describe() | {"python": platform.python_version(), "threads": 1}
        records.write_json(out, {"machine": machine, "rows": rows})
    out.with_suffix(".md").write_text(strength_table.page(json.loads(out.read_text())))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default="results", help="config/strength.yaml's")
    parser.add_argument("--public", type=Path, help="folder with the public networks")
    parser.add_argument("--systems", nargs="+", default=[OFFICIAL, "autoattack", "gauntlet"])
    parser.add_argument("--seeds", type=int, default=3, help="streams of random numbers of ours")
    parser.add_argument("--networks", nargs="+", help="only those whose name holds one of these")
    parser.add_argument("--precision", default="float32")
    kept = "JSON file of the runs; those that are there are not made again"
    parser.add_argument("--out", default="results/strength.json", help=kept)
    parser.add_argument("--one", nargs=3, metavar=("NETWORK", "SYSTEM", "SEED"))
    return parser.parse_args()


def _left(options, rows: list[dict]) -> list[tuple[str, str, int]]:
    done = {(row["network"], row["system"], row["seed"]) for row in rows}
    there = networks.names(options.results, options.public)
    asked = [n for n in there if any(part in n for part in options.networks or [""])]
    every = [
        (name, system, seed)
        for name in asked
        for system in options.systems
        for seed in range(1 if system == OFFICIAL else options.seeds)
    ]
    return [one for one in every if one not in done]


def _spawned(options, name: str, system: str, seed: int) -> dict:
    given = ["--results", str(options.results), "--precision", options.precision]
    given += ["--public", str(options.public)] if options.public else []
    given += ["--one", name, system, str(seed)]
    command = [sys.executable, "-m", "tests.benchmarks.strength", *given]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{name}, {system} failed; its message stands above")
    return json.loads(done.stdout.splitlines()[-1])


def _one(options, name: str, system: str, seed: int) -> dict:
    """Measure one system on one network in this process."""
    network = networks.load(name, options.results, options.public)
    device.keep_memory()
    started, cpu = time.perf_counter(), time.process_time()
    run = _official if system == OFFICIAL else _ours
    examples, by = run(network, system, seed, options.precision)
    row = {"network": name, "system": system, "seed": seed, "n": len(by), "eps": network.eps}
    row |= {"seconds": round(time.perf_counter() - started, 1)}
    row |= {"cpu": round(time.process_time() - cpu, 1)}
    robust = _robust(network, examples)
    right = BatchedModel(network.model)(network.images).argmax(1) == network.labels
    found = ["" if stays else name or "?" for stays, name in zip(robust.tolist(), by, strict=True)]
    return row | {"clean": _share(right), "robust": _share(robust)} | strength_table.coded(found)


def _official(network: networks.Network, system: str, seed: int, precision: str):
    given = (network.model, network.images, network.labels, network.eps)
    return reference_ensemble.run(*given, seed=seed, batch=250)


def _ours(network: networks.Network, system: str, seed: int, precision: str):
    batched = BatchedModel(network.model, BATCH, precision)
    right = BatchedModel(network.model)(network.images).argmax(1) == network.labels
    examples, by = network.images.clone(), ["" if one else "clean" for one in right.tolist()]
    attack = bind({"kind": system, "norm": "linf", "eps": network.eps})
    for rows in torch.arange(len(right)).split(POOL):
        rows = rows[right[rows]]
        streams = Streams.of_images(seed, rows, "benchmark")
        given = (network.images[rows], network.labels[rows])
        found = attack(batched, *given, streams=streams) if len(rows) else None
        for place, row in enumerate(rows.tolist()):
            examples[row] = found.images[place]
            number = int(found.success_by[place])
            by[row] = found.members[number] if number >= 0 else ""
    return examples, by


def _robust(network: networks.Network, examples) -> torch.Tensor:
    """Judge examples in float32; those of others may leave the ball by their rounding."""
    judge = BatchedModel(network.model)
    fine = threat_models.admissible(examples, network.images, "linf", network.eps)
    span = threat_models.distance(examples, network.images, "linf")
    fine |= (span <= network.eps + ROUNDING) & (examples >= 0).flatten(1).all(1)
    right = judge(network.images).argmax(1) == network.labels
    return right & ~((judge(examples).argmax(1) != network.labels) & fine)


def _share(chosen: torch.Tensor) -> float:
    return round(float(chosen.float().mean()), 5)


if __name__ == "__main__":
    main()
