"""Speed, measured side by side in one run and printed as ratios: `make benchmark`."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml

from tests.helpers import tiny
from tests.helpers.many import many_jobs
from tests.helpers.places import ROOT

COUNT, BATCH, REPEATS = 4096, 128, 3
PGD = {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 1, "step": 0.1}
GOALS = {"overhead": 1.25, "dry run": 60}


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave the default study out")
    arguments = parser.parse_args()
    training_speed()
    attack_batches()
    attack_growth()
    dry_run_of_many_jobs()
    if not arguments.quick:
        default_study()


def training_speed() -> None:
    """Compare our epochs on tensors with a DataLoader's on PIL images, one thread each."""
    torch.set_num_threads(1)
    images = (torch.rand(COUNT, 1, 28, 28) * 255).to(torch.uint8)
    labels = torch.randint(0, 10, (COUNT,))
    runs = {
        "DataLoader + ToTensor": lambda: _loader_epoch(images, labels),
        "Gauntlet, float32": lambda: _our_epoch(images, labels, "float32"),
        "Gauntlet, bfloat16": lambda: _our_epoch(images, labels, "bfloat16"),
    }
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(REPEATS):
        for name, run in runs.items():
            best[name] = min(best[name], run())
    slowest = best["DataLoader + ToTensor"]
    print(f"training, article_cnn on 28x28x1, batch {BATCH}, one thread:")
    for name, seconds in best.items():
        print(f"  {name:24} {COUNT / seconds:7.0f} images/s   {slowest / seconds:5.2f} x")


def _network():
    from gauntlet.models import build_model

    return build_model({"arch": "article_cnn"}, (1, 28, 28), 10, 0)


def _loader_epoch(images: torch.Tensor, labels: torch.Tensor) -> float:
    from PIL import Image
    from torch.utils.data import DataLoader
    from torchvision.transforms import ToTensor

    change = ToTensor()
    pictures = [Image.fromarray(image[0].numpy()) for image in images]

    class Pictures(torch.utils.data.Dataset):
        def __len__(self):
            return len(pictures)

        def __getitem__(self, index):
            return change(pictures[index]), int(labels[index])

    model, loader = _network(), DataLoader(Pictures(), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters())
    start = time.perf_counter()
    for some, truth in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(some), truth).backward()
        optimizer.step()
    return time.perf_counter() - start


def _our_epoch(images: torch.Tensor, labels: torch.Tensor, precision: str) -> float:
    from gauntlet.training import loop

    settings = tiny.spec()["training"] | {"epochs": 1, "batch": BATCH, "learning_rate": 0.001}
    settings |= {"precision": precision, "validation_attack": PGD}
    spec = {"defense": {"kind": "standard"}, "training": settings, "seed": 0, "batch": 256}
    model = _network().to(memory_format=torch.channels_last)
    start = time.perf_counter()
    part = loop.Part(images.float() / 255, labels)
    loop.fit(model, spec, part, loop.Part(part.images[:1], labels[:1]))  # nearly no validation
    return time.perf_counter() - start


def attack_batches() -> None:
    """Name the micro-batch and precision at which this machine climbs and judges fastest."""
    from gauntlet.core.batched_model import BatchedModel

    torch.set_num_threads(1)
    model = _network().eval().requires_grad_(False).to(memory_format=torch.channels_last)
    images = torch.rand(1024, 1, 28, 28)
    speeds = {}
    for precision in ("float32", "bfloat16"):
        for batch in (32, 64, 128, 256, 512):
            batched, seconds = BatchedModel(model, batch, precision), []
            for _ in range(REPEATS):
                start = time.perf_counter()
                batched.gradient(images, lambda logits, rows: logits.logsumexp(1))
                seconds.append(time.perf_counter() - start)
            speeds[precision, batch] = len(images) / min(seconds)
    slowest = min(speeds.values())
    print("forward pass and input gradient, article_cnn on 28x28x1, one thread:")
    for (precision, batch), speed in speeds.items():
        print(f"  {precision:9} batch {batch:4} {speed:7.0f} images/s   {speed / slowest:5.2f} x")
    precision, batch = max(speeds, key=speeds.get)
    print(f"  best here: compute: {{precision: {precision}, batch: {batch}}}")


def attack_growth() -> None:
    """Show how an attack's time grows with images, restarts and classes, where nothing falls."""
    base = {"images": 1000, "restarts": 1, "classes": 10}
    print("seconds per image and restart (or target), where nothing falls, against the first:")
    for name, sizes in {
        "images": (250, 1000, 4000),
        "restarts": (1, 5, 20),
        "classes": (10, 30, 100),
    }.items():
        unit = [_attack_seconds(**(base | {"images": 250, name: size})) for size in sizes]
        ratios = ", ".join(
            f"{size}: {one / unit[0]:.2f}" for size, one in zip(sizes, unit, strict=True)
        )
        print(f"  {name:9} {ratios}")


def _attack_seconds(images: int, restarts: int, classes: int) -> float:
    """Give seconds per climb of 5 steps: PGD, or towards every class where there are more."""
    from gauntlet.attacks import bind
    from gauntlet.core.batched_model import BatchedModel
    from gauntlet.core.image_rng import Streams
    from gauntlet.models import build_model

    model = build_model({"arch": "article_cnn"}, (1, 28, 28), classes, 0).eval()
    pixels = torch.rand(images, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = model.requires_grad_(False)(pixels).argmax(1)
    kind = {"kind": "apgd_t", "targets": classes - 1} if classes > 10 else {"kind": "pgd"}
    kind |= {"norm": "linf", "eps": 1e-7, "steps": 5, "restarts": restarts}
    kind |= {"step": 1e-8} if kind["kind"] == "pgd" else {}
    streams = Streams.of_images(0, range(images), "growth")
    start = time.perf_counter()
    bind(kind)(BatchedModel(model, 128), pixels, labels, streams=streams)
    climbs = images * restarts * (classes - 1 if classes > 10 else 1)
    return (time.perf_counter() - start) / climbs


def default_study() -> None:
    """Compare the default study's wall time with its jobs' own compute over the cores."""
    with tempfile.TemporaryDirectory() as folder:
        cores = os.cpu_count() or 1
        wall = _snakemake(folder, "--cores", str(cores))[0]
        records = Path(folder).rglob("*.provenance.json")
        own = sum(json.loads(path.read_text())["seconds"] for path in records)
        ratio = wall / (own / cores)
        print(f"default study on {cores} cores: {wall:.0f} s, its jobs' own compute {own:.0f} s")
        print(f"  wall / (own / cores) = {ratio:.2f} (goal: at most {GOALS['overhead']})")
        again = _snakemake(folder, "--cores", str(cores))[0]
        command = [sys.executable, "-m", "snakemake", "--version"]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        bare = time.perf_counter() - start
        print(f"parse and nothing to do: {again:.1f} s ({bare:.1f} s of it to start Snakemake)")


def dry_run_of_many_jobs() -> None:
    """Time the dry run of a study of 5,000 jobs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.yaml"
        path.write_text(yaml.safe_dump(many_jobs(seeds=5)))
        seconds, printed = _snakemake(
            folder, "--cores", "2", "-n", "--quiet", "rules", "--configfile", str(path)
        )
    jobs = re.findall(r"^total +(\d+)$", printed, re.MULTILINE)[-1]
    print(f"dry run of {jobs} jobs: {seconds:.0f} s (goal: under {GOALS['dry run']} s)")


def _snakemake(folder: str, *arguments: str) -> tuple[float, str]:
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *arguments]
    command += ["--profile", str(ROOT / "profiles" / "default"), "--directory", folder]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return time.perf_counter() - start, done.stdout + done.stderr


if __name__ == "__main__":
    main()
