"""Attacks held against the libraries that people use: `make benchmark-peers`.

All systems attack the same model and images with the same eps, steps and threads, in turn, in one
run; the same code judges in float32 what they give. A peer that is not installed is left out.
"""

import argparse
import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tabulate import tabulate
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "lib"))

from gauntlet import compute, io, stages, threat  # noqa: E402
from gauntlet.attacks import bind  # noqa: E402
from gauntlet.lens import Lens  # noqa: E402
from gauntlet.streams import Streams  # noqa: E402

EPS = {"mnist": 0.3, "fashion_mnist": 0.1}
POOL = 512
System = Callable[[torch.nn.Module, Tensor, Tensor, float, int], Tensor]


def main() -> None:
    """Run the suites that are asked for, print a table of each, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default="results", help="folder with a study's results")
    parser.add_argument("--dataset", default="mnist", choices=EPS)
    parser.add_argument("--defenses", nargs="+", default=["baseline", "pgd_at"])
    parser.add_argument("--suites", nargs="+", default=[*SUITES, "l2"], choices=[*SUITES, "l2"])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 512])
    parser.add_argument("--out", help="JSON file to add the rows to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for defense in options.defenses:
        victims = _victims(options, defense)
        for suite in options.suites:
            if suite == "l2":
                rows = _nearest_suite(options, defense, *victims)
            else:
                rows = _suite(suite, options, defense, *victims)
            if options.out:
                _write(Path(options.out), rows)


def _victims(options, defense: str):
    data = Path(options.results) / "data" / options.dataset
    run = Path(options.results) / "runs" / options.dataset / "article_cnn" / defense / "seed0"
    weights = run / "best.pt"
    if not weights.exists():
        sys.exit(f"{weights} is missing; run the study first: --configfile config/mnist.yaml")
    files = [data / name for name in ("images.npy", "labels.npy", "data.json", "split.json")]
    _, images, labels = stages.load_part(*files, "test", torch.device("cpu"))
    spec = {"model": {"arch": "article_cnn", "channels": None, "hidden": None}}
    model = stages.trained_model(spec, data / "data.json", weights).eval().requires_grad_(False)
    return model, images[: options.images], labels[: options.images]


def _suite(suite: str, options, defense: str, model, images, labels) -> list[dict]:
    """Measure every system at the batch that suits it best; the reference is the fastest peer."""
    eps, rows = EPS[options.dataset], []
    for name, (make, own_batch) in SUITES[suite].items():
        system = make()
        if system is None:
            print(f"  {name}: not installed, left out", flush=True)
            continue
        tried = [own_batch] if own_batch else options.batches
        runs = [_measured(system, model, images, labels, eps, batch) for batch in tried]
        best = min(runs, key=lambda run: run["seconds"])
        rows.append({"suite": suite, "dataset": options.dataset, "defense": defense} | best)
        rows[-1] |= {
            "system": name,
            "n": len(labels),
            "all": {r["batch"]: r["seconds"] for r in runs},
        }
        print(f"  {name}: {best['seconds']:.1f} s, robust {best['robust']:.4f}", flush=True)
    peers = [row["seconds"] for row in rows if not row["system"].startswith("gauntlet")]
    reference = min(peers, default=None)
    for row in rows:
        row["ratio"] = round(reference / row["seconds"], 2) if reference else None
    _print(f"{suite}, {options.dataset}, {defense}, n = {len(labels)}, eps {eps}", rows)
    return rows


def _measured(system: System, model, images, labels, eps: float, batch: int) -> dict:
    torch.manual_seed(0)
    judge, started = Lens(model), time.perf_counter()
    examples = system(model, images, labels, eps, batch)
    seconds = time.perf_counter() - started
    right = judge(images).argmax(1) == labels
    fine = threat.admissible(examples, images, "linf", eps)
    loose = threat.distance(examples, images, "linf") <= eps + 1e-6  # peers round outwards
    fell = (judge(examples).argmax(1) != labels) & (fine | loose)
    found = {
        "seconds": round(seconds, 2),
        "robust": round(float((right & ~fell).float().mean()), 4),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found | {"batch": batch, "outside": int((~fine).sum()), "peak_rss_mb": peak}


def _gauntlet(settings: dict, precision: str) -> System:
    def attack(model, images, labels, eps, batch):
        lens, given = Lens(model, batch, precision), settings | {"norm": "linf", "eps": eps}
        if "step" in given:
            given["step"] = eps / 10
        examples, right = images.clone(), Lens(model)(images).argmax(1) == labels
        for rows in torch.arange(len(labels)).split(POOL):
            rows = rows[right[rows]]
            if len(rows):
                streams = Streams.of_images(0, rows, "benchmark")
                found = bind(given)(lens, images[rows], labels[rows], streams=streams)
                examples[rows] = found.images
        return examples

    return attack


def _batched(attack: Callable[[Tensor, Tensor], Tensor], images, labels, batch: int) -> Tensor:
    parts = zip(images.split(batch), labels.split(batch), strict=True)
    return torch.cat([attack(some, truth).detach() for some, truth in parts])


def _restarts(attack, model, images, labels, batch: int, restarts: int) -> Tensor:
    """Restart a peer that cannot: what fell stays, all images are attacked each time."""
    best, fell = images.clone(), torch.zeros_like(labels, dtype=torch.bool)
    for _ in range(restarts):
        examples = _batched(attack, images, labels, batch)
        fresh = (Lens(model)(examples).argmax(1) != labels) & ~fell
        best[fresh], fell = examples[fresh], fell | fresh
    return best


def _torchattacks(restarts: int) -> System | None:
    try:
        import torchattacks
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        attack = torchattacks.PGD(model, eps=eps, alpha=eps / 10, steps=40, random_start=True)
        return _restarts(attack, model, images, labels, batch, restarts)

    return run


def _foolbox(restarts: int) -> System | None:
    try:
        import foolbox
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        known = foolbox.PyTorchModel(model, bounds=(0, 1))
        attack = foolbox.attacks.LinfPGD(abs_stepsize=eps / 10, steps=40)

        def once(some, truth):
            return attack(known, some, truth, epsilons=eps)[1]

        return _restarts(once, model, images, labels, batch, restarts)

    return run


def _art(restarts: int) -> System | None:
    try:
        from art.attacks.evasion import ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        loss, shape = torch.nn.CrossEntropyLoss(), tuple(images.shape[1:])
        known = PyTorchClassifier(model, loss, shape, 10, clip_values=(0, 1), device_type="cpu")
        attack = ProjectedGradientDescentPyTorch(
            *(known,), eps=eps, eps_step=eps / 10, max_iter=40, batch_size=batch, verbose=False
        )
        attack.set_params(num_random_init=1)

        def once(some, truth):
            return torch.from_numpy(attack.generate(some.numpy(), truth.numpy()))

        return _restarts(once, model, images, labels, batch, restarts)

    return run


def _autoattack() -> System | None:
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        return None

    def run(model, images, labels, eps, batch):
        attack = AutoAttack(model, norm="Linf", eps=eps, version="standard", device="cpu", seed=0)
        return attack.run_standard_evaluation(images, labels, batch_size=batch)[0]

    return run


def _nearest_suite(options, defense: str, model, images, labels) -> list[dict]:
    """Compare nearest l2 examples: median distance and seconds, one system after the other."""
    right = Lens(model)(images).argmax(1) == labels
    images, labels = images[right], labels[right]
    rows = []
    for name, make in NEAREST.items():
        system = make()
        if system is None:
            continue
        torch.manual_seed(0)
        started = time.perf_counter()
        examples = system(model, images, labels)
        row = {"suite": "l2", "dataset": options.dataset, "defense": defense, "system": name}
        row["seconds"] = round(time.perf_counter() - started, 2)
        fell = Lens(model)(examples).argmax(1) != labels
        spans = threat.distance(examples, images, "l2").masked_fill(~fell, torch.inf)
        row |= {"median_l2": round(float(spans.median()), 4), "felled": int(fell.sum())}
        rows.append(row | {"n": len(labels)})
        print(f"  {name:24} {row['seconds']:8.1f} s   median l2 {row['median_l2']:.4f}", flush=True)
    return rows


def _own_nearest(**settings) -> Callable:
    def run(model, images, labels):
        streams = Streams.of_images(0, range(len(labels)), "benchmark")
        attack = bind({"norm": "l2"} | settings)
        return attack(Lens(model), images, labels, streams=streams).images

    return lambda: run


def _foolbox_nearest(name: str, **settings) -> Callable:
    def make():
        try:
            import foolbox
        except ImportError:
            return None

        def run(model, images, labels):
            known = foolbox.PyTorchModel(model, bounds=(0, 1))
            attack = getattr(foolbox.attacks, name)(**settings)
            return torch.cat(
                [
                    attack(known, some, truth, epsilons=None)[1]
                    for some, truth in zip(images.split(128), labels.split(128), strict=True)
                ]
            )

        return run

    return make


NEAREST = {
    "gauntlet, ddn": _own_nearest(kind="ddn"),
    "foolbox, DDN": _foolbox_nearest("DDNAttack", steps=100),
    "gauntlet, fmn": _own_nearest(kind="fmn"),
    "foolbox, FMN": _foolbox_nearest("L2FMNAttack", steps=100),
    "gauntlet, cw": _own_nearest(kind="cw", learning_rate=0.03),
    "foolbox, C&W": _foolbox_nearest("L2CarliniWagnerAttack", steps=200, stepsize=0.03),
    "gauntlet, deepfool": _own_nearest(kind="deepfool"),
    "foolbox, DeepFool": _foolbox_nearest("L2DeepFoolAttack", steps=50),
}


def _print(title: str, rows: list[dict]) -> None:
    print(
        f"\n{title}\n{'system':28} {'seconds':>9} {'ratio':>7} {'robust':>8} {'batch':>6} {'MB':>6}"
    )
    for row in rows:
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(
            f"{row['system']:28} {row['seconds']:9.1f} {ratio:>7} {row['robust']:8.4f} "
            f"{row['batch']:6} {row['peak_rss_mb']:6}",
            flush=True,
        )


def _write(path: Path, rows: list[dict]) -> None:
    """Add rows to a JSON file, and write all of it as Markdown beside."""
    known = json.loads(path.read_text()) if path.exists() else {"rows": []}
    machine = compute.describe() | {"python": platform.python_version(), "threads": 1}
    every = known["rows"] + rows
    io.write_json(path, {"machine": machine, "rows": every})
    columns = ("suite", "dataset", "defense", "n", "system", "batch", "seconds", "ratio")
    columns += ("robust", "median_l2", "peak_rss_mb")
    cells = [[str(row.get(name, "")) for name in columns] for row in every]
    told = ", ".join(f"{key} {value}" for key, value in sorted(machine.items()))
    note = "ratio: seconds of the fastest peer of the suite divided by the system's own"
    text = tabulate(cells, columns, "pipe", disable_numparse=True)
    page = f"# Attacks beside other libraries\n\n{text}\n\n{note}; {told}.\n"
    path.with_suffix(".md").write_text(page)


PGD = {"kind": "pgd", "steps": 40, "step": None}
SUITES = {
    "pgd40": {
        "gauntlet, bfloat16": (lambda: _gauntlet(PGD, "bfloat16"), None),
        "gauntlet, float32": (lambda: _gauntlet(PGD, "float32"), None),
        "torchattacks": (lambda: _torchattacks(1), None),
        "foolbox": (lambda: _foolbox(1), None),
        "ART": (lambda: _art(1), None),
    },
    "pgd40x10": {
        "gauntlet, bfloat16": (lambda: _gauntlet(PGD | {"restarts": 10}, "bfloat16"), 128),
        "torchattacks": (lambda: _torchattacks(10), 64),
        "foolbox": (lambda: _foolbox(10), 64),
        "ART": (lambda: _art(10), 64),
    },
    "autoattack": {
        "gauntlet's ensemble": (lambda: _gauntlet({"kind": "gauntlet"}, "bfloat16"), 128),
        "gauntlet, autoattack": (lambda: _gauntlet({"kind": "autoattack"}, "bfloat16"), 128),
        "AutoAttack (reference)": (_autoattack, 250),
    },
}

if __name__ == "__main__":
    main()
