"""What a machine with CUDA can do, in one table: `make gpu-check`.

    python -m tests.benchmarks.gpu_check --out gpu --cifar shared/data/cifar10 --seconds 450

Needs no network. Each part is a process of its own, which is ended when its share of the time is
over; the table in --out is written after every row. `--tiny` runs everything with tiny sizes, on a
CPU too, to see that it works: its numbers are no results.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.gpu_budget import Budget, Part, Row, Table, run_parts
from tests.benchmarks.gpu_wheels import install
from tests.helpers.places import ROOT

PARTS = (
    Part("machine", 4, 4),
    Part("leases", 4, 8),
    Part("same bytes", 6, 15),
    Part("tests", 8, 20),
    Part("speed", 16, 25),
    Part("cifar10_jpeg", 40, 40),
)
TINY_LEAST = 2.0  # seconds that a part needs with tiny sizes
HEAD = "GPU check"


def main() -> int:
    """Run all parts, or one of them in this process; gives 1 if a part failed."""
    options = parse(sys.argv[1:])
    if options.one:
        _one(options)
        return 0
    if options.wheels:
        install(options.wheels)
    parts = [part for part in PARTS if not options.parts or part.name in options.parts]
    if options.tiny:
        parts = [Part(part.name, part.weight, TINY_LEAST) for part in parts]
    table = Table(options.out, HEAD + (" with tiny sizes: no result" if options.tiny else ""))
    run_parts(Budget(options.seconds, parts), table, lambda part, s: spawned(options, part, s))
    print(table.text())
    return int(any(row.state == "failed" for row in table.rows))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check"), help="folder of the table")
    parser.add_argument("--seconds", type=float, default=450.0, help="of all parts together")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--wheels", type=Path, help="folder of wheels, for packages that lack")
    parser.add_argument("--cifar", type=Path, help="folder with train.zip and test.zip of JPEGs")
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in PARTS])
    parser.add_argument("--one", nargs=2, metavar=("PART", "SECONDS"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def spawned(options: argparse.Namespace, part: Part, seconds: float) -> Iterator[Row]:
    """Run a part in a process of its own; TimeoutError when its time is over."""
    command = [sys.executable, "-m", "tests.benchmarks.gpu_check", "--one", part.name, str(seconds)]
    command += ["--out", str(options.out), "--device", options.device]
    command += ["--tiny"] * options.tiny
    command += ["--cifar", str(options.cifar)] if options.cifar else []
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        try:
            yield from _rows(child, time.monotonic() + seconds)
        finally:
            _end(child)
        if child.returncode:
            errors.seek(0)
            raise RuntimeError(_last_line(errors.read()))


def _rows(child: subprocess.Popen, end: float) -> Iterator[Row]:
    """Give the rows that a process prints until it ends."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in child.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=max(end - time.monotonic(), 0.001))
        except queue.Empty:
            raise TimeoutError from None
        if line is None:
            child.wait()
            return
        if line.startswith("{"):
            yield Row(**json.loads(line))


def _end(child: subprocess.Popen) -> None:
    """End a process with all that it started."""
    if child.poll() is None:
        os.killpg(child.pid, 9)
        child.wait()


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a message"


def _one(options: argparse.Namespace) -> None:
    """Do one part in this process and print its rows as JSON."""
    from tests.benchmarks import gpu_cifar, gpu_speed, gpu_system

    name, seconds = options.one[0], float(options.one[1])
    work = {
        "machine": gpu_system.machine,
        "leases": gpu_system.leases,
        "same bytes": gpu_system.same_bytes,
        "tests": gpu_system.tests,
        "speed": gpu_speed.speed,
        "cifar10_jpeg": gpu_cifar.cifar,
    }[name]
    end = time.monotonic() + seconds
    for row in work(options, lambda: end - time.monotonic()):
        print(json.dumps({**vars(row), "part": name}), flush=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
