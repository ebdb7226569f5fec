"""Speed of certificates against one forward pass, on networks for 28x28 images.

Every method is measured in a process of its own, so that its peak memory is its own. Networks are
as initialised; images are random, so that next to no neuron is decided by intervals alone: this is
the dear case.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from tabulate import tabulate

from gauntlet.certify.crown import crown
from gauntlet.certify.ibp import ibp
from gauntlet.certify.smoothing import smoothing
from gauntlet.core import device
from gauntlet.models import build_model

EPS, COUNT, REPEATS = 0.01, 4, 5
COLUMNS = ("hidden units", "method", "images/s", "forward passes", "peak MB")
WIDTHS = {"9,000": [8, 16], "38,000": [32, 64], "100,000": [96, 128]}  # hidden units: channels
METHODS = {
    "forward pass": None,
    "ibp": lambda *given: ibp(*given, eps=EPS, radius=False),
    "crown, inner ibp": lambda *given: crown(*given, eps=EPS, intermediate="ibp"),
    "crown, fast_lin": lambda *given: crown(*given, eps=EPS, slopes="fast_lin"),
    "crown, adaptive": lambda *given: crown(*given, eps=EPS),
    "crown, alpha, inner ibp": lambda *given: crown(
        *given, eps=EPS, slopes="alpha", intermediate="ibp"
    ),
    "smoothing, n = 1,000": lambda *given: smoothing(*given, eps=EPS, sigma=0.25, n=1000),
}


def main() -> None:
    """Print a table, or measure one method (for the process of its own)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("UNITS", "METHOD"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measured(*options.one)))
        return
    print(f"certificates, linf {EPS}, one thread")
    for units in WIDTHS:
        measured = {method: _spawned(units, method) for method in METHODS}
        forward = measured["forward pass"]["seconds"]
        rows = [
            [units, method, f"{1 / row['seconds']:.2f}", f"{row['seconds'] / forward:.0f}"]
            + [row["peak_rss_mb"]]
            for method, row in measured.items()
        ]
        print(tabulate(rows, COLUMNS), flush=True)


def _spawned(units: str, method: str) -> dict:
    command = [sys.executable, "-m", "tests.benchmarks.certify", "--one", units, method]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measured(units: str, method: str) -> dict:
    """Give the seconds of one image, and the peak memory of this process."""
    torch.set_num_threads(1)
    device.keep_memory()
    model = build_model({"arch": "article_cnn", "channels": WIDTHS[units]}, (1, 28, 28), 10, 0)
    model.eval().requires_grad_(False)
    count = 128 if method in ("forward pass", "ibp", "crown, inner ibp") else COUNT
    images = torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = model(images).argmax(1)
        run = METHODS[method] or (lambda model, images, labels: model(images))
        quick = method in ("forward pass", "ibp")
        seconds = min(_timed(run, model, images, labels) for _ in range(REPEATS if quick else 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"seconds": seconds / count, "peak_rss_mb": peak}


def _timed(run, *given) -> float:
    start = time.perf_counter()
    run(*given)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
