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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "lib"))

COUNT, BATCH, REPEATS = 4096, 128, 3
PGD = {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 1, "step": 0.1}
GOALS = {"overhead": 1.25, "dry run": 60}


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave the default study out")
    arguments = parser.parse_args()
    training_speed()
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
    from gauntlet import training
    from gauntlet.optimizers import make_optimizer

    settings = {"epochs": 1, "batch": BATCH, "optimizer": "adam", "learning_rate": 0.001}
    settings |= {
        "weight_decay": 0.0,
        "schedule": "constant",
        "ema": 0.0,
        "ramp": 0.0,
        "augment": "none",
    }
    settings |= {"precision": precision, "validation_attack": PGD}
    spec = {"defense": {"kind": "standard"}, "training": settings, "seed": 0, "batch": 256}
    model = _network().to(memory_format=torch.channels_last)
    optimizer, step = make_optimizer(model, settings), training._Step(model, spec)
    start = time.perf_counter()
    part = training.Part(images.float() / 255, labels)
    training._epoch(model, model, optimizer, step, spec, 1, part, None, training.Outcome())
    return time.perf_counter() - start


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
    kinds = {f"d{n}": {"kind": "adversarial", "attack": "pgd7", "epochs": n + 1} for n in range(40)}
    attacks = {
        f"a{n}": {"kind": "pgd", "norm": "linf", "eps": 0.15, "steps": 10 + n} for n in range(23)
    }
    study = {"datasets": ["digits"], "models": ["article_cnn"], "seeds": [0, 1, 2, 3, 4]}
    study |= {"defenses": list(kinds), "attacks": list(attacks)}
    overlay = {"run": ["big"], "defenses": kinds, "attacks": attacks, "studies": {"big": study}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.yaml"
        path.write_text(yaml.safe_dump(overlay))
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
